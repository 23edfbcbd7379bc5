/*
 * How much of its memory a VM uses, from samples of accessed bits.
 *
 * A period begins with a random sample of the guest's pages, present or not, whose accessed bits
 * are cleared; from time to time somebody counts how many have been touched since. When the period
 * ends its result goes into two moving averages, one that follows within a period or two and one
 * that remembers for ten. The estimate is the largest of both and of what this period shows
 * already: a sudden need is seen at once, and forgotten slowly. Of a new VM nothing is known, and
 * all is taken to be in use. All pure.
 */
#ifndef MM_MEMSCHED_MEMSCHED_ACTIVE_H
#define MM_MEMSCHED_MEMSCHED_ACTIVE_H

#include "mm/base/types.h"

#define MEM_ACTIVE_ALL 65536u

/* Parts of MEM_ACTIVE_ALL. */
struct mem_active {
	u32 slow, fast, current;
	bool seen; /* current is known */
};

void mem_active_start(struct mem_active *active);

/* Of this period's sample of @sampled pages, @accessed have been touched so far. None sampled says
 * nothing. */
void mem_active_see(struct mem_active *active, u32 sampled, u32 accessed);

/* The period ends with what was last seen; one in which nothing was changes nothing. */
void mem_active_close(struct mem_active *active);

/* The estimate for @pages of which the samples were taken: the VM's memory less its balloon. */
u64 mem_active_pages(const struct mem_active *active, u64 pages);

#endif
