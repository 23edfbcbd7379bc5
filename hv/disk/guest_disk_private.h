/*
 * What the files of a guest's disk share: guest_disk.c (its life, its queue), guest_disk_slot.c (a
 * request's steps), guest_disk_data.c (its data, pinned or bounced). Everything under the VM's
 * lock.
 */
#ifndef HV_DISK_GUEST_DISK_PRIVATE_H
#define HV_DISK_GUEST_DISK_PRIVATE_H

#include "hv/disk/guest_disk.h"
#include "mm/space/space_peek.h"

#define SLOT_PART_PAGES 64u /* of the data, in one request to the disk */
#define SLOT_NO_BOUNCE  GUEST_DISK_BOUNCES

enum slot_state {
	SLOT_FREE,
	SLOT_TAKEN,   /* its chain was taken; the header is to be read */
	SLOT_RANGE,   /* what is to be discarded or zeroed is to be read */
	SLOT_MOVING,  /* the next part is to be given to the disk */
	SLOT_FILLING, /* the same, through a bounce page: data from the guest, then to the disk */
	SLOT_AT_DISK,
	SLOT_PEEKING,  /* a page that is not in memory is being read into a bounce page for it */
	SLOT_EMPTYING, /* a bounce page's data are to be given to the guest */
	SLOT_FLUSHING, /* a flush is to be given to the disk */
	SLOT_NAMING,   /* the disk's identification is to be given to the guest */
	SLOT_ENDING,   /* its status is to be given to the guest, and its chain */
};

struct slot {
	enum slot_state state;
	bool is_orphan;  /* at the disk, or peeking, and nobody waits for it */
	bool space_gone; /* likewise, and its pins are the frames' only */
	enum virtio_blk_status status;
	struct guest_disk *disk; /* [I] */
	struct virtio_chain chain;
	struct virtio_blk_request request;
	u64 moved_blocks;
	u64 start_ns;
	struct blk_request blk;
	u32 bounces;                            /* that it has: a bit for each */
	u32 bounce, bounce_bytes, copied_bytes; /* the one of SLOT_FILLING and SLOT_EMPTYING */
	struct space_peek peek;
	u32 peek_bounce; /* where it goes to */
	gfn_t fetched;   /* the last page that had to be brought in for it */
	u32 page_count;
	pfn_t pages[SLOT_PART_PAGES]; /* pinned for the part; none where a bounce page serves */
};

struct guest_disk {
	struct guest_disk_config config;
	struct virtio_blk_disk shape;
	struct virtio_blk_config registers;
	struct virtio_device device;
	struct virtio_mmio mmio;
	struct space *space; /* NULL: no guest has it */
	struct guest_disk_stats stats;
	u32 orphan_count;
	u32 turn_work;     /* left of this call's */
	bool has_given;    /* the guest is to be told */
	u32 bounces_taken; /* a bit for each */
	u8 *bounces;
	gfn_t peeked[GUEST_DISK_BOUNCES]; /* whose contents a bounce page that a slot has holds */
	struct slot slots[GUEST_DISK_SLOTS];
};

/* Somebody else will go on with it. */
static inline bool slot_is_lent(const struct slot *slot)
{
	return slot->state == SLOT_AT_DISK || slot->state == SLOT_PEEKING;
}

/* --- guest_disk_slot.c --- */

/* Go on with a request as far as it goes: until it is lent, over, or has to wait. */
void slot_advance(struct slot *slot);
/* A request with the slot's chain begins. */
void slot_begin(struct slot *slot);
/* Forget the request: it is not lent, or just came back. */
void slot_free(struct slot *slot);

/* It came back, and nobody waits for it: forget it. Returns whether that is so. */
bool slot_drop_orphan(struct slot *slot);
void slot_end_with(struct slot *slot, enum virtio_blk_status status);
/* An error of the guest's memory: what is no RAM ends the request (0), all else is handed back. */
must_check err_t slot_memory_failed(struct slot *slot, err_t err);
/* After a part of the data. */
void slot_next_part(struct slot *slot);
enum blk_op slot_op(const struct slot *slot);
/* Give @count blocks from where the slot has got to to the disk. E_BUSY: later. */
must_check err_t slot_submit(struct slot *slot, enum blk_op op, u64 count,
	const struct blk_segment *segments, u32 segment_count);

/* --- guest_disk_data.c --- */

/* Steps: the next part of the data as it lies; or into a bounce page; from there to the guest. */
must_check err_t slot_move_data(struct slot *slot);
must_check err_t slot_fill_bounce(struct slot *slot);
must_check err_t slot_empty_bounce(struct slot *slot);

void slot_let_go(struct slot *slot); /* of its pins */
void slot_drop_bounces(struct slot *slot);

/* --- guest_disk.c --- */

/* Too many pins are as a page that is not to be had yet. */
static inline err_t guest_disk_as_wait(err_t err)
{
	return err == E_BUSY ? E_WAIT : err;
}

/* The owner is to call guest_disk_work(), for the reasons of @wants. */
void guest_disk_want(struct guest_disk *disk, u32 wants);
/* Something could not be done now; or never, and the VM must end. */
void guest_disk_note_wait(struct guest_disk *disk, err_t err);

#endif
