/*
 * What the files of a guest's disk share: guest_disk.c (its life, its queue), guest_disk_slot.c (a
 * request's steps), guest_disk_data.c (its data, pinned or bounced). Everything under the VM's
 * lock.
 */
#ifndef HV_GUEST_DISK_PRIVATE_H
#define HV_GUEST_DISK_PRIVATE_H

#include "hv/guest_disk.h"

#define SLOT_PART_PAGES 64u /* of the data, in one request to the disk */
#define SLOT_NO_BOUNCE  GUEST_DISK_BOUNCES

enum slot_state {
	SLOT_FREE,
	SLOT_TAKEN,   /* its chain was taken; the header is to be read */
	SLOT_RANGE,   /* what is to be discarded or zeroed is to be read */
	SLOT_MOVING,  /* the next part is to be given to the disk */
	SLOT_FILLING, /* the same, through a bounce page: data from the guest, then to the disk */
	SLOT_AT_DISK,
	SLOT_EMPTYING, /* a bounce page's data are to be given to the guest */
	SLOT_FLUSHING, /* a flush is to be given to the disk */
	SLOT_NAMING,   /* the disk's identification is to be given to the guest */
	SLOT_ENDING,   /* its status is to be given to the guest, and its chain */
};

struct slot {
	enum slot_state state;
	bool is_orphan;  /* at the disk, and nobody waits for it */
	bool space_gone; /* likewise, and its pins are the frames' only */
	enum virtio_blk_status status;
	struct guest_disk *disk; /* [I] */
	struct virtio_chain chain;
	struct virtio_blk_request request;
	u64 moved_blocks;
	u64 start_ns;
	struct blk_request blk;
	u32 bounce, bounce_bytes, copied_bytes;
	u32 pin_count;
	pfn_t pins[SLOT_PART_PAGES];
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
	bool has_work;     /* [a] guest_disk_work() may get something on */
	bool is_urgent;    /* [a] and nothing else will tell when */
	bool has_given;    /* the guest is to be told */
	u32 bounces_taken; /* a bit for each */
	u8 *bounces;
	struct slot slots[GUEST_DISK_SLOTS];
};

/* --- guest_disk_slot.c --- */

/*
 * Go on with a request as far as it goes: until it is at the disk, over, or has to wait.
 */
void slot_advance(struct slot *slot);
/* A request with the slot's chain begins. */
void slot_begin(struct slot *slot);
/* Forget the request: it is not at the disk, or just came back from there. */
void slot_free(struct slot *slot);

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

/* Steps: the next part of the data, as it lies; the same through a bounce page; from there to the
 * guest. */
must_check err_t slot_move_data(struct slot *slot);
must_check err_t slot_fill_bounce(struct slot *slot);
must_check err_t slot_empty_bounce(struct slot *slot);

void slot_let_go(struct slot *slot); /* of its pins */
void slot_drop_bounce(struct slot *slot);

/* --- guest_disk.c --- */

/* Too many pins are as a page that is not to be had yet. */
static inline err_t guest_disk_as_wait(err_t err)
{
	return err == E_BUSY ? E_WAIT : err;
}

/* Something could not be done now; or never, and the VM must end. */
void guest_disk_note_wait(struct guest_disk *disk, err_t err);

#endif
