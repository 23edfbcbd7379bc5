/*
 * Every counter of mm/, once. Counters are per space and only ever added to, with relaxed atomics;
 * gauges (pages by state) are kept by whoever changes an entry, under the region's lock, also
 * atomically.
 */
#ifndef MM_STATS_H
#define MM_STATS_H

#include "mm/base/types.h"
#include "mm/base/latency.h"

/* Why a page was not shared this time. */
enum share_refusal {
	SHARE_REFUSED_WRITTEN,	/* written since the pass began */
	SHARE_REFUSED_PINNED,
	SHARE_REFUSED_WALKED,	/* one of the guest's page tables */
	SHARE_REFUSED_STALE,	/* the page that the index hinted at is another now */
	SHARE_REFUSED_LARGE,	/* its like is part of a 2 MiB leaf, for too small a gain */
	SHARE_REFUSED_RACED,	/* used or changed while it was being merged */
	SHARE_REFUSED_DIFFERS,	/* equal hash, different bytes */
	SHARE_REFUSED_FULL,	/* no room in the index */
	SHARE_REFUSED_COUNT
};

/*
 * What the first touch of a page writes comes first and shares a cache line, so that CPUs that
 * fault in one VM at the same time pass one line around, not five.
 */
struct space_stats {
	u64 faults;              /* fault_handle() calls on RAM */
	u64 faults_zero_read;    /* UNTOUCHED -> ZERO */
	u64 faults_zero_fill;    /* UNTOUCHED or ZERO -> PRIVATE */
	u64 peak_consumed_pages; /* the most that private (and shared) ever were */
	/*
	 * Gauges, in pages of 4 KiB. A VM's consumed memory is private_pages (later: + its part of
	 * shared).
	 */
	u64 pages_by_state[16];  /* by enum page_state; [0] stays 0: see space_pages_in_state() */
	u64 large_leaves;        /* 2 MiB leaves now mapped; their pages count as PRIVATE */
	u64 table_pages;         /* second-level tables in use */
	u64 pins;                /* pins held now */
	/* Counters. */
	u64 faults_large;     /* a whole region at once */
	u64 faults_hidden;    /* HIDDEN -> PRIVATE */
	u64 faults_spurious;  /* the entry already allowed it */
	u64 faults_protected; /* PRIVATE, write-protected for a scan */
	u64 faults_nomem;
	u64 faults_zip;     /* an object was decompressed */
	u64 faults_fill;    /* a page of one value was filled */
	u64 faults_swap;    /* a read was started */
	u64 faults_joined;  /* the page was being read already */
	u64 faults_clean;   /* CLEAN -> PRIVATE */
	u64 faults_writing; /* WRITING -> PRIVATE: written out for nothing */
	u64 faults_waited;  /* FAULT_WAIT, for whatever reason */
	u64 read_ahead;     /* pages that came along */
	struct latency swap_in; /* from the touch to the page, of pages that were read */
	u64 evicted_zip, evicted_fill, evicted_swap, evicted_clean; /* pages that lost their frame */
	u64 evicted_zero;   /* of zeros: untouched again */
	u64 evicted_object; /* compressed objects written out as they are */
	u64 evict_kept;     /* chosen, but used meanwhile */
	/* Chosen by faults: one of any space, that found no frame; its own, for what it gets. */
	u64 taken_for_faults, taken_in_exchange;
	u64 overwritten;    /* absent pages that a device overwrote, with no fetch */
	u64 peeked;         /* absent pages that a device read, with no change */
	u64 evict_refused;  /* chosen, but neither cache nor swap file had room */
	u64 splits, joins; /* of 2 MiB leaves */
	u64 join_moves;    /* pages copied for it */
	u64 flush_rounds;
	/* The balloon: pages given up, given back, and simply used again. */
	u64 balloon_inflated, balloon_deflated, balloon_touched;
	/* Page sharing. */
	u64 share_visited;	/* entries looked at */
	u64 share_unchanged;	/* of them: hashed before and not written since */
	u64 share_hashed;
	u64 share_compared;	/* all bytes of two pages, after write-protection */
	u64 share_merged_own;	/* pages given up for a shared frame that was this VM's first */
	u64 share_merged_other; /* ... for one that was another VM's */
	u64 share_zeroed;	/* pages given up for the zero frame */
	u64 share_taken;	/* breaks by the last owner: no copy */
	u64 share_copied;	/* breaks with a copy */
	u64 share_ns;		/* time spent scanning it */
	u64 share_refused[SHARE_REFUSED_COUNT];
} __attribute__((aligned(CACHE_LINE_BYTES)));

static inline void stats_add(u64 *counter, u64 n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline void stats_sub(u64 *counter, u64 n)
{
	__atomic_fetch_sub(counter, n, __ATOMIC_RELAXED);
}

/* Raise a high-water mark. */
static inline void stats_max(u64 *mark, u64 value)
{
	u64 old = __atomic_load_n(mark, __ATOMIC_RELAXED);

	while (old < value && !__atomic_compare_exchange_n(
				      mark, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static inline u64 stats_get(const u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
