/*
 * A swap volume: a partition that swap files lie on.
 *
 * Opening reads the header. A sound one is used, and its count of boots raised; where there is
 * none, or a damaged one, or one of another size, the volume is formatted (that the partition has
 * Bellows' own type is its owner's permission), and the log says so; one of a newer version is
 * refused. After that a volume holds an area of slots, from which files take extents.
 *
 * This is the only file of mm that tells a disk to write swap, and swap_volume_submit() the one
 * place where it is made certain that nothing but the partition is written.
 *
 * Volumes are opened at boot and never closed. Legend: [I] fixed after swap_volume_open(), [R] once
 * READY, [v] its lock, [a] atomic.
 */
#ifndef MM_SWAP_SWAP_VOLUME_H
#define MM_SWAP_SWAP_VOLUME_H

#include "mm/blk.h"
#include "mm/base/list.h"
#include "mm/base/lock.h"

#define SWAP_NAME_BYTES    48
#define SWAP_WHY_BYTES     96
#define SWAP_CLUSTER_PAGES 32u /* most that one command moves */
#define SWAP_EXTENTS       16u /* most that a file is made of */

enum swap_volume_state {
	SWAP_OPENING, /* its header is being read or written */
	SWAP_READY,
	SWAP_REFUSED, /* .why; never used */
};

/* How it was found. */
enum swap_found { SWAP_FOUND_OURS, SWAP_FOUND_BLANK, SWAP_FOUND_DAMAGED, SWAP_FOUND_RESIZED };

/* Slots of a volume, first .. first + count - 1. */
struct swap_extent {
	u64 first, count;
};

struct swap_stats {
	u64 writes, pages_written, write_errors; /* commands, pages, pages */
	u64 reads, pages_read, read_errors;
	u64 reread;      /* pages whose checksum was wrong, and that were read again for it */
	u64 corrupt;     /* pages that were wrong again */
	u64 deallocated; /* slots that the disk was told about */
};

struct swap_volume {
	struct swap_volume *next;   /* the list of all: swap_volume_first() */
	char name[SWAP_NAME_BYTES]; /* [I] for people: the partition's */
	struct blk_device *blk;     /* [I] */
	u64 first_block;            /* [I] of the partition on the disk */
	u64 block_count;            /* [I] */
	u64 slot_count;             /* [I] */
	u64 slots_block;            /* [I] where slot 0 lies, on the disk */
	u32 cluster_pages;        /* [I] what the disk moves at once, SWAP_CLUSTER_PAGES at most */
	u32 state;                /* [a] enum swap_volume_state; set last */
	enum swap_found found;    /* [R] */
	u64 boots;                /* [R] as which it was opened since it was formatted: 1 .. */
	char why[SWAP_WHY_BYTES]; /* SWAP_REFUSED: why */
	struct spinlock lock;
	struct list files; /* [v] struct swap_file; an abandoned one until its I/O is done */
	struct blk_request *waiting,
		**waiting_end;             /* [v] the disk had no room for them, oldest first */
	struct blk_request header_request; /* while SWAP_OPENING, */
	struct blk_segment header_segment;
	void *header;            /* and one page for it */
	struct swap_stats stats; /* [a] */
	bool deallocate_failed;  /* [a] it is not tried again */
};

/* There are no volumes. Once, before any is opened. */
void swap_init(void);

/**
 * Begin to open the partition of @block_count blocks from @first_block on as a volume. It is in the
 * list of all at once, and swap_volume_state() tells when it is ready or refused: after some
 * blk_poll(), within the time that the disk's driver gives three requests.
 * @name: copied, cut if need be.
 * Returns 0, also for a volume that is refused at once (too small, a disk that cannot be used);
 * E_NOMEM. Boot CPU, before any VM runs; not with a lock held.
 */
must_check err_t swap_volume_open(
	struct blk_device *blk, u64 first_block, u64 block_count, const char *name);

static inline enum swap_volume_state swap_volume_state(const struct swap_volume *volume)
{
	return __atomic_load_n(&volume->state, __ATOMIC_ACQUIRE);
}

/* All volumes by .next, in the order in which they were opened. NULL: none. */
struct swap_volume *swap_volume_first(void);

/*
 * Give the disks what they had no room for. Where blk_poll() is called, after it: any CPU, often,
 * no lock held; it may call a swap_io's done().
 */
void swap_volumes_poll(void);

/* --- For swap_file and swap_io ------------------------------------------------------------- */

/* Can it be written and read? */
bool swap_volume_is_usable(const struct swap_volume *volume);

/*
 * Start @request (op, segments, done are set) for @count slots of the volume from @slot on. Its
 * done() is called from blk_poll() or swap_volumes_poll(). Segments stay as they are until then.
 * Returns 0; E_IO (the disk is dead, or takes no such thing: nothing is under way).
 */
must_check err_t swap_volume_submit(
	struct swap_volume *volume, struct blk_request *request, u64 slot, u32 count);

#endif
