/*
 * A block device as mm wants it: requests are handed over, go on by themselves, and are handed back
 * in any order. Nothing here waits.
 *
 * A request is its caller's memory, lent to the driver from blk_submit() until its done() is
 * called: from blk_poll(), or where else the driver looks for what is done, on any CPU, in root
 * mode, with no lock held. That may be before blk_submit() has returned. done() may submit again.
 * The buffers belong to the device for as long as the request does, however badly the device
 * behaves: done() is called no earlier than the device has let go of them.
 *
 * Every driver retries what may be transient and bounds every request in time; a request that fails
 * has failed for good, and a device that is dead fails all of them, at once.
 */
#ifndef MM_BLK_H
#define MM_BLK_H

#include "mm/base/types.h"
#include "mm/base/err.h"

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,        /* what is done before it survives a power cut; no blocks */
	BLK_DEALLOCATE,   /* contents undefined afterwards; a hint */
	BLK_WRITE_ZEROES, /* without a buffer */
	BLK_OP_COUNT
};

/*
 * A piece of memory. Multiples of 4 bytes; only a request's first may begin, and only its last may
 * end, inside a page: so a device that takes lists of pages can take it as it is.
 */
struct blk_segment {
	hpa_t at;
	u32 bytes;
};

#define BLK_DRIVER_WORDS 4

struct blk_request {
	enum blk_op op;
	u64 block;
	u32 block_count;
	u32 segment_count;                  /* reads and writes; their bytes sum to the blocks' */
	const struct blk_segment *segments; /* not used after blk_submit() returned */
	void (*done)(struct blk_request *request);
	void *context;            /* the caller's */
	err_t result;             /* set before done(): 0; E_IO; E_RANGE (the device says so) */
	struct blk_request *next; /* the driver's, while it has the request */
};

struct blk_device {
	const struct blk_ops *ops;
	char name[16];              /* "nvme0n1" */
	char model[41], serial[21]; /* printable, no blanks at the end */
	u32 block_bytes;            /* a power of two, 512 to 4096 */
	u64 block_count;            /* [I] */
	u32 transfer_bytes;         /* most that a read or write may move */
	u32 blocks_most;            /* most that a deallocate or write-zeroes may name */
	bool can_deallocate, can_write_zeroes;
	bool has_cache;          /* a flush means something */
	bool is_dead;            /* [a] never again alive */
	struct blk_device *next; /* the list of all, kept by whoever finds them */
};

struct blk_ops {
	err_t (*submit)(struct blk_device *device, struct blk_request *request);
	void (*poll)(struct blk_device *device, u64 now_ns);
	/* Must blk_poll() be called for what is under way, because nothing will interrupt? */
	bool (*must_poll)(const struct blk_device *device);
};

/**
 * Start a request.
 * Returns 0 (done() will be called, once); or the request stays the caller's: E_BUSY (as many under
 * way as the device takes: again after a done()), E_INVAL (segments or counts are unsound), E_RANGE
 * (beyond the device), E_UNSUPPORTED (the operation), E_IO (the device is dead).
 * Never waits. Cost: O(pages).
 */
static inline must_check err_t blk_submit(struct blk_device *device, struct blk_request *request)
{
	return device->ops->submit(device, request);
}

/*
 * Take what has completed and call its done(); look after time limits. Any CPU, often: after every
 * device interrupt, and some times a second anyway.
 */
static inline void blk_poll(struct blk_device *device, u64 now_ns)
{
	device->ops->poll(device, now_ns);
}

static inline bool blk_must_poll(const struct blk_device *device)
{
	return device->ops->must_poll(device);
}

/* Do the segments obey the rules above, and are they @bytes long together? */
static inline bool blk_segments_are_sound(const struct blk_request *request, u64 bytes)
{
	u64 sum = 0;

	for (u32 i = 0; i < request->segment_count; i++) {
		const struct blk_segment *s = &request->segments[i];

		if (s->bytes == 0 || s->bytes % 4 || s->at.v % 4 ||
			(i > 0 && s->at.v % PAGE_BYTES) ||
			(i + 1 < request->segment_count && (s->at.v + s->bytes) % PAGE_BYTES))
			return false;
		sum += s->bytes;
	}
	return sum == bytes;
}

#endif
