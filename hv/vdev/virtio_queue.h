/*
 * A split virtqueue as the device sees it: chains of buffers that the driver makes available,
 * handed back as used. Pure: the guest's memory is reached through struct virtio_memory only.
 *
 * The rings' own pages are pinned while the queue is live, so they can be read and written at any
 * time; a table of indirect descriptors may have to be waited for, and then nothing has been taken.
 * Everything in a ring is hostile: it is read once, checked, and copied out; what cannot be right
 * breaks the queue (E_CORRUPT), which then takes nothing more until it is reset.
 *
 * Virtual I/O Device (VIRTIO) Version 1.1, "Split Virtqueues". Locks: the VM's.
 */
#ifndef HV_VDEV_VIRTIO_QUEUE_H
#define HV_VDEV_VIRTIO_QUEUE_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define VIRTQUEUE_SIZE_MAX 64u /* entries, and so descriptors in a chain */
#define VIRTQUEUE_AREAS    3u  /* descriptors, available ring, used ring */

/* The guest's memory, as whoever has the VM gives it to a device. */
struct virtio_memory {
	void *context;
	/* Keep a page at *va, for reading and writing, until unpin(). E_RANGE (no RAM), E_WAIT, or
	 * what breaks the VM. */
	err_t (*pin)(void *context, gfn_t gfn, void **va);
	void (*unpin)(void *context, void *va);
	/* Copy. Errors as above; after one, do all of it again. */
	err_t (*read)(void *context, gpa_t from, void *to, u32 bytes);
	err_t (*write)(void *context, gpa_t to, const void *from, u32 bytes);
};

/* One of the rings: at most two pages, for at most 1 KiB. */
struct virtqueue_area {
	u64 gpa;
	u8 *pages[2];
};

struct virtqueue {
	u32 size; /* a power of two */
	bool indirect;
	bool broken;
	bool live;
	struct virtqueue_area areas[VIRTQUEUE_AREAS];
	u16 available, used; /* what was taken, what was given back, as the rings' indexes count */
};

/* A piece of a buffer, of the guest's choosing: neither its address nor its length is checked. */
struct virtio_piece {
	u64 gpa;
	u32 bytes;
};

/* One chain, copied out: first what the device may read, then what it may write. */
struct virtio_chain {
	u16 head;
	u32 read_count, count;
	struct virtio_piece pieces[VIRTQUEUE_SIZE_MAX];
};

/*
 * Copy between @buffer and what lies @offset bytes into @count @pieces; they are that long. Errors
 * of the memory's: do all of it again. Cost: O(pieces).
 */
must_check err_t virtio_pieces_read(const struct virtio_memory *memory,
	const struct virtio_piece *pieces, u32 count, u64 offset, void *buffer, u32 bytes);
must_check err_t virtio_pieces_write(const struct virtio_memory *memory,
	const struct virtio_piece *pieces, u32 count, u64 offset, const void *buffer, u32 bytes);
u64 virtio_pieces_bytes(const struct virtio_piece *pieces, u32 count);

/*
 * Make the queue live: its rings are pinned, and begin empty. .size, .indirect and the areas' .gpa
 * are set. Returns 0; E_INVAL (size or alignment); E_RANGE (not in RAM); E_WAIT, E_BUSY, E_NOMEM.
 * Nothing is pinned after an error.
 */
must_check err_t virtqueue_start(struct virtqueue *queue, const struct virtio_memory *memory);
/* Unpin; a queue that is not live is left alone. */
void virtqueue_stop(struct virtqueue *queue, const struct virtio_memory *memory);

/*
 * Take the next available chain. Returns 0; E_NOTFOUND (there is none); E_WAIT and other errors of
 * memory->read (nothing was taken); E_CORRUPT (broken from now on). Cost: O(its descriptors).
 */
must_check err_t virtqueue_take(
	struct virtqueue *queue, const struct virtio_memory *memory, struct virtio_chain *chain);

/* Give a chain back; @written: bytes of it that the device wrote. */
void virtqueue_give(struct virtqueue *queue, u16 head, u32 written);

/* Does the driver want an interrupt for what it was given? */
bool virtqueue_wants_interrupt(const struct virtqueue *queue);

#endif
