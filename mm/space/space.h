/*
 * One VM's memory: the second-level tables whose entries record each page's state, the locks that
 * guard them, and their invariants.
 *
 * RAM lies at guest-physical 0 up to SPACE_LOW_END at most, the rest from 4 GiB on; between is the
 * guest's MMIO hole. Entries of one 2 MiB region are guarded by that region's lock; nothing else is
 * needed to fault. Leaf tables for the whole VM are set aside when it is created, so no fault fails
 * for want of one.
 */
#ifndef MM_SPACE_SPACE_H
#define MM_SPACE_SPACE_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/base/lock.h"
#include "mm/fault/fault_guard.h"
#include "mm/space/slat.h"
#include "mm/space/tlb.h"
#include "mm/space/space_counts.h"
#include "mm/base/latency.h"

#define SPACE_LOW_END    GIB(3) /* end of RAM below 4 GiB */
#define SPACE_HIGH_BASE  GIB(4)
#define SPACE_NAME_BYTES 32
#define SPACE_MEMORY_MAX GIB(16384)
#define SPACE_PINS_MAX   8192u /* pins held at a time */

struct space_config {
	const char *name;
	void *user;       /* the platform's: whose memory it is */
	u64 memory_bytes; /* a multiple of 4 KiB, at least 1 MiB */
	const struct slat_format *format;
	bool large_pages;         /* may map 2 MiB leaves (Mem.AllocGuestLargePage) */
	bool large_pages_no_exec; /* Intel part without PSCHANGE_MC_NO: split on fetch */
	bool no_dirty_bits;       /* this CPU sets no A and D in second-level tables */
	u32 share_salt;           /* spaces of equal salt share pages; 0: none are shared */
	u64 promised_bytes;       /* of memory_bytes, what it finds frames for whatever others do */
	u32 vcpu_count;           /* for how many there are guards */
	u64 zip_most_frames;      /* its compression cache; 0: none */
	struct swap_file *swap;   /* NULL: none */
};

/* Which pages of a 2 MiB leaf are known to be elsewhere too: what splitting it would gain. */
struct share_gain {
	u32 pages[REGION_PAGE_COUNT / 32]; /* one bit each */
	u32 count;
};

/* How far page sharing has come with a space: share.c. */
struct space_share {
	u32 salt;                 /* [a] changed by share_set_salt() */
	u32 phase;                /* [a] enum share_phase; changed by who scans */
	u64 next_page;            /* [scan] by page index */
	u64 passes;               /* [a] completed */
	u64 hints;                /* [a] as of the last pass: pages hashed, and unlike any other */
	u64 hints_now;            /* [scan] of the pass under way */
	struct share_gain *gains; /* [scan] by region */
};

/* How far rejoining has come: space_join.c. */
struct space_join {
	struct spinlock lock;
	u64 next_region; /* [j] */
	pfn_t run;       /* [j] 512 frames into which its pages are moving, or PFN_NONE */
	u32 moved;       /* [j] of them, those that are its pages' by now */
};

#define SPACE_AGES 16u

/* How long pages have not been used, in sweeps: reclaim_age.c. */
struct space_ages {
	u64 next_page;         /* [a] of the sweep under way, by page index */
	u64 swept_ns;          /* [a] when the last one ended; 0: never */
	u64 pages[SPACE_AGES]; /* [a] as of the last sweep, less what was evicted since */
	u64 found[SPACE_AGES]; /* [reclaim] by the sweep under way */
};

/* Of reads from the swap file, what came along: read_ahead.c. */
struct space_ahead {
	u64 narrowed;     /* [a] times that the reach was halved */
	u64 alone;        /* [a] reads of one page alone */
	u64 came, unused; /* [a] since it was last judged */
};

/* Of attempts to save a page from being swapped: evict_worth.c. */
struct space_worth {
	u64 fails;   /* [a] */
	u64 skipped; /* [a] pages, for want of worth */
};

/*
 * What the memory scheduler has decided, in pages as space_held_pages() counts them. Until it has,
 * nothing is decided: all are ~0, but fetch_pages. See reclaim.h and fetch.h.
 */
struct space_orders {
	u64 bound_pages;    /* [a] with so many it gives one up for each that it gets */
	u64 entitled_pages; /* [a] and with so many when memory is short */
	u64 evict_to_pages; /* [a] more than these are evicted */
	u64 fetch_pages;    /* [a] still to be brought back */
};

#define SPACE_SAMPLE_PAGES 128u

/* The pages whose use is watched now: sample.c. */
struct space_sample {
	u64 began_ns;
	u32 count;
	u32 pages[SPACE_SAMPLE_PAGES]; /* by page index */
	u8 found[SPACE_SAMPLE_PAGES];  /* enum sample_found */
};

struct zcache;
struct swap_file;

/* In a cache line of its own: neighbouring regions are used by different CPUs. */
struct space_region {
	struct spinlock lock; /* for all entries of the region */
	u64 *entry;           /* [I] its level-2 entry: saves each fault the walk there */
} __attribute__((aligned(CACHE_LINE_BYTES)));

struct space {
	char name[SPACE_NAME_BYTES];           /* [I] */
	void *user;                            /* [I] the platform's */
	const struct slat_format *format;      /* [I] */
	pfn_t root;                            /* [I] level-4 table */
	u64 page_count;                        /* [I] pages of RAM */
	u64 low_page_count;                    /* [I] of them below SPACE_LOW_END */
	bool large_pages, large_pages_no_exec; /* [I] */
	bool no_dirty_bits;                    /* [I] */
	u32 number;                            /* [I] space_registry.h */
	u64 serial;                            /* [I] */
	struct tlb_domain tlb;
	struct space_region *regions; /* [I] each 2 MiB of RAM */
	u64 region_count;             /* [I] */
	u64 frame_count;              /* [I] frames that this struct and its locks lie in */
	struct spinlock tables_lock;
	u64 table_reserve_head;  /* [tables] frames set aside, linked through their owner word; ~0
				    ends */
	u64 table_reserve_count; /* [tables] */
	u64 promised_pages;      /* [a] promise.h */
	u64 owed_pages;          /* [a] promise.c: its part of the sum */
	struct fault_guard *guards; /* [I] contents [a] */
	u32 guard_count;            /* [I] */
	struct zcache *zcache;      /* [I] NULL: none */
	struct swap_file *swap;     /* [I] NULL: none */
	struct space_ahead ahead;
	struct space_worth zip_worth, share_worth;
	u32 refused_in_row; /* [a] pages that found no room, since the last that did: evict.c */
	u64 rests_until_ns; /* [a] it has nothing to lose until then */
	bool waits;         /* [a] for a frame, or a command's record: reclaim.h */
	struct space_share share;
	u64 clear_next; /* by page index: what is cleared next; 0: nothing is being cleared */
	bool retired;   /* it is being destroyed */
	struct space_join join;
	struct space_ages ages;
	bool wants_sweep; /* [a] it pays for its pages itself: reclaim.c */
	struct space_orders orders;
	struct space_sample sample; /* [one] who calls sample.h */
	u64 fetch_at;               /* [one] who calls fetch.h: page index from which it goes on */
	struct space_counts counts;
	u64 pins;               /* [a] held now */
	struct latency swap_in; /* from the touch to the page, of pages that were read */
};

/* What creating such a space costs in frames beyond its RAM: tables, locks, the struct. */
u64 space_overhead_frames(const struct space_config *config);

/*
 * Make a space with every page UNTOUCHED. Owns: the caller owns *@out until space_destroy(); the
 * swap file is the space's if it succeeds.
 * Returns E_INVAL (sizes), E_NOMEM (nothing is left behind). Cost: O(regions).
 */
must_check err_t space_create(struct space **out, const struct space_config *config);

/*
 * Free everything, the swap file too. No vCPU of it runs or will. Pinned frames stay until their
 * last pin is dropped, which from now on is frame_unpin()'s to do; those of I/O under way until it
 * is done. Goes on until about @most_ns have passed, by one region's 512 pages at most. Returns
 * whether it is gone; if not, nobody may do anything with it but go on. Cost of all:
 * O(touched + regions).
 */
must_check bool space_destroy_some(struct space *space, u64 most_ns);
/* The same in one go. */
void space_destroy(struct space *space);

/*
 * All pages become UNTOUCHED again, as after a reset. Pinned frames as above; space_unpin() serves
 * them still. Goes on as above; returns whether all pages are. Until then no vCPU of it runs, and
 * nothing is written to it.
 */
must_check bool space_clear_some(struct space *space, u64 most_ns);
void space_clear(struct space *space);

bool space_is_ram(const struct space *space, gfn_t gfn);
/* Is the whole byte range RAM? For any numbers at all; false on wrap-around. */
bool space_range_is_ram(const struct space *space, gpa_t gpa, u64 bytes);

/*
 * Pin the frame behind @gfn for an access by the hypervisor or a device, bringing the page in
 * first.
 * @write: it will be written: it is made PRIVATE first and marked dirty. Without, *@out holds what
 * the page holds now: where it may be the zero frame, what the guest writes later goes elsewhere.
 * Returns 0 with *@out pinned; E_RANGE (not RAM); E_NOMEM; E_BUSY (SPACE_PINS_MAX are held); E_WAIT
 * (park and retry); E_CORRUPT (its contents are lost). Locks: takes the region's. Cost: as
 * fault_handle().
 */
must_check err_t space_pin(struct space *space, gfn_t gfn, bool write, pfn_t *out);
void space_unpin(struct space *space, pfn_t pfn);

/*
 * Pin @gfn for a device that is going to write all of the page, so that what it holds now is not
 * needed: where it is not in memory, it is not fetched but reads as zeros until the device has
 * written. Otherwise as space_pin() for writing; where that fails, the page is as it was.
 */
must_check err_t space_pin_overwrite(struct space *space, gfn_t gfn, pfn_t *out);

/*
 * Pin @gfn for writing if the guest could write it now without a fault. Else E_WAIT, and nothing is
 * done about it. Otherwise as space_pin(). O(1).
 */
must_check err_t space_pin_present(struct space *space, gfn_t gfn, pfn_t *out);

/* The state of a page now (console, tests). */
enum page_state space_page_state(struct space *space, gfn_t gfn);

/*
 * Walk the tables and compare every invariant with the statistics; false if one fails, and the log
 * tells which. No fault may run meanwhile. Cost: O(pages touched + regions).
 */
must_check bool space_audit(struct space *space);

/*
 * Make a PRIVATE page absent while it keeps its frame (PAGE_HIDDEN); the next touch brings it back
 * as it was, with no copy. So every touch can be made to fault: tests of restartability and event
 * re-injection, and CPUs without accessed bits, use it. Pinned pages and other states are left
 * alone; 2 MiB leaves are split. Returns whether it was hidden. Locks: takes the region's. Cost:
 * one flush round; space_hide_all() does one for all (and one for each split), and returns how many
 * were hidden.
 */
bool space_hide(struct space *space, gfn_t gfn);
u64 space_hide_all(struct space *space);

/*
 * Split every 2 MiB leaf (memory is getting short). Returns how many were split. Cost: O(regions),
 * a lock each.
 */
u64 space_split_all(struct space *space);

#endif
