/* A random world from a seed: a host, its VMs, and what they do in the course of time. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "tests/sim/checks.h"
#include <stdio.h>

struct world_kind {
	u64 seed;
	u32 most_vms;
	u32 phases;  /* each of PHASE_SAMPLES sampling periods, the last third of it quiet */
	u32 phase_s; /* 0: of a length that suits the estimates */
	policy_fn policy;
	FILE *trace; /* NULL: none. A line for each VM and second */
};

#define TRACE_HEADING                                                                              \
	"second,state,free,aim,vm,consumed,entitled,ballooned,zipped,swapped,working,blocked\n"

struct world_result {
	char broken[240]; /* "": all held */
	double distance_pct;
	u64 state_changes, quiet_turns, quiet_minutes;
	u64 steps_in[MEM_STATE_COUNT];
	u64 steps, vms;
};

void world_run(const struct world_kind *kind, struct world_result *result);

#endif
