/*
 * Physical frames: what each is used for, how often it is referenced, who holds it pinned; and
 * their allocation, O(1), from per-CPU caches in front of one pool.
 *
 * The frame table is one virtual array indexed by pfn (16 bytes a frame); the platform backs it
 * with memory only where there is RAM, so holes cost nothing. Every RAM frame is always in exactly
 * one kind, and the account of frames by kind always sums to all RAM frames.
 */
#ifndef MM_FRAME_FRAME_H
#define MM_FRAME_FRAME_H

#include "mm/base/types.h"
#include "mm/base/err.h"

enum frame_kind {
	FRAME_RESERVED = 0, /* not RAM, or not ours: firmware, holes; not counted */
	FRAME_FREE,
	FRAME_HV,            /* the hypervisor's own: image, tables, stacks, VM structures */
	FRAME_BOOT_FILES,    /* kernels and initrds kept for VM resets */
	FRAME_TABLE,         /* second-level page tables in use */
	FRAME_TABLE_RESERVE, /* set aside for them */
	FRAME_ZERO,          /* the host's one zero frame */
	FRAME_PRIVATE,       /* one guest's page */
	FRAME_SHARED,        /* several guests' page */
	FRAME_ZCACHE,        /* a compression cache's: evicted pages, compressed */
	FRAME_ORPHAN,        /* unmapped, freed with its last pin */
	FRAME_JOIN,          /* set aside for pages that move into a 2 MiB run */
	FRAME_KIND_COUNT
};

/*
 * One frame's record. The word holds mapping references (31:0), pins (47:32) and kind (55:48)
 * together, so that "the last reference and the last pin are gone" is one atomic step, whichever
 * goes last.
 */
struct frame {
	u64 word;  /* [a] */
	u64 owner; /* whoever owns the frame: a list link, a (space, gfn) hint */
};
_Static_assert(sizeof(struct frame) == 16, "frame table costs at most 16 bytes a frame");

/* A range of frames, for initialisation. */
struct frame_range {
	pfn_t first;
	u64 count;
	enum frame_kind kind; /* FRAME_FREE, FRAME_HV or FRAME_BOOT_FILES */
};

/* Bytes of the tables that frame_init() wants for RAM that ends at @end: the virtual sizes. */
size_t frame_table_bytes(pfn_t end);
size_t frame_region_table_bytes(pfn_t end);

/*
 * Take over all RAM. @ranges: every RAM range once, sorted. @table, @regions: virtual arrays for
 * pfns up to @end, backed (and zero) at least where RAM is, sized as above. @ranges is copied.
 * Once, before any other CPU runs.
 */
void frame_init(struct frame *table, void *regions, pfn_t end, const struct frame_range *ranges,
	u32 range_count);

/*
 * Allocates the per-CPU caches; until then the pool serves directly. After platform_cpu_count() is
 * known.
 */
must_check err_t frame_init_cpus(void);

/*
 * One frame, its count 1, contents undefined (frame_alloc) or zero (frame_alloc_zeroed).
 * Returns its pfn or PFN_NONE (none is free). Cost: O(1), one lock in 64 calls.
 */
must_check pfn_t frame_alloc(enum frame_kind kind);
must_check pfn_t frame_alloc_zeroed(enum frame_kind kind);

/*
 * 512 frames, 2 MiB aligned, contents undefined; or PFN_NONE. Each is a frame of its own, its
 * count 1.
 */
must_check pfn_t frame_alloc_large(enum frame_kind kind);

/*
 * @count contiguous frames (any alignment), zeroed, for set-up work: O(memory). PFN_NONE if there
 * are none.
 */
must_check pfn_t frame_alloc_run(enum frame_kind kind, u64 count);

/*
 * Give a frame back; its count must be 1 and nothing may map it. If it is pinned it becomes
 * FRAME_ORPHAN.
 */
void frame_free(pfn_t pfn);
void frame_free_run(pfn_t first, u64 count);

void frame_get(pfn_t pfn);
/* Drop a reference; frees with the last. Returns whether it was the last. */
bool frame_put(pfn_t pfn);
/*
 * Drop the references to those of @count frames that are PRIVATE, with no pin, which frees them: a
 * lock in 64 frames. The others are moved to the front; returns how many they are.
 */
must_check u32 frame_put_private(pfn_t *pfns, u32 count);
/*
 * Drop the references to the 512 frames of one frame_alloc_large(), each its only one, in some 2000
 * instructions. Where one is pinned, as frame_put() of each.
 */
void frame_put_large(pfn_t first);
/* Drop a reference unless it is the last one; returns whether one was dropped. */
bool frame_put_unless_last(pfn_t pfn);
/* References now; others may come and go unless the caller holds what prevents it. */
u64 frame_ref_count(pfn_t pfn);

/*
 * A word for the frame's owner; meaningless across frame_free(). Whoever reads it without holding
 * what keeps the frame must be content with a word of its next life.
 */
u64 frame_owner(pfn_t pfn);
void frame_set_owner(pfn_t pfn, u64 owner);

/* Change a live frame's kind, keeping the account. */
void frame_set_kind(pfn_t pfn, enum frame_kind kind);
enum frame_kind frame_kind(pfn_t pfn);

/*
 * A pin keeps the frame from being freed or reused. Caller of frame_pin() holds what keeps the
 * mapping stable meanwhile. At most 65535 pins a frame; the caller bounds them. The zero frame is
 * never freed: its pins are not counted.
 */
void frame_pin(pfn_t pfn);
void frame_unpin(pfn_t pfn);
u32 frame_pin_count(pfn_t pfn);

/* Is this pfn RAM that we own? For any number at all. */
bool frame_is_ram(pfn_t pfn);

struct frame_account {
	u64 frames[FRAME_KIND_COUNT];
	u64 total; /* all RAM frames; equals the sum of frames[] but FRAME_RESERVED */
};
/* Exact when no other CPU allocates meanwhile, else off by what is under way. Cost: O(CPUs). */
void frame_account_get(struct frame_account *out);
const char *frame_kind_name(enum frame_kind kind);
/* Frames of one kind now. Cost: O(CPUs). */
u64 frame_kind_count(enum frame_kind kind);
/* Free frames, those in per-CPU caches included. Cost: O(CPUs), of words that they keep writing. */
u64 frame_free_count(void);
/* So many at least: those in no CPU's cache. Cost: a word written once in 64 allocations. */
u64 frame_free_at_least(void);
u64 frame_total_count(void);
/* How many whole free 2 MiB regions there are. */
u64 frame_free_large_count(void);

/* The one zero frame: read-only everywhere, uncounted. */
pfn_t frame_zero(void);

/*
 * Recount everything from the table and compare with the account; false if they differ, and the log
 * tells where. No other CPU may allocate or free meanwhile. Cost: O(memory).
 */
must_check bool frame_audit(void);

#ifdef BELLOWS_HOST
/* For tests: make allocations fail, and watch frames come and go. Any may be NULL. */
struct frame_test_hooks {
	bool (*alloc_fails)(void);
	void (*allocated)(pfn_t pfn); /* before the caller of frame_alloc() sees it */
	void (*freed)(pfn_t pfn);     /* before it may be allocated again */
};
extern struct frame_test_hooks frame_test_hooks;
#endif

#endif
