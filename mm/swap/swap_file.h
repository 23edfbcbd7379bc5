/*
 * A VM's swap file: so many slots of one page each, and what is known of each slot.
 *
 * A slot is free, or holds a page, or a compressed object as it is (shorter than a page, in a slot
 * of its own). While a command for it is under way it is busy; freed meanwhile it is doomed, and
 * free when the command is done: no slot is given out while an earlier write may still arrive in
 * it. One word of eight bytes a slot says so, with the contents' checksum and the page number that
 * it was written for; the words are set aside when the file is made.
 *
 * Slots are handed out next-fit, so that pages evicted together lie together.
 *
 * Legend: [I] fixed after creation, [f] its lock.
 */
#ifndef MM_SWAP_SWAP_FILE_H
#define MM_SWAP_SWAP_FILE_H

#include "mm/base/list.h"
#include "mm/base/lock.h"
#include "mm/swap/swap_volume.h"

struct swap_io;

/* What is known of so many slots side by side, or of the file's last ones. */
#define SWAP_CHUNK_SLOTS 512u
struct swap_chunk {
	u64 *words;
	u32 free;
	bool stale; /* written, or not known to have been deallocated: see swap_trim.h */
};

struct swap_file {
	struct list in_volume;      /* [volume's lock] */
	struct swap_volume *volume; /* [I] */
	char name[SWAP_NAME_BYTES]; /* [I] "web.vswp"; "" once abandoned [volume's lock] */
	u64 slot_count;             /* [I] */
	u32 extent_count;           /* [I] */
	struct swap_extent extents[SWAP_EXTENTS]; /* [I] in the order of the file's slots */
	struct swap_chunk *chunks;                /* [I] contents [f] */
	u64 chunk_count;                          /* [I] */
	u64 frame_count; /* [I] frames that this struct and its chunks lie in */
	struct spinlock lock;
	u64 used;              /* [f] slots not free; read without it, too */
	u64 next;              /* [f] where the search for free ones begins */
	struct list under_way; /* [f] struct swap_io, by .in_file */
	u32 holds; /* [f] for I/O until its done() has returned, and for a swap_file_abandon() */
	u32 delivering; /* [f] done() now running for I/O that is not orphaned */
	bool abandoned; /* [f] gone with its last hold */
	bool trimming;  /* [f] .trim is under way, for chunk .trim_chunk */
	u64 trim_chunk; /* [f] else where the search for the next one begins */
	struct blk_request trim;
	struct swap_stats stats; /* [a] */
};

/* Frames that a file of @slots costs, part of its VM's overhead: about 0.2% of the slots. */
u64 swap_file_overhead_frames(u64 slots);

/**
 * Make @name (".vswp" is for the caller to append) of exactly @slots slots, at least 1.
 * Owns: *@out is the caller's until swap_file_abandon().
 * Returns 0; E_LIMIT (not so much room: swap_directory_room() tells how much there is, and in one
 * piece); E_EXIST (a file of that name is there, on whatever volume); E_NOMEM; E_IO (the volume is
 * not ready, or its disk is dead). Nothing is left behind. Not with a lock held. Cost: O(slots /
 * 512 + extents squared); no I/O.
 */
must_check err_t swap_file_create(
	struct swap_volume *volume, const char *name, u64 slots, struct swap_file **out);

/**
 * The VM's end: all slots are given up, and the file is the caller's no more. I/O that is under way
 * is orphaned (struct swap_io): its done() is still called, once. When this returns no done() of
 * the file's that is not orphaned runs or will. Waits for one that runs on another CPU just now,
 * so: hold no lock that a done() takes.
 */
void swap_file_abandon(struct swap_file *file);

/*
 * Free a slot that is in use. Any time: one that is busy is freed when its command is done, and a
 * reader of it still gets its old contents. Cost: O(1).
 */
void swap_slot_free(struct swap_file *file, u64 slot);

/* Does a slot that is in use hold a compressed object, not a page? Its length is read with it. */
bool swap_slot_is_object(struct swap_file *file, u64 slot);

/*
 * Is a command under way for a slot that is in use? A slot has one at a time. Stays false for as
 * long as the caller keeps others from starting one, as the lock of its page's region does.
 */
bool swap_slot_is_busy(struct swap_file *file, u64 slot);

/* Slots in use now, those of CLEAN pages among them; doomed ones too. */
u64 swap_file_used(const struct swap_file *file);

/* Slots beside each other that can be read with one command. */
struct swap_run {
	u64 first; /* slot */
	u32 count; /* 1 .. SWAP_CLUSTER_PAGES */
	/*
	 * The page that each was written for. A hint: what was written may be the page's no longer,
	 * and of page numbers only the low 28 bits (1 TiB) are kept. The page's entry decides.
	 */
	gfn_t gfns[SWAP_CLUSTER_PAGES];
};

/**
 * For read-ahead: the slots about @slot, itself included, that are in use and not busy, and were
 * written for the same 2 MiB, up to @most in all: those that follow it first, then those before.
 * Not beyond the extent, the 512 slots that are counted together, nor what the disk moves at once.
 * @slot: in use, not busy. Cost: O(most).
 */
void swap_neighbours(struct swap_file *file, u64 slot, u32 most, struct swap_run *out);

/* --- For swap_io ------------------------------------------------------------------------------ */

/*
 * @io, with pages in slots that are in use and not busy, begins: its slots are busy, and it is
 * orphaned if the file is given up. @write: its io->sums are theirs from now on; else io->sums and
 * .bytes tell what they are to hold.
 */
void swap_file_begin(struct swap_file *file, struct swap_io *io, bool write);
/*
 * It is over: slots that were doomed, and those of failed writes (.result), are free. Whether it is
 * orphaned is settled now; its done() is called between the two.
 */
void swap_file_end(struct swap_file *file, struct swap_io *io);
void swap_file_delivered(struct swap_file *file, bool orphaned);
/* Where in the volume a slot lies. */
u64 swap_file_volume_slot(const struct swap_file *file, u64 slot);
/* Do @count slots from @slot on lie side by side in the volume? */
bool swap_file_is_one_piece(const struct swap_file *file, u64 slot, u32 count);
/* How many slots a chunk has. */
u32 swap_file_chunk_slots(const struct swap_file *file, u64 chunk);
/* Drop one of .holds; the last one of an abandoned file takes it along. */
void swap_file_drop_hold(struct swap_file *file);

#endif
