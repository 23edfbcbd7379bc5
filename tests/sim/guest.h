/*
 * A guest as the simulator sees it: so many pages that hold something, of which so many are touched
 * all the time.
 *
 * What is evicted is cold as long as there is cold memory. A guest that was freed of load keeps its
 * pages, as far as the hypervisor can see; only a balloon finds out which of them are free. Page
 * numbers do not exist here, only counts.
 */
#ifndef TESTS_SIM_GUEST_H
#define TESTS_SIM_GUEST_H

#include "mm/balloon/balloon_policy.h"
#include "mm/memsched/memsched_active.h"
#include "mm/memsched/memsched_vm.h"
#include "tests/fake/rng.h"

#define STEP_NS  100000000ull
#define STEPS_S  10u
#define SAMPLED  1024u
#define NEVER_NS (~0ull)

enum tools { TOOLS_NONE, TOOLS_GOOD, TOOLS_SLOW, TOOLS_STOP, TOOLS_COUNT };

struct guest {
	struct mem_vm vm; /* what the scheduler sees and says; counts of pages are true */
	enum tools tools;
	u64 stops_ns; /* TOOLS_STOP: from then on its driver is silent */
	u64 minimum;  /* pages that its kernel never gives up */
	u64 resident;
	u64 appetite; /* pages it wants to hold something in */
	u64 working;  /* of these, touched again and again */
	u64 seen;     /* the most of it since the sampling period began */
	u64 grow_step;
	struct mem_active estimate;
	u32 sample_luck;
	struct balloon_pace pace;
	u64 heard_ns, kept_up_ns;
	u64 starved_ns; /* since when it has had no frame for what it touched, or NEVER_NS */
};

/* Pages that hold something, in memory or out. */
u64 guest_touched(const struct guest *guest);
/* Pages of the working set that are out. */
u64 guest_lacks(const struct guest *guest);
/* What it would use and has not: lacking pages, and appetite its balloon leaves no room for. */
u64 guest_misses(const struct guest *guest);

/* The driver's turn: a step towards the target that it was told. */
void guest_balloon_step(struct guest *guest, u64 now_ns);

/* A random sample of accessed bits, as it stands at this moment of the period. */
void guest_sample(struct guest *guest, struct rng *rng, bool period_ends);

#endif
