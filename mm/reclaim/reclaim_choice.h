/* Which space loses pages, and which pages. */
#ifndef MM_RECLAIM_RECLAIM_CHOICE_H
#define MM_RECLAIM_RECLAIM_CHOICE_H

#include "mm/reclaim/evict.h"

/* How hard to look: each takes what those before it take, too. */
enum reclaim_effort {
	RECLAIM_COLD,   /* pages not used for the longest time */
	RECLAIM_UNUSED, /* not used since the last sweep */
	RECLAIM_ANY,    /* any that may go at all; the guest's page tables among them */
};

/* Has @space a place to put pages, as far as is known? */
bool reclaim_can_lose(const struct space *space);

/*
 * May @space lose pages now, and how many: those above its reservation, less what is leaving. 0
 * where it has neither compression cache nor swap file, or both are full.
 */
u64 reclaim_space_pages(const struct space *space);

/*
 * The space that is furthest above what it is entitled to, else above its reservation; held. NULL:
 * none may lose anything.
 */
struct space *reclaim_space(void);

/* How many pages @space is to lose by the memory scheduler's order; the one with most, held. */
u64 reclaim_ordered_pages(const struct space *space);
struct space *reclaim_ordered_space(void);

/*
 * Choose up to @want pages of @space, held, into an empty @batch, and flush. Returns how many were
 * chosen or gone. Locks: none held. Cost: O(want), by @effort up to O(pages).
 */
u32 reclaim_choose(
	struct space *space, struct evict_batch *batch, u32 want, enum reclaim_effort effort);

/* The same for a page that @space gets in exchange: its reservation is not touched by that. */
u32 reclaim_choose_to_pay(
	struct space *space, struct evict_batch *batch, u32 want, enum reclaim_effort effort);

/* Mem.VictimPolicy: how long pages have not been used counts for nothing. */
void reclaim_choose_randomly(bool randomly);

#endif
