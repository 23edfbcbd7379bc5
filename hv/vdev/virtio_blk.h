/*
 * virtio-blk: what the device says of itself, and what a chain of buffers asks of it. Pure.
 *
 * Virtual I/O Device (VIRTIO) Version 1.1, "Block Device".
 */
#ifndef HV_VDEV_VIRTIO_BLK_H
#define HV_VDEV_VIRTIO_BLK_H

#include "hv/vdev/virtio_queue.h"

#define VIRTIO_BLK_DEVICE_ID    2u
#define VIRTIO_BLK_SECTOR_BYTES 512u /* unit of all sectors, whatever the disk's blocks */
#define VIRTIO_BLK_ID_BYTES     20u

#define VIRTIO_BLK_F_SEG_MAX      BIT(2)
#define VIRTIO_BLK_F_BLK_SIZE     BIT(6)
#define VIRTIO_BLK_F_FLUSH        BIT(9)
#define VIRTIO_BLK_F_DISCARD      BIT(13)
#define VIRTIO_BLK_F_WRITE_ZEROES BIT(14)

/* What a request ends with: its last byte. */
enum virtio_blk_status {
	VIRTIO_BLK_OK = 0,
	VIRTIO_BLK_IOERR = 1,
	VIRTIO_BLK_UNSUPPORTED = 2,
};

/* The disk behind the device. */
struct virtio_blk_disk {
	u64 block_count;
	u32 block_bytes; /* 512 to 4096 */
	u32 blocks_most; /* of one discard or write-zeroes command */
	bool has_cache, can_discard, can_write_zeroes;
	char id[VIRTIO_BLK_ID_BYTES]; /* need not end with a NUL */
};

/* The device's own registers, up to those of write-zeroes. */
struct virtio_blk_config {
	u64 capacity; /* sectors */
	u32 size_max, seg_max;
	u16 cylinders;
	u8 heads, sectors;
	u32 blk_size;
	u8 physical_block_exp, alignment_offset;
	u16 min_io_size;
	u32 opt_io_size;
	u8 writeback, unused0;
	u16 num_queues;
	u32 max_discard_sectors, max_discard_seg, discard_sector_alignment;
	u32 max_write_zeroes_sectors, max_write_zeroes_seg;
	u8 write_zeroes_may_unmap, unused1[3];
};
#define VIRTIO_BLK_CONFIG_BYTES 60u
_Static_assert(offsetof(struct virtio_blk_config, max_discard_sectors) == 36 &&
		       offsetof(struct virtio_blk_config, unused1) + 3 == VIRTIO_BLK_CONFIG_BYTES,
	"as laid out");

u64 virtio_blk_features(const struct virtio_blk_disk *disk);
void virtio_blk_config_fill(const struct virtio_blk_disk *disk, struct virtio_blk_config *config);

enum virtio_blk_op {
	VIRTIO_BLK_NOTHING, /* not understood */
	VIRTIO_BLK_READ,
	VIRTIO_BLK_WRITE,
	VIRTIO_BLK_FLUSH,
	VIRTIO_BLK_DISCARD,
	VIRTIO_BLK_WRITE_ZEROES,
	VIRTIO_BLK_GET_ID,
};

/*
 * What a chain asks for. The data's pieces are some of the chain's: those that the device may write
 * where something is read from the disk for the guest, else those that it may read.
 */
struct virtio_blk_request {
	enum virtio_blk_op op;
	u64 block, block_count; /* within the disk */
	const struct virtio_piece *data;
	u32 data_count;
	u64 data_bytes;
	u64 status_gpa;
};

/*
 * What does @chain ask for? Its header is read from @memory; header and status byte are cut off its
 * pieces. Returns 0, with *status: VIRTIO_BLK_OK, or what the request has to end with; E_CORRUPT
 * (it has no header, or no status byte); E_WAIT and others from the memory: the chain is as it was.
 */
must_check err_t virtio_blk_begin(const struct virtio_blk_disk *disk,
	const struct virtio_memory *memory, struct virtio_chain *chain,
	struct virtio_blk_request *request, enum virtio_blk_status *status);

/* The same for what a discard or write-zeroes names in its data: .block and .block_count. */
must_check err_t virtio_blk_read_range(const struct virtio_blk_disk *disk,
	const struct virtio_memory *memory, struct virtio_blk_request *request,
	enum virtio_blk_status *status);

#endif
