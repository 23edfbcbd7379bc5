/*
 * The naive model: a VM's memory is an array of pages, each a block of bytes or not there yet
 * (zeros). The real one must never be seen to differ.
 */
#ifndef TESTS_MODEL_VMS_H
#define TESTS_MODEL_VMS_H

#include "mm/frame/frame.h"
#include "mm/space/space.h"
#include "tests/fake/rng.h"

#define VMS_MAX    4u
#define PINS_MAX   12u
#define MODEL_CPUS 4u

/* A pin held, and what its frame must hold. */
struct pin {
	bool used;
	bool write;
	u32 vm; /* VMS_MAX: it has ended, or was cleared */
	gfn_t gfn;
	pfn_t pfn;
	u64 serial;           /* of the frame, when it was pinned */
	enum frame_kind kind; /* when it was pinned */
	u8 *frozen;           /* contents of a shared frame: they stay while it is pinned */
	u8 *orphan;           /* contents, once the page was taken away; else NULL */
};

struct vm {
	struct space *space; /* NULL: does not exist */
	u8 **pages;          /* by page index; NULL = zeros */
	bool *ballooned;     /* by page index */
	u64 ballooned_count;
};

struct world {
	struct rng rng;
	struct vm vms[VMS_MAX];
	struct pin pins[PINS_MAX];
	u64 steps, accesses, nomem, clears, destroyed, kick_accesses;
	u64 scans, races, merges, breaks, joins, join_moves;
	u64 inflated, touched;
	u64 zipped, filled, shared_instead, swapped, cleaned, objects, came_back, read_ahead;
	u64 shared_out, waits, lost, peeks;
	u64 trace;          /* a hash over all that was done and came of it */
	struct vm *scanned; /* in the middle of a merge: this VM cannot end */
};

struct world_options {
	u64 seed;
	u64 ram_frames;
	u64 steps;
	u64 memory_bytes; /* of a VM, about */
	const struct slat_format *format;
	bool large_pages, large_pages_no_exec;
	bool stop_on_violation; /* for a sample that is broken on purpose */
	bool share;             /* pages get like contents, scans go on, and race with everything */
	u32 hash_bits;          /* of a page's hash; 0: all */
	bool reclaim;           /* pages are compressed, swapped, ballooned, and come back */
	bool disk_faults;       /* and the disk fails now and then */
	bool slow;              /* from look to look at the clock a thousand times as long passes */
	u64 *trace; /* NULL; or room for world.trace after each step: where two runs part */
};

/*
 * Run random operations, checking everything after each; aborts on the first wrong thing. Ends with
 * all freed. Returns false if it stopped on a violation, as told to.
 */
bool world_run(const struct world_options *options);

#endif
