/* See host.h. Direct reclaim: who needs a frame takes it from the VM that is furthest above its
 * entitlement. */
#include "tests/sim/host.h"

#define SECOND_NS    1000000000ull
#define ZIP_MAX_PCT  10u
#define ZIPPABLE_PCT 45u /* of pages shrink to half */

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

static u64 cache_frames(u64 zipped)
{
	return (zipped + 1) / 2;
}

u64 host_consumed(const struct guest *g)
{
	return g->resident + cache_frames(g->vm.zipped);
}

u64 host_bound(const struct guest *g)
{
	return max(min(g->vm.claims.limit, g->vm.granted), g->vm.claims.reservation);
}

static u64 owed_to(const struct guest *g)
{
	return less(g->vm.claims.reservation, host_consumed(g));
}

/* From scratch, so that an error in the books would show. */
static void count(struct host *h)
{
	u64 used = 0;

	h->owed = 0;
	for (u32 i = 0; i < h->count; i++) {
		used += host_consumed(&h->guests[i]);
		h->owed += owed_to(&h->guests[i]);
	}
	h->free = h->frames - used;
	h->seen.free_frames = less(h->free, h->owed);
}

/* --- Evicting and fetching ------------------------------------------------------------------- */

/* Evict until @frames are gained. Returns how many were. */
static u64 evict(struct host *h, struct guest *g, u64 frames)
{
	u64 before = host_consumed(g);
	u64 most_zipped = h->zips ? g->vm.claims.memory * ZIP_MAX_PCT / 100 * 2 : 0;
	u64 zip = min(
		min(frames * ZIPPABLE_PCT / 100 * 2, less(most_zipped, g->vm.zipped)), g->resident);

	g->resident -= zip;
	g->vm.zipped += zip;
	u64 gained = before - host_consumed(g);
	u64 swap = min(min(less(frames, gained), h->write_budget), g->resident);

	g->resident -= swap;
	g->vm.swapped += swap;
	h->write_budget -= swap;
	gained = before - host_consumed(g);
	/* Then what is in the cache is written out. */
	u64 objects = min(min(2 * less(frames, gained), h->write_budget), g->vm.zipped);

	g->vm.zipped -= objects;
	g->vm.swapped += objects;
	h->write_budget -= objects;
	gained = before - host_consumed(g);
	h->free += gained;
	return gained;
}

/* ... for another, down to what it is entitled to. */
static u64 evict_for_others(struct host *h, struct guest *g, u64 frames)
{
	u64 gained = evict(h, g, min(frames, less(host_consumed(g), g->vm.entitled)));

	h->promise_broken |= gained && host_consumed(g) < g->vm.claims.reservation;
	return gained;
}

static struct guest *furthest_above(struct host *h)
{
	struct guest *most = NULL;
	u64 excess = 0;

	for (u32 i = 0; i < h->count; i++) {
		struct guest *g = &h->guests[i];
		u64 mine = less(host_consumed(g), g->vm.entitled);

		if (mine > excess) {
			excess = mine;
			most = g;
		}
	}
	return most;
}

/* Does @g pay for its next frames itself? Else *@room is how many it may take before that is asked
 * again. */
static bool pays_itself(struct host *h, struct guest *g, bool returns, u64 *room)
{
	u64 consumed = host_consumed(g);

	g->vm.consumed = consumed;
	*room = less(host_bound(g), consumed);
	if (consumed < g->vm.entitled)
		*room = min(*room, g->vm.entitled - consumed);
	return mem_pays_itself(consumed + 1, host_bound(g), g->vm.entitled, h->seen.state, returns);
}

/* Up to @wanted free frames, or others' where none are; how many. */
static u64 frames_of_others(struct host *h, struct guest *g, u64 wanted)
{
	for (;;) {
		u64 promised = less(g->vm.claims.reservation, host_consumed(g));
		u64 there = min(h->free, max(promised, less(h->free, h->owed - owed_to(g))));

		if (there >= wanted)
			return wanted;
		struct guest *victim = furthest_above(h);

		if (!victim || !evict_for_others(h, victim, wanted - there))
			return there;
	}
}

/* Bring back up to @pages that are out, cache first. */
static void fetch(struct host *h, struct guest *g, u64 pages)
{
	u64 zipped = min(pages, g->vm.zipped);
	u64 swapped = min(min(pages - zipped, g->vm.swapped), h->read_budget);
	u64 before = host_consumed(g);

	g->vm.zipped -= zipped;
	g->vm.swapped -= swapped;
	g->resident += zipped + swapped;
	h->read_budget -= swapped;
	h->free -= host_consumed(g) - before;
}

/* --- A guest's turn -------------------------------------------------------------------------- */

/* Faults on pages that are out. Returns how many came back. */
static u64 refault(struct host *h, struct guest *g)
{
	u64 lacking = min(guest_lacks(g), h->read_budget + g->vm.zipped),
	    consumed = host_consumed(g), room;
	bool pays = pays_itself(h, g, true, &room);

	lacking = pays ? min(lacking, h->write_budget) : frames_of_others(h, g, min(lacking, room));
	fetch(h, g, lacking);
	if (pays)
		evict(h, g, less(host_consumed(g), consumed));
	return lacking;
}

/* Faults on pages that it never had. Returns how many it has now. */
static u64 grow(struct host *h, struct guest *g, u64 pages)
{
	u64 room;

	if (pays_itself(h, g, false, &room))
		pages = evict(h, g, pages);
	else
		pages = frames_of_others(h, g, min(pages, room));
	g->resident += pages;
	h->free -= pages;
	return pages;
}

static void guest_step(struct host *h, struct guest *g)
{
	u64 room = g->vm.claims.memory - g->vm.ballooned;
	u64 growth = min(less(min(g->appetite, room), guest_touched(g)), g->grow_step);

	if (g->vm.blocked)
		return;
	bool faults = guest_lacks(g) || growth;

	if (refault(h, g) + grow(h, g, growth) || !faults)
		g->starved_ns = NEVER_NS;
	else if (g->starved_ns == NEVER_NS)
		g->starved_ns = h->now_ns;
}

/* --- The hypervisor's ------------------------------------------------------------------------ */

static void balloon_step(struct host *h, struct guest *g)
{
	struct balloon_rates rates = balloon_rates(0, 0, h->seen.state >= MEM_HARD);
	u64 wanted = min(g->vm.balloon_target, g->vm.balloon_max);

	balloon_pace_move(&g->pace, h->now_ns, g->vm.ballooned, wanted, &rates);
	if (balloon_keeps_up(g->vm.ballooned, g->pace.target_pages, wanted, rates.inflate_pages_s))
		g->kept_up_ns = h->now_ns;
}

static void look_at(struct host *h, struct guest *g)
{
	struct balloon_sight sight = {
		.driver = g->tools != TOOLS_NONE,
		.now_ns = h->now_ns,
		.heard_ns = g->heard_ns,
		.kept_up_ns = g->kept_up_ns,
		.size_pages = g->vm.ballooned,
		.target_pages = g->pace.target_pages,
		.asked_pages = g->vm.balloon_target,
		.maximum_pages = g->vm.balloon_max,
	};
	u64 since_ns;
	enum balloon_status status = balloon_status(&sight, &since_ns);

	g->vm.balloon_works = status != BALLOON_NO_DRIVER && status != BALLOON_NOT_RESPONDING;
	g->vm.balloon_slow = status == BALLOON_TOO_SLOW;
	g->vm.consumed = host_consumed(g);
	g->vm.cache_frames = cache_frames(g->vm.zipped);
	g->vm.active = mem_active_pages(&g->estimate, g->vm.claims.memory - g->vm.ballooned);
	if (host_now_is(h, 1))
		g->vm.granted = mem_grant_next(&g->vm, h->seen.state, ~0ull);
}

static void decide(struct host *h)
{
	for (u32 i = 0; i < h->count; i++) {
		look_at(h, &h->guests[i]);
		h->scratch[i] = h->guests[i].vm;
	}
	h->free_then = h->seen.free_frames;
	h->policy(&h->seen, h->scratch, h->count);
	for (u32 i = 0; i < h->count; i++)
		h->guests[i].vm = h->scratch[i];
	h->decided = true;
}

static void follow_state(struct host *h)
{
	enum mem_state now = mem_state_next(&h->seen.levels, h->seen.free_frames, h->seen.state);
	bool changed = now != h->seen.state;

	h->state_changes += changed;
	h->seen.state = now;
	h->decided = false;
	if (changed || host_now_is(h, now >= MEM_SOFT ? 1 : BALANCE_S))
		decide(h);
}

/* Evictions stop at the reservation, whatever has changed since they were ordered. */
static void carry_out(struct host *h, struct guest *g)
{
	u64 spare = min(less(h->free, h->owed + h->seen.levels.aim),
		less(g->vm.entitled, host_consumed(g)));
	u64 fetched = min(min(g->vm.fetch, spare), h->read_budget + g->vm.zipped), had;

	evict(h, g, less(host_consumed(g), max(g->vm.evict_to, g->vm.claims.reservation)));
	fetch(h, g, fetched);
	g->vm.fetch -= fetched;
	balloon_step(h, g);
	had = host_consumed(g);
	guest_balloon_step(g, h->now_ns);
	h->free += had - host_consumed(g);
}

static void turn(struct host *h, struct guest *g)
{
	u64 owed = owed_to(g), share = h->swap_pages_s / STEPS_S / 2 / h->count;

	/* Half of the device is divided, so that who comes last finds something left. */
	h->read_budget += share;
	h->write_budget += share;
	h->seen.free_frames = less(h->free, h->owed);
	if (host_now_is(h, 1))
		guest_sample(g, &h->rng, host_now_is(h, h->sample_s));
	carry_out(h, g);
	h->owed += owed_to(g) - owed;
	owed = owed_to(g);
	guest_step(h, g);
	h->owed += owed_to(g) - owed;
}

void host_step(struct host *h)
{
	u32 first = (u32)rng_below(&h->rng, h->count);

	h->now_ns += STEP_NS;
	h->read_budget = h->write_budget = h->swap_pages_s / STEPS_S / 2;
	count(h);
	follow_state(h);
	for (u32 i = 0; i < h->count; i++)
		turn(h, &h->guests[(first + i) % h->count]);
}
