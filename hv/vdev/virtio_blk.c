/* A block device's registers, and its requests' headers, which a guest may cut into any pieces. */
#include "hv/vdev/virtio_blk.h"
#include "mm/base/str.h"

/* A request's type. */
enum {
	TYPE_IN = 0,
	TYPE_OUT = 1,
	TYPE_FLUSH = 4,
	TYPE_GET_ID = 8,
	TYPE_DISCARD = 11,
	TYPE_WRITE_ZEROES = 13,
};

struct header {
	u32 type, reserved;
	u64 sector;
};

struct range {
	u64 sector;
	u32 sectors, flags;
};

#define RANGE_UNMAP 1u

static u32 sectors_per_block(const struct virtio_blk_disk *disk)
{
	return disk->block_bytes / VIRTIO_BLK_SECTOR_BYTES;
}

u64 virtio_blk_features(const struct virtio_blk_disk *disk)
{
	return VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |
	       (disk->has_cache ? VIRTIO_BLK_F_FLUSH : 0) |
	       (disk->can_discard ? VIRTIO_BLK_F_DISCARD : 0) |
	       (disk->can_write_zeroes ? VIRTIO_BLK_F_WRITE_ZEROES : 0);
}

void virtio_blk_config_fill(const struct virtio_blk_disk *disk, struct virtio_blk_config *config)
{
	u32 scale = sectors_per_block(disk);
	u32 most = (u32)min((u64)disk->blocks_most, BITS(31, 0) / scale) * scale;

	*config = (struct virtio_blk_config){
		.capacity = disk->block_count * scale,
		/* Of a chain as long as the queue two are the header and the status byte. */
		.seg_max = VIRTQUEUE_SIZE_MAX - 2,
		.blk_size = disk->block_bytes,
	};
	if (disk->can_discard) {
		config->max_discard_sectors = most;
		config->max_discard_seg = 1;
		config->discard_sector_alignment = scale;
	}
	if (disk->can_write_zeroes) {
		config->max_write_zeroes_sectors = most;
		config->max_write_zeroes_seg = 1;
	}
}

/* Sectors of the guest's as blocks of the disk, if they are whole blocks of it. */
static bool to_blocks(const struct virtio_blk_disk *disk, u64 sector, u64 sectors,
	struct virtio_blk_request *request)
{
	u32 scale = sectors_per_block(disk);

	if (sectors == 0 || sector % scale || sectors % scale)
		return false;
	request->block = sector / scale;
	request->block_count = sectors / scale;
	return request->block < disk->block_count &&
	       request->block_count <= disk->block_count - request->block;
}

static enum virtio_blk_status decode(const struct virtio_blk_disk *disk,
	const struct header *header, struct virtio_blk_request *request)
{
	switch (header->type) {
	case TYPE_IN:
	case TYPE_OUT:
		request->op = header->type == TYPE_IN ? VIRTIO_BLK_READ : VIRTIO_BLK_WRITE;
		if (request->data_bytes % VIRTIO_BLK_SECTOR_BYTES ||
			!to_blocks(disk, header->sector,
				request->data_bytes / VIRTIO_BLK_SECTOR_BYTES, request))
			return VIRTIO_BLK_IOERR;
		return VIRTIO_BLK_OK;
	case TYPE_FLUSH:
		request->op = VIRTIO_BLK_FLUSH;
		return disk->has_cache ? VIRTIO_BLK_OK : VIRTIO_BLK_UNSUPPORTED;
	case TYPE_GET_ID:
		request->op = VIRTIO_BLK_GET_ID;
		return VIRTIO_BLK_OK;
	case TYPE_DISCARD:
		request->op = VIRTIO_BLK_DISCARD;
		return disk->can_discard ? VIRTIO_BLK_OK : VIRTIO_BLK_UNSUPPORTED;
	case TYPE_WRITE_ZEROES:
		request->op = VIRTIO_BLK_WRITE_ZEROES;
		return disk->can_write_zeroes ? VIRTIO_BLK_OK : VIRTIO_BLK_UNSUPPORTED;
	}
	return VIRTIO_BLK_UNSUPPORTED;
}

static bool fills_data(u32 type)
{
	return type == TYPE_IN || type == TYPE_GET_ID;
}

/* Take @bytes off the beginning of pieces. They are that long. */
static void cut_front(struct virtio_piece *pieces, u32 bytes)
{
	for (; bytes; pieces++) {
		u32 some = min(pieces->bytes, bytes);

		pieces->gpa += some;
		pieces->bytes -= some;
		bytes -= some;
	}
}

/* Take the last byte off; returns where it is. */
static u64 cut_last(struct virtio_piece *pieces, u32 count)
{
	while (pieces[count - 1].bytes == 0)
		count--;
	return pieces[count - 1].gpa + --pieces[count - 1].bytes;
}

err_t virtio_blk_begin(const struct virtio_blk_disk *disk, const struct virtio_memory *memory,
	struct virtio_chain *chain, struct virtio_blk_request *request,
	enum virtio_blk_status *status)
{
	struct virtio_piece *writable = chain->pieces + chain->read_count;
	u32 writable_count = chain->count - chain->read_count;
	struct header header;
	err_t err;

	if (virtio_pieces_bytes(chain->pieces, chain->read_count) < sizeof(header) ||
		virtio_pieces_bytes(writable, writable_count) == 0)
		return E_CORRUPT;
	err = virtio_pieces_read(
		memory, chain->pieces, chain->read_count, 0, &header, sizeof(header));
	if (err && err != E_RANGE)
		return err;
	cut_front(chain->pieces, sizeof(header));
	*request = (struct virtio_blk_request){.status_gpa = cut_last(writable, writable_count)};
	*status = VIRTIO_BLK_IOERR;
	if (err)
		return 0;
	request->data = fills_data(header.type) ? writable : chain->pieces;
	request->data_count = fills_data(header.type) ? writable_count : chain->read_count;
	request->data_bytes = virtio_pieces_bytes(request->data, request->data_count);
	*status = decode(disk, &header, request);
	return 0;
}

err_t virtio_blk_read_range(const struct virtio_blk_disk *disk, const struct virtio_memory *memory,
	struct virtio_blk_request *request, enum virtio_blk_status *status)
{
	u32 flags = request->op == VIRTIO_BLK_WRITE_ZEROES ? RANGE_UNMAP : 0;
	struct range range;
	err_t err;

	*status = VIRTIO_BLK_IOERR;
	if (request->data_bytes != sizeof(range)) /* one range, as the registers say */
		return 0;
	err = virtio_pieces_read(
		memory, request->data, request->data_count, 0, &range, sizeof(range));
	if (err)
		return err == E_RANGE ? 0 : err;
	if (range.flags & ~flags)
		*status = VIRTIO_BLK_UNSUPPORTED;
	else if (to_blocks(disk, range.sector, range.sectors, request))
		*status = VIRTIO_BLK_OK;
	return 0;
}
