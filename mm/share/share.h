/*
 * Transparent page sharing: pages with the same bytes are found and kept once, read-only; a write
 * gets a page of its own. Found by hash (share_hash.h) through an index (share_index.h), decided by
 * comparing all bytes after write-protecting and flushing both pages (share_merge.c).
 *
 * A scan goes over a space in passes. A pass first clears D everywhere and flushes; then it looks
 * at each page: one that was written since is left for the next pass, one that was hashed before
 * and not written since is passed by, the others are hashed, looked up, and merged or left as a
 * hint. One scan runs at a time; its state lies in the space, so any CPU can go on with it.
 *
 * A hint can find no room, or lose it. Then nobody finds its page; but of the pages that are passed
 * by, each is looked up again once in SHARE_AGAIN_PASSES passes (with a minute of rest after each,
 * 17 hours), and finds those like it itself.
 *
 * Only spaces of equal salt share. Salt 0: the space is not scanned.
 */
#ifndef MM_SHARE_SHARE_H
#define MM_SHARE_SHARE_H

#include "mm/fault/fault.h"

#define SHARE_AGAIN_PASSES 1024u

enum share_phase {
	SHARE_PHASE_SWEEP, /* clears D bits; a pass begins with this */
	SHARE_PHASE_SCAN,
	SHARE_PHASE_UNSHARE, /* after a change of salt: breaks what is shared under the old one */
};

/*
 * Draw the key, make the index, forget all spaces. After frame_init_cpus(), before any space.
 * Returns E_NOMEM. With no random numbers only zero pages are recognised: share_is_keyed() tells.
 */
must_check err_t share_init(void);
bool share_is_keyed(void);

/* Whom @space shares with; 0: nobody. */
static inline u32 share_salt(const struct space *space)
{
	return __atomic_load_n(&space->share.salt, __ATOMIC_RELAXED);
}

/* May its pages become shared? */
static inline bool share_is_on(const struct space *space)
{
	return share_salt(space) != 0 && share_is_keyed();
}

struct share_progress {
	u64 visited;     /* entries looked at */
	u64 hashed;      /* pages */
	bool pass_ended; /* the next call begins a pass */
	bool no_memory;  /* unsharing waits for free frames */
};

/*
 * Scan @space a little: until @hash_most pages are hashed, or @most_ns have passed (by one page's
 * work at most), or the pass ends. @space exists when this is called. Returns at once where another
 * CPU is scanning. Locks: none held; takes region locks, one at a time, and unsharing what a fault
 * takes that finds no frame (reclaim_for_fault()).
 */
struct share_progress share_scan(struct space *space, u64 hash_most, u64 most_ns);

/*
 * Change who @space shares with. What it shares under another salt is unshared by its next scans,
 * which need frames for that: where there is none they go on later. Locks: none held; waits for a
 * scan's slice at most.
 */
void share_set_salt(struct space *space, u32 salt);

/* May it have pages that are shared under a salt that it has left? */
static inline bool share_is_unsharing(const struct space *space)
{
	return __atomic_load_n(&space->share.phase, __ATOMIC_RELAXED) == SHARE_PHASE_UNSHARE;
}

/*
 * @frame, of a page of @space that is about to be evicted: has a shared frame the same bytes? Then
 * *@leaf maps that, read-only, with a reference of its own. Only where share_is_on().
 * Locks: region held; the page can be neither written nor reached. Cost: hashing a page, and
 * comparing it with what is found.
 */
must_check bool share_instead(struct space *space, pfn_t frame, u64 *leaf);

/*
 * A write to @gfn, which is SHARED: the last owner takes the frame as it is, any other gets a copy.
 * Returns FAULT_DONE or FAULT_NOMEM (nothing changed). Locks: region held. Cost: O(1) and a copy.
 */
must_check enum fault_result share_break(struct space *space, gfn_t gfn, u64 *entry);

/* What a space shares, by looking at all its entries. Cost: O(pages). */
struct share_figures {
	u64 shared_pages;     /* mapped read-only from shared frames */
	u64 saved_millipages; /* of them, in 1/1000: what they would cost more, unshared */
	u64 own_pages;        /* of shared_pages: from frames that were this space's first, or are
				 its alone by now */
	u64 other_pages;      /* ... another's */
	u64 hint_pages;       /* as of the last pass: hashed, and unlike any other */
	u64 zero_pages;
};
void share_figures_get(struct space *space, struct share_figures *out);

const char *share_refusal_name(enum share_refusal why);

/* --- Rates: pure --- */

struct share_rate_limits {
	u32 scan_time_min; /* Mem.ShareScanTime: a VM is scanned once in this time */
	u32 mib_s_per_ghz; /* Mem.ShareScanGHz: ceiling of the host */
	u32 vm_pages_s;    /* Mem.ShareRateMax: ceiling of a VM */
};

/*
 * Pages a second that a VM of @pages is to be scanned at, where all VMs together have @all_pages,
 * on
 * @cpu_count CPUs of @khz. 0 where a limit is 0. Never above any limit, rounded down.
 */
u64 share_rate_pages_s(
	const struct share_rate_limits *limits, u64 pages, u64 all_pages, u64 khz, u32 cpu_count);

#ifdef BELLOWS_HOST
/* Where a test may act in the middle of a merge: no lock is held, and no space but the scanned one.
 */
enum share_step {
	SHARE_STEP_PROTECTED, /* the batch is write-protected; nothing is held, any VM may end */
	SHARE_STEP_FLUSHED,   /* likewise, and flushed */
	SHARE_STEP_TARGET,    /* one page's target is there; the scanned space must not end */
	SHARE_STEP_MERGED,    /* one page is done; likewise */
};
/* @act may be NULL. @hash_bits: keep only so many of each hash; 0: all. */
void share_test_hooks(void (*act)(enum share_step step), u32 hash_bits);
#endif

#endif
