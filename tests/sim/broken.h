/* Policies that are wrong in one way each, to prove that the checks see it. */
#ifndef TESTS_SIM_BROKEN_H
#define TESTS_SIM_BROKEN_H

#include "tests/sim/host.h"

struct broken_policy {
	const char *name;
	policy_fn policy;
	const char *seen_as; /* part of what a check says */
};

/* Ended by one without a name. */
extern const struct broken_policy broken_policies[];

#endif
