/*
 * What is counted of a space: what has happened in it, and how its pages stand now.
 *
 * A fault counts several things. CPUs that fault in one VM at the same time shall not pass a cache
 * line around for that, so there are several sets of counters, as many as it has vCPUs and a CPU of
 * the host each, and what is true is their sum. (A VM of one vCPU has one.) One set's number may be
 * below zero, then, and wrap around.
 *
 * How much a VM consumes is asked by every fault: whether that is below what it is promised, or
 * above what it may have (promise.h). So it stands in one sum besides, to which a set adds only in
 * steps. The sum says how much it may be at most, and at least, and only where that does not
 * decide the sets are added up.
 */
#ifndef MM_SPACE_SPACE_COUNTS_H
#define MM_SPACE_SPACE_COUNTS_H

#include "mm/stats.h"
#include "mm/platform.h"
#include "mm/space/slat.h"

/* Why a page was not shared this time. */
enum share_refusal {
	SHARE_REFUSED_WRITTEN, /* written since the pass began */
	SHARE_REFUSED_PINNED,
	SHARE_REFUSED_WALKED,  /* one of the guest's page tables */
	SHARE_REFUSED_STALE,   /* the page that the index hinted at is another now */
	SHARE_REFUSED_LARGE,   /* its like is part of a 2 MiB leaf, for too small a gain */
	SHARE_REFUSED_RACED,   /* used or changed while it was being merged */
	SHARE_REFUSED_DIFFERS, /* equal hash, different bytes */
	SHARE_REFUSED_FULL,    /* no room in the index */
	SHARE_REFUSED_COUNT
};

/* What the first touch of a page writes comes first, in one cache line. */
struct space_stats {
	u64 faults;           /* fault_handle() calls on RAM */
	u64 faults_zero_read; /* UNTOUCHED -> ZERO */
	u64 faults_zero_fill; /* UNTOUCHED or ZERO -> PRIVATE */
	u64 consumed_apart;   /* of what it consumes, what is not yet in space_counts.consumed */
	/* Gauges. */
	u64 pages_by_state[16]; /* by enum page_state; [0] stays 0: see space_pages_in_state() */
	u64 large_leaves;       /* 2 MiB leaves now mapped; their pages count as PRIVATE */
	u64 table_pages;        /* second-level tables in use */
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
	u64 faults_writing; /* written to on its way out: that was for nothing */
	u64 faults_waited;  /* FAULT_WAIT, for whatever reason */
	u64 read_ahead;     /* pages that came along */
	u64 evicted_zip, evicted_fill, evicted_swap,
		evicted_clean; /* pages that lost their frame */
	u64 evicted_zero;      /* of zeros: untouched again */
	u64 evicted_shared;    /* shared instead: its bytes were there already */
	u64 evict_hashed;      /* to see whether they were */
	u64 evicted_object;    /* compressed objects written out as they are */
	u64 evict_kept;        /* chosen, but used meanwhile */
	/* Chosen by faults: one of any space, that found no frame; its own, for what it gets. */
	u64 taken_for_faults, taken_in_exchange;
	u64 overwritten;   /* absent pages that a device overwrote, with no fetch */
	u64 peeked;        /* absent pages that a device read, with no change */
	u64 evict_refused; /* chosen, but neither cache nor swap file had room */
	u64 splits, joins; /* of 2 MiB leaves */
	u64 join_moves;    /* pages copied for it */
	/* The balloon: pages given up, given back, and simply used again. */
	u64 balloon_inflated, balloon_deflated, balloon_touched;
	/* Page sharing. */
	u64 share_visited;   /* entries looked at */
	u64 share_unchanged; /* of them: hashed before and not written since */
	u64 share_hashed;
	u64 share_compared;     /* all bytes of two pages, after write-protection */
	u64 share_merged_own;   /* pages given up for a shared frame that was this VM's first;
				   also instead of being evicted */
	u64 share_merged_other; /* ... for one that was another VM's */
	u64 share_zeroed;       /* pages given up for the zero frame */
	u64 share_taken;        /* breaks by the last owner: no copy */
	u64 share_copied;       /* breaks with a copy */
	u64 share_ns;           /* time spent scanning it */
	u64 share_refused[SHARE_REFUSED_COUNT];
} __attribute__((aligned(CACHE_LINE_BYTES)));

struct space_counts {
	struct space_stats *sets; /* [I] contents [a] */
	u32 set_mask;             /* [I] a CPU's set is the one of its number, under this mask */
	u64 consumed;             /* [a] pages; without what the sets have apart */
	u64 peak;                 /* [a] the most that @consumed ever was */
} __attribute__((aligned(CACHE_LINE_BYTES)));

struct space;

/* How many sets there are for @vcpu_count vCPUs: a power of two. */
u32 space_counts_sets(u32 vcpu_count);

/* This CPU's. */
static inline struct space_stats *space_counts_here(const struct space_counts *counts)
{
	return &counts->sets[platform_cpu_id() & counts->set_mask];
}

/* Add to, take from one field of struct space_stats. */
#define space_count(space, field, n)   stats_add(&space_counts_here(&(space)->counts)->field, (n))
#define space_uncount(space, field, n) stats_sub(&space_counts_here(&(space)->counts)->field, (n))

/*
 * @pages pages went from one state to another. Locks: that of their region, or nobody else has the
 * space. O(1).
 */
void space_count_state(struct space *space, enum page_state from, enum page_state to, u64 pages);

/*
 * A field of struct space_stats, and all of them. A gauge may be found below zero, and wrapped
 * around, while pages change. Cost: O(sets).
 */
#define space_counted(space, field)                                                                \
	space_counts_sum(&(space)->counts, offsetof(struct space_stats, field) / sizeof(u64))
u64 space_counts_sum(const struct space_counts *counts, size_t field);
struct space_stats space_stats(const struct space *space);

/* Pages in @state now. Cost: O(sets). */
u64 space_pages_in_state(const struct space *space, enum page_state state);

/*
 * Pages that have a frame of their own now, or one under read; shared ones are not among them.
 * While CPUs fault, what they do in the same moment may be missing. Cost: O(sets).
 */
u64 space_consumed_pages(const struct space *space);
/* Of these, those that are not on their way out. Cost: O(sets). */
u64 space_held_pages(const struct space *space);
/* Pages mapped from shared frames. Cost: O(sets). */
u64 space_shared_pages(const struct space *space);
/* Pages on their way out, shared ones too. Cost: O(sets). */
u64 space_leaving_pages(const struct space *space);
/* Between these two space_consumed_pages() is; they are equal where there is one set. O(1). */
u64 space_consumed_at_least(const struct space *space);
u64 space_consumed_at_most(const struct space *space);
/* The most that it ever consumed, to within what the sets may have apart. Cost: O(sets). */
u64 space_peak_pages(const struct space *space);

#endif
