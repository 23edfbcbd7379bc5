/*
 * A host as the simulator sees it: frames, a swap device of a certain speed, and the machinery that
 * carries out what the policy orders. Ten steps a second. The policy is a parameter, so that broken
 * ones can be tried.
 */
#ifndef TESTS_SIM_HOST_H
#define TESTS_SIM_HOST_H

#include "mm/memsched/memsched_target.h"
#include "tests/sim/guest.h"

#define BALANCE_S 15u

typedef void (*policy_fn)(const struct mem_host *host, struct mem_vm *vms, u32 count);

struct host {
	struct mem_host seen; /* as told to the policy */
	u64 frames;           /* for guests */
	u64 free;             /* frames now; those owed to nobody are in @seen */
	u64 swap_pages_s;     /* of the device, each way */
	u32 sample_s;
	bool zips;
	policy_fn policy;
	struct rng rng;
	u64 now_ns;
	struct guest *guests;
	struct mem_vm *scratch; /* what the policy was given and said when it last decided */
	u32 count;
	u64 owed;                      /* frames promised to guests that have not taken them yet */
	u64 read_budget, write_budget; /* pages, of this step */
	bool decided;                  /* in this step */
	u64 free_then;                 /* when last decided */
	bool promise_broken;           /* an eviction went below a reservation */
	u64 state_changes;
};

static inline bool host_now_is(const struct host *host, u32 period_s)
{
	return host->now_ns % (period_s * 1000000000ull) == 0;
}

/* Frames that a guest holds. */
u64 host_consumed(const struct guest *guest);
/* Frames it may hold whatever the state: limit and grant. */
u64 host_bound(const struct guest *guest);

void host_step(struct host *host);

#endif
