/*
 * What must hold of a simulated host: after each step, after each decision, over a quiet time
 * (constant load, estimates settled), and at its end. The first failure is kept, with its numbers.
 */
#ifndef TESTS_SIM_CHECKS_H
#define TESTS_SIM_CHECKS_H

#include "tests/sim/host.h"

struct watched {
	u64 blocked_ns; /* since when, or NEVER_NS */
	u64 edge;       /* the balloon's farthest target since it last turned */
	bool falls;
	u32 turns; /* since the quiet time began */
};

struct checks {
	const struct host *host;
	struct watched *watched;
	double *division; /* 4 x count: scratch */
	u64 short_ns; /* since when the state is soft or worse though there is what could be taken,
			 or NEVER_NS */
	u64 quiet_ns, quiet_changes; /* when it began; state changes until then */
	double worst_distance_pct;   /* of all quiet times' ends */
	u64 quiet_turns, quiet_minutes;
	u64 steps_in[MEM_STATE_COUNT];
	char broken[240]; /* "" so far */
};

void checks_start(
	struct checks *checks, const struct host *host, struct watched *watched, double *division);
void checks_step(struct checks *checks);
void checks_quiet_begins(struct checks *checks);
void checks_quiet_ends(struct checks *checks);

#endif
