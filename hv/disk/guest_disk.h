/*
 * A VM's disk: the requests of its virtio-blk device, carried out on a range of a block device's
 * blocks. The data goes between the disk and the guest's own frames, pinned meanwhile; what the
 * disk cannot take as it lies goes through a few bounce pages.
 *
 * Each request has a slot, which goes from step to step (enum slot_state in guest_disk.c). No step
 * needs more of the guest's pages at once than one (two where something lies across a page's end),
 * and none undoes what an earlier one did: a page that is not to be had is waited for, with nothing
 * else kept that it could be waiting for. So a guest whose pages come and go gets on.
 *
 * Requests outlive their guest: where it is reset or ends while some are at the disk, they become
 * orphans, whose frames stay pinned until the disk lets go of them, and nothing new is begun before
 * that, so that no late write lands on a later one.
 *
 * Everything from the guest is hostile: what cannot be right ends the request with an error, or,
 * where the rings themselves are senseless, the device says that it must be reset.
 *
 * Locks: the VM's, held by the caller of every function; a request's done() takes it, on whichever
 * CPU that runs.
 */
#ifndef HV_DISK_GUEST_DISK_H
#define HV_DISK_GUEST_DISK_H

#include "hv/vdev/virtio_blk.h"
#include "hv/vdev/virtio_mmio.h"
#include "mm/base/latency.h"
#include "mm/base/lock.h"
#include "mm/blk.h"
#include "mm/space/space.h"

#define GUEST_DISK_SLOTS   32u /* requests under way */
#define GUEST_DISK_BOUNCES 16u /* pages */

/* What a disk wants of whoever calls guest_disk_work(). */
#define GUEST_DISK_HAS_WORK  1u /* that may get something on */
#define GUEST_DISK_IS_URGENT 2u /* and nothing else will tell when: the CPU must not halt */
#define GUEST_DISK_AT_WORK   4u /* it is looking for what it needs; HAS_WORK may follow */

struct guest_disk_config {
	struct blk_device *blk;
	u64 first_block, block_count;
	char id[VIRTIO_BLK_ID_BYTES];
	struct spinlock *lock; /* the VM's */
	u32 *wants;            /* [a] written under the lock, read without; outlives the disk */
	void *context;
	/* The VM cannot go on: E_NOMEM, E_CORRUPT, as of an access of the guest's own. */
	void (*fail)(void *context, err_t err);
};

struct guest_disk_stats {
	u64 reads, writes, flushes, discards, zeroes; /* ended, with whatever status */
	u64 errors;                                   /* of them, those that failed */
	u64 read_bytes, written_bytes;
	u64 bounced_bytes;
	u64 fetched; /* pages brought into memory for it: the guest's own paging caused that */
	u64 waits;   /* steps that had to be tried again: for a page, or for the disk */
	u64 orphans;
	struct latency latency; /* of reads and writes */
};

struct guest_disk;

/* What guest_disk_create() allocates, in frames. */
u64 guest_disk_frames(void);

/* A disk with no guest. Returns 0; E_NOMEM. Owns: the caller. */
must_check err_t guest_disk_create(struct guest_disk **out, const struct guest_disk_config *config);
/* Nothing is at the disk (guest_disk_orphan_count()), and no guest has it. */
void guest_disk_destroy(struct guest_disk *disk);

/* The guest of @space has it now, in power-on state. */
void guest_disk_open(struct guest_disk *disk, struct space *space);
/* Power-on state again; before the space is cleared. */
void guest_disk_reset(struct guest_disk *disk);
/* No guest has it; before the space and the interrupt line go. Nothing, where none had it. */
void guest_disk_close(struct guest_disk *disk);

/* The registers that the guest sees. */
struct virtio_mmio *guest_disk_mmio(struct guest_disk *disk);

/* Requests at the disk that nobody waits for. */
u32 guest_disk_orphan_count(const struct guest_disk *disk);

/* Go on with what has come back from the disk, or had to wait. Bounded. Any CPU. */
void guest_disk_work(struct guest_disk *disk);

const struct guest_disk_stats *guest_disk_stats(const struct guest_disk *disk);

#endif
