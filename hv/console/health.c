/* Spells of ballooning, compressing, swapping, and the verdict on them. */
#include "hv/console/health.h"

static const struct {
	enum health_grade grade;
	const char *what, *advice;
} findings[HEALTH_FINDING_COUNT] = {
	[HEALTH_NOTHING] = {HEALTH_AWESOME, "nothing is taken from it", ""},
	[HEALTH_BALLOONED] = {HEALTH_GOOD, "gives memory by its balloon", "nothing to do"},
	[HEALTH_ZIPS] = {HEALTH_GOOD, "has pages compressed and brought back", "nothing to do"},
	[HEALTH_BALLOONED_LONG] = {HEALTH_HMM, "sustained ballooning",
		"the host is full: start no more VMs, or lower the memory of those that are idle"},
	[HEALTH_ZIPS_LONG] = {HEALTH_HMM, "sustained compression",
		"install guest tools where there are none, or move a VM to another host"},
	[HEALTH_SWAPS] = {HEALTH_HMM, "swaps",
		"if it goes on, stop a VM, or raise this one's reservation or shares"},
	[HEALTH_SWAPS_LONG] = {HEALTH_OOPS, "sustained swapping",
		"stop or move a VM now, or raise this one's reservation or shares"},
	[HEALTH_BOTH_RISE] = {HEALTH_OOPS, "its balloon and its own paging rise together",
		"the guest has nothing to spare: raise its reservation or shares, or lower "
		"sched.mem.maxmemctl"},
};

static void spell_note(struct health_spell *s, u64 now_ns, bool active)
{
	if (active && !s->lasts) {
		s->since_ns = now_ns;
		s->lasts = true;
	}
	if (active)
		s->last_ns = now_ns;
	else if (s->lasts && now_ns - s->last_ns >= HEALTH_GAP_NS)
		s->lasts = false;
}

void health_note(struct health *h, u64 now_ns, const struct health_sight *sight)
{
	spell_note(&h->balloon, now_ns, sight->balloon_pages > 0);
	spell_note(&h->zip, now_ns, sight->zip_rate > 0);
	spell_note(&h->swap, now_ns, sight->swap_rate > 0);
	spell_note(&h->both, now_ns,
		sight->balloon_pages > h->balloon_before &&
			sight->guest_paging_rate > h->paging_before);
	h->balloon_before = sight->balloon_pages;
	h->paging_before = sight->guest_paging_rate;
}

static bool is_long(const struct health_spell *s, u64 now_ns)
{
	return s->lasts && now_ns - s->since_ns >= HEALTH_LONG_NS;
}

enum health_finding health_find(const struct health *h, u64 now_ns, u64 *since_ns)
{
	const struct {
		enum health_finding finding;
		const struct health_spell *spell;
		bool holds;
	} worst_first[] = {
		/* Once may be chance. */
		{HEALTH_BOTH_RISE, &h->both, h->both.lasts && h->both.last_ns > h->both.since_ns},
		{HEALTH_SWAPS_LONG, &h->swap, is_long(&h->swap, now_ns)},
		{HEALTH_SWAPS, &h->swap, h->swap.lasts},
		{HEALTH_ZIPS_LONG, &h->zip, is_long(&h->zip, now_ns)},
		{HEALTH_BALLOONED_LONG, &h->balloon, is_long(&h->balloon, now_ns)},
		{HEALTH_ZIPS, &h->zip, h->zip.lasts},
		{HEALTH_BALLOONED, &h->balloon, h->balloon.lasts},
	};

	for (u32 i = 0; i < ARRAY_COUNT(worst_first); i++) {
		if (worst_first[i].holds) {
			*since_ns = worst_first[i].spell->since_ns;
			return worst_first[i].finding;
		}
	}
	*since_ns = now_ns;
	return HEALTH_NOTHING;
}

enum health_grade health_grade_of(enum health_finding finding)
{
	return findings[finding].grade;
}

enum health_grade health_grade_of_state(enum mem_state state)
{
	return state >= MEM_LOW    ? HEALTH_OOPS
	       : state >= MEM_HARD ? HEALTH_HMM
	       : state > MEM_HIGH  ? HEALTH_GOOD
				   : HEALTH_AWESOME;
}

const char *health_grade_name(enum health_grade grade)
{
	static const char *const names[] = {"awesome", "good", "hmm", "oops"};

	return grade < ARRAY_COUNT(names) ? names[grade] : "?";
}

const char *health_what(enum health_finding finding)
{
	return findings[finding].what;
}

const char *health_advice(enum health_finding finding)
{
	return findings[finding].advice;
}
