/*
 * A VM in numbers, as the memory scheduler's decisions see it: what is claimed for it, what it has,
 * and what was decided. The caller owns an array of these, fills in the first two parts, and finds
 * the third. Unless it says otherwise a number counts pages of 4 KiB.
 */
#ifndef MM_MEMSCHED_MEMSCHED_VM_H
#define MM_MEMSCHED_MEMSCHED_VM_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define MEM_SHARES_MAX 1000000000u
#define MEM_PAGES_MAX  (GIB(16384) >> PAGE_SHIFT) /* of a VM */
#define MEM_RUN_PAGES                                                                              \
	(MIB(2) >> PAGE_SHIFT) /* in less no VM gets on: the least that one is promised */

/* What an administrator says of a VM. */
struct mem_claims {
	u64 memory;
	u64 reservation; /* never taken from it */
	u64 limit;       /* never exceeded, even when memory is free */
	u64 shares;      /* no pages: its weight */
};

/* Are they possible? Returns 0; E_INVAL, with what is wrong and what is allowed in @why. */
must_check err_t mem_claims_check(const struct mem_claims *claims, char *why, size_t why_bytes);

struct mem_vm {
	struct mem_claims claims; /* as mem_claims_check() allows */

	u64 granted;  /* of its memory, what it may use by now: mem_grant_next() */
	u64 consumed; /* frames: its own pages', its part of shared ones, its compression cache */
	u64 cache_frames; /* of these, the compression cache's */
	u64 zipped;       /* pages in that cache */
	u64 swapped;
	u64 ballooned;
	u64 active;         /* mem_active_pages() */
	u64 balloon_max;    /* the most that its balloon takes */
	bool balloon_works; /* its driver is there and answers */
	bool balloon_slow;  /* ... but lags behind: what it is still to bring is not counted on */
	bool blocked;       /* in: it was stopped; out: it is to stand still until further notice */

	u64 ceiling;  /* what it could use, within limit and grant; at least its reservation */
	u64 entitled; /* of what there is */
	u64 balloon_target; /* what the balloon is to be in the end; its pace is its own affair */
	u64 evict_to; /* while it consumes more, pages are compressed, else swapped; at least its
			 reservation */
	u64 fetch;    /* compressed and swapped pages to be brought back ahead of need */
};

#endif
