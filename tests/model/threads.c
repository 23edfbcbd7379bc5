/*
 * Real threads as CPUs: several run guests in the same spaces at once, while each also splits,
 * hides and pins their pages, gives some to the balloon, and makes and ends VMs of its own. In
 * every other page a word belongs to each CPU, which must always find there what it wrote last.
 * With sharing, few values are written, so that pages are often alike, and every CPU scans now and
 * then. STEPS=n runs longer; SEED=n changes the mix (what races cannot be replayed).
 */
#include "tests/model/threads.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "tests/fake/rng.h"
#include "mm/balloon/balloon.h"
#include "mm/share/share.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define THREADS      3u
#define SHARED       2u
#define SHARED_BYTES MIB(6)
#define SHARED_PAGES (SHARED_BYTES / PAGE_BYTES)
#define OWN_BYTES    (MIB(2) + KIB(64))
#define SPARE_EVERY  8u

struct worker {
	u32 cpu;
	u64 steps;
	struct rng rng;
	pthread_t thread;
	u64 last[SHARED][SHARED_PAGES]; /* what this CPU's word holds */
	u64 wrong, nomem, own_vms, hashed, ballooned;
};

static struct space *shared[SHARED];
static struct worker workers[THREADS];
static bool share;

/* What a CPU writes. */
static u64 any_value(struct worker *w)
{
	u64 value = rng_next(&w->rng);

	return share ? value % 3 : value;
}

/* Pages that any CPU may give to the balloon, or take back: what they hold is nobody's. */
static bool is_spare(u64 page)
{
	return page % SPARE_EVERY == SPARE_EVERY - 1;
}

static gpa_t word_of(const struct worker *w, u64 page)
{
	return GPA(page * PAGE_BYTES + w->cpu * 8);
}

static void access_shared(struct worker *w)
{
	u32 which = (u32)rng_below(&w->rng, SHARED);
	u64 page = rng_chance(&w->rng, 70) ? rng_below(&w->rng, 32) * 37
					   : rng_below(&w->rng, SHARED_PAGES);
	u32 access = (u32[]){SLAT_READ, SLAT_WRITE, SLAT_EXEC}[rng_below(&w->rng, 3)];
	u64 value = any_value(w);

	if (fake_guest_access(shared[which], word_of(w, page), access, &value, 8) != FAULT_DONE) {
		w->nomem++;
		return;
	}
	if (is_spare(page))
		return;
	if (access == SLAT_WRITE)
		w->last[which][page] = value;
	else if (value != w->last[which][page])
		w->wrong++;
}

static void pin_shared(struct worker *w)
{
	u32 which = (u32)rng_below(&w->rng, SHARED);
	u64 page = rng_below(&w->rng, SHARED_PAGES), value = any_value(w);
	bool write = rng_chance(&w->rng, 50);
	pfn_t pfn;

	fake_guest_leave();
	if (is_spare(page) || space_pin(shared[which], GFN(page), write, &pfn))
		return;
	u64 *word = (u64 *)((char *)platform_frame_va(pfn) + w->cpu * 8);

	if (__atomic_load_n(word, __ATOMIC_RELAXED) != w->last[which][page])
		w->wrong++;
	if (write) {
		__atomic_store_n(word, value, __ATOMIC_RELAXED);
		w->last[which][page] = value;
	}
	space_unpin(shared[which], pfn);
}

static void scan(struct worker *w, struct space *space)
{
	fake_guest_leave();
	w->hashed += share_scan(space, 1 + rng_below(&w->rng, 200), 1000000000).hashed;
}

/* A VM's whole life on this CPU alone. */
static void own_vm(struct worker *w)
{
	struct space_config config = {.name = "own",
		.memory_bytes = OWN_BYTES,
		.format = &slat_npt,
		.large_pages = true,
		.large_pages_no_exec = true,
		.share_salt = share,
		.vcpu_count = 1};
	struct space *space;
	err_t why;

	fake_guest_leave();
	if (space_create(&space, &config))
		return;
	w->own_vms++;
	for (u32 i = 0; i < 40; i++) {
		u64 gpa = rng_below(&w->rng, OWN_BYTES / PAGE_BYTES) * PAGE_BYTES, value = 0,
		    mine = share ? 1 : ~gpa;

		/* Zero, or what was written in this life. */
		if (fake_guest_access(space, GPA(gpa), SLAT_READ, &value, 8) != FAULT_DONE)
			break;
		if (value != 0 && value != mine)
			w->wrong++;
		if (fake_guest_access(space, GPA(gpa), SLAT_WRITE, &mine, 8) != FAULT_DONE)
			break;
	}
	fake_guest_leave();
	if (share)
		scan(w, space);
	if (balloon_inflate(space, (u64[]){0}, 1, BALLOON_ORDER_2M, &why) != 1 ||
		space_consumed_pages(space) > (OWN_BYTES - REGION_BYTES) / PAGE_BYTES)
		w->wrong++;
	space_destroy(space);
}

/* Some spare pages of one region, whatever others do with them meanwhile. */
static void balloon_shared(struct worker *w, struct space *space)
{
	u64 first = ALIGN_DOWN(rng_below(&w->rng, SHARED_PAGES), (u64)REGION_PAGE_COUNT);
	u64 pages[20];
	err_t why;

	for (u32 i = 0; i < ARRAY_COUNT(pages); i++)
		pages[i] = first + i * SPARE_EVERY + SPARE_EVERY - 1;
	if (rng_chance(&w->rng, 60))
		w->ballooned +=
			balloon_inflate(space, pages, ARRAY_COUNT(pages), BALLOON_ORDER_4K, &why);
	else
		balloon_deflate(space, pages, ARRAY_COUNT(pages), BALLOON_ORDER_4K, &why);
}

static void shuffle_shared(struct worker *w)
{
	struct space *space = shared[rng_below(&w->rng, SHARED)];

	fake_guest_leave();
	switch (rng_below(&w->rng, 8)) {
	case 0:
		space_split_all(space);
		break;
	case 1:
		space_hide_all(space);
		break;
	case 2:
		tlb_invalidate_all(&space->tlb);
		break;
	case 3:
	case 4:
		balloon_shared(w, space);
		break;
	default:
		space_hide(space, GFN(rng_below(&w->rng, 32) * 37));
		break;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	fake_cpu_set(w->cpu);
	for (u64 step = 0; step < w->steps; step++) {
		u64 dice = rng_below(&w->rng, 1000);

		if (dice < 3)
			own_vm(w);
		else if (dice < 20)
			shuffle_shared(w);
		else if (dice < 50)
			pin_shared(w);
		else if (share && dice < 70)
			scan(w, shared[dice % SHARED]);
		else
			access_shared(w);
	}
	fake_guest_leave();
	return NULL;
}

/* Everything every CPU wrote is there. */
static u64 lost_words(void)
{
	static const u64 zeros[THREADS];
	u64 lost = 0;

	for (u32 s = 0; s < SHARED; s++) {
		for (u64 page = 0; page < SHARED_PAGES; page++) {
			const u64 *words = fake_guest_look(shared[s], GFN(page));

			for (u32 t = 0; t < THREADS && !is_spare(page); t++)
				lost += (words ? words : zeros)[t] != workers[t].last[s][page];
		}
	}
	return lost;
}

static int run(u64 seed, u64 steps, bool large)
{
	struct space_config config = {.name = "shared",
		.memory_bytes = SHARED_BYTES,
		.format = &slat_ept,
		.large_pages = large,
		.large_pages_no_exec = true,
		.share_salt = share,
		.vcpu_count = 2}; /* so that CPUs share a set of counters */
	struct frame_account start, end;
	u64 wrong = 0, nomem = 0, own_vms = 0, hashed = 0, merged = 0, ballooned = 0;
	bool sound = true;

	fake_start_plain(THREADS, large ? 9000 : SHARED * SHARED_PAGES + 300);
	fake_guest_start();
	fake_guest_threaded(true);
	frame_account_get(&start);
	memset(workers, 0, sizeof(workers));
	for (u32 s = 0; s < SHARED; s++) {
		if (space_create(&shared[s], &config))
			return 1;
	}
	for (u32 t = 0; t < THREADS; t++) {
		workers[t].cpu = t;
		workers[t].steps = steps;
		workers[t].rng.state = seed + t;
		if (pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			return 1;
	}
	for (u32 t = 0; t < THREADS; t++) {
		pthread_join(workers[t].thread, NULL);
		wrong += workers[t].wrong;
		nomem += workers[t].nomem;
		own_vms += workers[t].own_vms;
		hashed += workers[t].hashed;
		ballooned += workers[t].ballooned;
	}
	wrong += lost_words() + fake_guest_violations();
	for (u32 s = 0; s < SHARED; s++) {
		const struct space_stats stats = space_stats(shared[s]);

		merged += stats.share_merged_own + stats.share_merged_other + stats.share_zeroed;
		sound = space_audit(shared[s]) && sound;
		space_destroy(shared[s]);
	}
	sound = frame_audit() && share_index_audit() && sound;
	frame_account_get(&end);
	sound = memcmp(&start, &end, sizeof(start)) == 0 && sound;
	printf("seed %llu%s: %llu steps on %u CPUs, %llu walks, %llu hits, %llu kicks, %llu VMs, "
	       "%llu out of frames, %llu hashed, %llu merged, %llu ballooned, %llu wrong, %s\n",
		(unsigned long long)seed, large ? " large" : "", (unsigned long long)steps, THREADS,
		(unsigned long long)fake_guest_walks(), (unsigned long long)fake_guest_hits(),
		(unsigned long long)fake_guest_kicks(), (unsigned long long)own_vms,
		(unsigned long long)nomem, (unsigned long long)hashed, (unsigned long long)merged,
		(unsigned long long)ballooned, (unsigned long long)wrong,
		sound ? "sound" : "NOT SOUND");
	fflush(stdout);
	fake_stop();
	return wrong || !sound;
}

int threads_run(bool with_sharing, u64 usual_steps)
{
	const char *steps_text = getenv("STEPS");
	u64 steps = steps_text ? strtoull(steps_text, NULL, 0) : usual_steps;
	u64 seed = rng_seed(1);
	int bad = 0;

	share = with_sharing;
	for (u32 i = 0; i < 4; i++)
		bad |= run(seed + i, steps, i & 1);
	return bad;
}
