/* See world.h. Sizes are chosen so that hosts are between half used and three times promised. */
#include "tests/sim/world.h"
#include <stdlib.h>
#include <string.h>

#define PAGES_MIB(n)  ((u64)(n) << 8)
#define PHASE_SAMPLES 60u
#define SETTLED_IN    40u /* sampling periods: the slow average has forgotten what was before */

static u64 between(struct rng *rng, u64 least, u64 most)
{
	return least + rng_below(rng, most - least + 1);
}

static void make_claims(struct rng *rng, struct mem_claims *claims, u64 *unreserved)
{
	static const u64 per_mib[] = {5, 10, 20};

	claims->memory = PAGES_MIB(between(rng, 16, 256));
	claims->memory <<= rng_below(rng, 4);
	claims->limit = claims->memory;
	claims->shares = rng_chance(rng, 80) ? (claims->memory >> 8) * per_mib[rng_below(rng, 3)]
					     : between(rng, 1, MEM_SHARES_MAX);
	claims->reservation = MEM_RUN_PAGES;
	if (rng_chance(rng, 40))
		claims->reservation +=
			rng_below(rng, min(*unreserved, claims->memory - MEM_RUN_PAGES) + 1);
	if (rng_chance(rng, 20))
		claims->limit =
			between(rng, max(claims->reservation, claims->memory / 4), claims->memory);
	*unreserved -= claims->reservation - MEM_RUN_PAGES;
}

static void make_guest(struct host *h, struct guest *g, u64 *unreserved)
{
	struct rng *rng = &h->rng;

	*g = (struct guest){
		.tools = (enum tools)rng_below(rng, TOOLS_COUNT), .starved_ns = NEVER_NS};
	if (rng_chance(rng, 40))
		g->tools = TOOLS_GOOD;
	make_claims(rng, &g->vm.claims, unreserved);
	u64 memory = g->vm.claims.memory, reservation = g->vm.claims.reservation;

	g->minimum = memory / 10;
	g->vm.granted =
		rng_chance(rng, 15) ? between(rng, max(reservation, memory / 4), memory) : memory;
	g->vm.balloon_max = g->tools == TOOLS_NONE
				    ? 0
				    : min(memory * 65 / 100, memory - max(reservation, g->minimum));
	g->vm.entitled = g->vm.evict_to = memory; /* nothing is decided yet */
	g->grow_step = between(rng, 400, 1600);
	mem_active_start(&g->estimate);
}

static void make_host(struct host *h, const struct world_kind *kind)
{
	struct rng *rng = &h->rng;
	u64 claimed = 0;

	h->guests = calloc(h->count, sizeof(*h->guests));
	h->scratch = calloc(h->count, sizeof(*h->scratch));
	h->policy = kind->policy;
	h->zips = rng_chance(rng, 70);
	h->sample_s = (u32)between(rng, 4, 12);
	h->swap_pages_s = between(rng, 20000, 200000) * (1 + h->count / 16);
	h->seen.idle_tax_pct = rng_chance(rng, 60) ? 75 : (u32)rng_below(rng, 100);
	/* Memories first, to know how large the host is to be; then again, with what can be
	 * reserved. */
	struct rng again = *rng;

	for (u32 i = 0; i < h->count; i++) {
		u64 all = ~0ull;

		make_guest(h, &h->guests[i], &all);
		claimed += h->guests[i].vm.claims.memory;
	}
	*rng = again;
	u64 total = max(claimed * 100 / between(rng, 50, 300), PAGES_MIB(256));

	*rng = again;
	u32 min_free_pct = rng_chance(&again, 70) ? 0 : (u32)between(&again, 2, 12);

	mem_levels_set(&h->seen.levels, total, min_free_pct, rng_chance(&again, 20));
	h->frames = total - total / 20;
	u64 unreserved = h->frames -
			 min(h->frames, h->seen.levels.enter[MEM_LOW] + h->count * MEM_RUN_PAGES);

	for (u32 i = 0; i < h->count; i++)
		make_guest(h, &h->guests[i], &unreserved);
}

/* A new phase: who is busy, who is idle, whose tools fall silent, who is powered off. */
static void change_load(struct host *h, u32 phase, u32 phase_s)
{
	struct rng *rng = &h->rng;

	for (u32 i = 0; i < h->count; i++) {
		struct guest *g = &h->guests[i];
		u64 memory = g->vm.claims.memory;

		g->appetite = memory * between(rng, 10, 95) / 100;
		g->working = g->appetite * (rng_chance(rng, 30) ? 2 : between(rng, 5, 100)) / 100;
		if (g->tools == TOOLS_STOP && phase == 1)
			g->stops_ns = h->now_ns + rng_below(rng, phase_s) * 1000000000ull;
		else if (phase == 0)
			g->stops_ns = NEVER_NS;
		if (phase && rng_chance(rng, 20)) {
			g->resident = g->vm.zipped = g->vm.swapped = g->vm.ballooned = 0;
			g->pace = (struct balloon_pace){0};
			g->appetite = g->working = g->minimum;
		}
	}
}

static void trace(const struct host *h, FILE *to)
{
	for (u32 i = 0; i < h->count; i++) {
		const struct guest *g = &h->guests[i];
		const struct mem_vm *vm = &g->vm;

		fprintf(to, "%llu,%s,%llu,%llu,%u,%llu,%llu,%llu,%llu,%llu,%llu,%u\n",
			(unsigned long long)(h->now_ns / 1000000000), mem_state_name(h->seen.state),
			(unsigned long long)h->free, (unsigned long long)h->seen.levels.aim, i,
			(unsigned long long)host_consumed(g), (unsigned long long)vm->entitled,
			(unsigned long long)vm->ballooned, (unsigned long long)vm->zipped,
			(unsigned long long)vm->swapped, (unsigned long long)g->working,
			vm->blocked);
	}
}

static void run_phase(struct host *h, struct checks *c, u32 phase_s, FILE *to)
{
	u64 steps = (u64)phase_s * STEPS_S;
	u64 quiet = steps * SETTLED_IN / PHASE_SAMPLES;

	for (u64 step = 0; step < steps && !c->broken[0]; step++) {
		if (step == quiet)
			checks_quiet_begins(c);
		host_step(h);
		checks_step(c);
		if (to && host_now_is(h, 1))
			trace(h, to);
	}
	if (!c->broken[0])
		checks_quiet_ends(c);
}

void world_run(const struct world_kind *kind, struct world_result *result)
{
	struct host h = {.rng = {kind->seed}};
	struct checks c;

	rng_next(&h.rng);
	h.count = (u32)between(&h.rng, 1, kind->most_vms);
	make_host(&h, kind);
	struct watched *watched = calloc(h.count, sizeof(*watched));
	double *division = calloc(4 * h.count, sizeof(*division));
	u32 phase_s = kind->phase_s ? kind->phase_s : h.sample_s * PHASE_SAMPLES;

	checks_start(&c, &h, watched, division);
	for (u32 phase = 0; phase < kind->phases && !c.broken[0]; phase++) {
		change_load(&h, phase, phase_s);
		run_phase(&h, &c, phase_s, kind->trace);
	}
	*result = (struct world_result){.distance_pct = c.worst_distance_pct,
		.state_changes = h.state_changes,
		.quiet_turns = c.quiet_turns,
		.quiet_minutes = c.quiet_minutes,
		.steps = h.now_ns / STEP_NS,
		.vms = h.count};
	memcpy(result->broken, c.broken, sizeof(result->broken));
	memcpy(result->steps_in, c.steps_in, sizeof(result->steps_in));
	free(h.guests);
	free(h.scratch);
	free(watched);
	free(division);
}
