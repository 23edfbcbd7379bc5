/*
 * How a VM and its host fare, in one word, for how long, and what to do: awesome (nothing is taken
 * from anybody), good (memory is taken that guests can spare), hmm (guests may notice), oops (they
 * do). Fed with a look at each VM every few seconds. Pure: tested on Linux.
 */
#ifndef HV_CONSOLE_HEALTH_H
#define HV_CONSOLE_HEALTH_H

#include "mm/base/types.h"
#include "mm/memsched/memsched.h"

#define HEALTH_LONG_NS 60000000000ull /* what lasts so long is sustained */
#define HEALTH_GAP_NS  10000000000ull /* a shorter pause does not end it */

enum health_grade { HEALTH_AWESOME, HEALTH_GOOD, HEALTH_HMM, HEALTH_OOPS };

enum health_finding {
	HEALTH_NOTHING,
	HEALTH_BALLOONED,
	HEALTH_ZIPS,
	HEALTH_BALLOONED_LONG,
	HEALTH_ZIPS_LONG,
	HEALTH_SWAPS,
	HEALTH_SWAPS_LONG,
	HEALTH_BOTH_RISE, /* its balloon, and its own paging */
	HEALTH_FINDING_COUNT
};

/* What is to be seen of a VM. Rates are pages a second. */
struct health_sight {
	u64 balloon_pages;
	u64 zip_rate;          /* compressed and back */
	u64 swap_rate;         /* out and in */
	u64 guest_paging_rate; /* the guest's own, out and in */
};

struct health_spell {
	u64 since_ns, last_ns;
	bool lasts;
};

/* All zeros: a VM that was never looked at. */
struct health {
	struct health_spell balloon, zip, swap, both;
	u64 balloon_before, paging_before;
};

/* A look at the VM; @now_ns: not before that of the last one. */
void health_note(struct health *h, u64 now_ns, const struct health_sight *sight);

/* The worst that is to be said, and *@since_ns, when that began. */
enum health_finding health_find(const struct health *h, u64 now_ns, u64 *since_ns);

enum health_grade health_grade_of(enum health_finding finding);
enum health_grade health_grade_of_state(enum mem_state state);
const char *health_grade_name(enum health_grade grade);
/* "swaps", and what to do about it. */
const char *health_what(enum health_finding finding);
const char *health_advice(enum health_finding finding);

#endif
