/*
 * Clusters of pages on their way to slots of a swap file, or back.
 *
 * A record is taken, filled in, handed over with swap_write() or swap_read(), and is back with its
 * done(), which gives it back (swap_io_give()) or uses it again. All records are set aside when the
 * first volume is opened; so many are under way at most.
 *
 * done() runs from blk_poll() or swap_volumes_poll(), in root mode, on any CPU, with no lock held;
 * it can run before the function that submitted has returned. It is called exactly once, also when
 * the disk dies. io->orphaned: the file has been abandoned meanwhile, and its space may
 * be gone. Such a done() touches neither file nor space; it lets go of the frames (frame_free() or
 * wherever they are from), and of the record.
 *
 * What goes out is summed with a secret key, and what comes back compared. A page of a cluster that
 * could not be read, and one whose sum is wrong, is read once more by itself, so that no page is
 * lost for another's sake, or for one bad transfer. Besides, the disk's driver has retried what it
 * could.
 */
#ifndef MM_SWAP_SWAP_IO_H
#define MM_SWAP_SWAP_IO_H

#include "mm/swap/swap_file.h"

#define SWAP_OBJECT_BYTES_MAX 4092u

struct swap_page {
	gfn_t gfn;   /* whose page it is: kept as a hint for neighbours */
	pfn_t frame; /* a write leaves it alone, but for an object's last 4 bytes */
	u64 slot;
	/*
	 * PAGE_BYTES: a page. Less: an object's length, at most SWAP_OBJECT_BYTES_MAX; its frame is
	 * padded with zeros, and the length kept in its last 4 bytes. A write is told, a read tells
	 * (where its result is 0).
	 */
	u32 bytes;
	bool is_for_write; /* the taker's own: a read that a write waits for */
	bool came_along;   /* likewise: one that nothing waited for when it was begun */
	err_t result;      /* in done(): 0; E_IO; E_CORRUPT (reads) */
};

struct swap_io {
	/* The caller's, except while it is under way. */
	struct swap_page pages[SWAP_CLUSTER_PAGES];
	u32 page_count;
	void (*done)(struct swap_io *io);
	void *context;
	bool orphaned; /* in done(): see above */
	u64 began_ns;  /* free for the caller: when it was begun */
	/* swap's own. */
	struct swap_file *file;
	struct list in_file;  /* [f] */
	struct swap_io *next; /* in the list of free ones */
	struct blk_request request;
	struct blk_segment segments[SWAP_CLUSTER_PAGES];
	u32 sums[SWAP_CLUSTER_PAGES]; /* what the pages' are, or are to be */
	u32 alone; /* the page that is read again, by itself; page_count and more: none */
};

/* Set aside the records, and draw the checksums' key: as the first volume is opened. E_NOMEM. */
must_check err_t swap_io_init(void);

/*
 * A record, or NULL: all are under way. Reclaim, which writes, leaves a quarter of them to faults,
 * which read. Who must wait for one tries again after a swap_io_give().
 */
struct swap_io *swap_io_take(bool to_write);
void swap_io_give(struct swap_io *io);
u32 swap_io_count(void);

/* Each record has a number below swap_io_count(): with a page's index it fits a page's entry. */
u32 swap_io_number(const struct swap_io *io);
struct swap_io *swap_io_find(u32 number);

/**
 * Find free slots for @io->pages[], side by side, and note whose they are (.gfn, .bytes).
 * Fewer may be had than pages are given: io->page_count is then less, and the pages behind are as
 * they were. Slots that are not written after all are given back with swap_slot_free(). Returns 0
 * (.slot of each is set); E_LIMIT (none is free); E_IO (the disk is dead). Cost: a bounded search,
 * of some thousand words at most.
 */
must_check err_t swap_slots_take(struct swap_file *file, struct swap_io *io);

/**
 * Write @io's pages to the slots that swap_slots_take() found. Whoever writes a frame before done()
 * makes that page void: its slot then holds what fits no sum, and is to be freed, never read. So a
 * guest may have its page back meanwhile; sum and device read each word as it is. A page that
 * failed has lost its slot: it is free again. Returns 0 (done() will be called); E_IO (the disk is
 * dead: nothing was started, the slots are free again). Never waits. Cost: a checksum a page.
 */
must_check err_t swap_write(struct swap_file *file, struct swap_io *io);

/**
 * Read slots, which are in use, not busy, side by side in ascending order, and in one extent
 * (swap_neighbours() finds such), into @io's frames. In done() each page has a result of its own; a
 * slot stays in use whatever came of it. Returns 0 (done() will be called); E_IO (the disk is dead:
 * nothing was started). Never waits. Cost: a checksum a page, before done().
 */
must_check err_t swap_read(struct swap_file *file, struct swap_io *io);

#endif
