/* The steps of a request, from its chain to its status. */
#include "hv/disk/guest_disk_private.h"
#include "mm/platform.h"

void slot_free(struct slot *s)
{
	slot_let_go(s);
	slot_drop_bounces(s);
	s->is_orphan = s->space_gone = false;
	s->state = SLOT_FREE;
}

bool slot_drop_orphan(struct slot *s)
{
	if (!s->is_orphan)
		return false;
	s->disk->orphan_count--;
	slot_free(s);
	return true;
}

void slot_end_with(struct slot *s, enum virtio_blk_status status)
{
	slot_drop_bounces(s);
	s->status = status;
	s->state = SLOT_ENDING;
}

err_t slot_memory_failed(struct slot *s, err_t err)
{
	if (err != E_RANGE)
		return err;
	slot_end_with(s, VIRTIO_BLK_IOERR);
	return 0;
}

/* --- At the disk ----------------------------------------------------------------------------- */

void slot_next_part(struct slot *s)
{
	slot_drop_bounces(s);
	s->state = s->moved_blocks == s->request.block_count ? SLOT_FLUSHING : SLOT_MOVING;
}

static void came_back(struct slot *s)
{
	s->moved_blocks += s->blk.block_count;
	s->copied_bytes = 0;
	if (s->blk.result)
		slot_end_with(s, VIRTIO_BLK_IOERR);
	else if (s->blk.op == BLK_FLUSH)
		slot_end_with(s, VIRTIO_BLK_OK);
	else if (s->blk.op == BLK_READ && s->bounce != SLOT_NO_BOUNCE)
		s->state = SLOT_EMPTYING;
	else
		slot_next_part(s);
}

static void note_done(struct blk_request *request)
{
	struct slot *s = container_of(request, struct slot, blk);
	struct guest_disk *d = s->disk;

	spin_lock(d->config.lock);
	slot_let_go(s);
	if (!slot_drop_orphan(s))
		came_back(s);
	guest_disk_want(d, GUEST_DISK_HAS_WORK);
	spin_unlock(d->config.lock);
}

err_t slot_submit(struct slot *s, enum blk_op op, u64 count, const struct blk_segment *segments,
	u32 segment_count)
{
	struct guest_disk *d = s->disk;
	err_t err;

	s->blk = (struct blk_request){
		.op = op,
		.block = op == BLK_FLUSH
				 ? 0
				 : d->config.first_block + s->request.block + s->moved_blocks,
		.block_count = (u32)count,
		.segments = segments,
		.segment_count = segment_count,
		.done = note_done,
	};
	err = blk_submit(d->config.blk, &s->blk);
	if (!err) {
		s->state = SLOT_AT_DISK;
		return 0;
	}
	slot_let_go(s);
	if (err == E_BUSY)
		return err;
	slot_end_with(s, VIRTIO_BLK_IOERR);
	return 0;
}

enum blk_op slot_op(const struct slot *s)
{
	switch (s->request.op) {
	case VIRTIO_BLK_READ:
		return BLK_READ;
	case VIRTIO_BLK_WRITE:
		return BLK_WRITE;
	case VIRTIO_BLK_DISCARD:
		return BLK_DEALLOCATE;
	default:
		return BLK_WRITE_ZEROES;
	}
}

/* --- The steps ------------------------------------------------------------------------------- */

static err_t step_taken(struct slot *s)
{
	struct guest_disk *d = s->disk;
	enum virtio_blk_status status;
	err_t err = virtio_blk_begin(&d->shape, &d->device.memory, &s->chain, &s->request, &status);

	if (err == E_CORRUPT) {
		/* There is nowhere to say so. */
		virtio_mmio_break(&d->mmio);
		slot_free(s);
		return 0;
	}
	if (err)
		return err;
	if (status != VIRTIO_BLK_OK) {
		slot_end_with(s, status);
		return 0;
	}
	switch (s->request.op) {
	case VIRTIO_BLK_READ:
	case VIRTIO_BLK_WRITE:
		s->state = SLOT_MOVING;
		break;
	case VIRTIO_BLK_FLUSH:
		s->state = SLOT_FLUSHING;
		break;
	case VIRTIO_BLK_DISCARD:
	case VIRTIO_BLK_WRITE_ZEROES:
		s->state = SLOT_RANGE;
		break;
	case VIRTIO_BLK_GET_ID:
		s->state = SLOT_NAMING;
		break;
	case VIRTIO_BLK_NOTHING:
		break;
	}
	return 0;
}

static err_t step_range(struct slot *s)
{
	struct guest_disk *d = s->disk;
	enum virtio_blk_status status;
	err_t err = virtio_blk_read_range(&d->shape, &d->device.memory, &s->request, &status);

	if (err)
		return err;
	if (status == VIRTIO_BLK_OK)
		s->state = SLOT_MOVING;
	else
		slot_end_with(s, status);
	return 0;
}

static err_t step_moving(struct slot *s)
{
	const struct virtio_blk_request *r = &s->request;

	if (r->op == VIRTIO_BLK_READ || r->op == VIRTIO_BLK_WRITE)
		return slot_move_data(s);
	return slot_submit(s, slot_op(s),
		min(r->block_count - s->moved_blocks, (u64)s->disk->shape.blocks_most), NULL, 0);
}

/* A driver that does not know of flushes takes what was written for safe. */
static err_t step_flushing(struct slot *s)
{
	bool is_due = s->request.op == VIRTIO_BLK_FLUSH ||
		      (s->request.op != VIRTIO_BLK_READ && s->disk->shape.has_cache &&
			      !virtio_mmio_has(&s->disk->mmio, VIRTIO_BLK_F_FLUSH));

	if (is_due)
		return slot_submit(s, BLK_FLUSH, 0, NULL, 0);
	slot_end_with(s, VIRTIO_BLK_OK);
	return 0;
}

static err_t step_naming(struct slot *s)
{
	struct virtio_blk_request *r = &s->request;
	err_t err;

	r->data_bytes = min(r->data_bytes, (u64)VIRTIO_BLK_ID_BYTES);
	err = virtio_pieces_write(&s->disk->device.memory, r->data, r->data_count, 0,
		s->disk->config.id, (u32)r->data_bytes);
	if (err)
		return slot_memory_failed(s, err);
	slot_end_with(s, VIRTIO_BLK_OK);
	return 0;
}

static void count_ended(const struct slot *s)
{
	struct guest_disk_stats *stats = &s->disk->stats;
	bool ok = s->status == VIRTIO_BLK_OK;

	stats->errors += !ok;
	switch (s->request.op) {
	case VIRTIO_BLK_READ:
		stats->reads++;
		stats->read_bytes += ok ? s->request.data_bytes : 0;
		break;
	case VIRTIO_BLK_WRITE:
		stats->writes++;
		stats->written_bytes += ok ? s->request.data_bytes : 0;
		break;
	case VIRTIO_BLK_FLUSH:
		stats->flushes++;
		return;
	case VIRTIO_BLK_DISCARD:
		stats->discards++;
		return;
	case VIRTIO_BLK_WRITE_ZEROES:
		stats->zeroes++;
		return;
	case VIRTIO_BLK_GET_ID:
	case VIRTIO_BLK_NOTHING:
		return;
	}
	latency_note(&stats->latency, platform_now_ns() - s->start_ns);
}

static err_t step_ending(struct slot *s)
{
	struct guest_disk *d = s->disk;
	bool filled = s->status == VIRTIO_BLK_OK &&
		      (s->request.op == VIRTIO_BLK_READ || s->request.op == VIRTIO_BLK_GET_ID);
	u8 status = (u8)s->status;
	err_t err = d->device.memory.write(d, GPA(s->request.status_gpa), &status, sizeof(status));

	if (err && err != E_RANGE)
		return err;
	if (err) {
		virtio_mmio_break(&d->mmio);
	} else {
		virtqueue_give(&d->mmio.queue, s->chain.head,
			(filled ? (u32)min(s->request.data_bytes, BITS(31, 0) - 1) : 0) + 1);
		d->has_given = true;
		count_ended(s);
	}
	slot_free(s);
	return 0;
}

static err_t (*const steps[])(struct slot *) = {
	[SLOT_TAKEN] = step_taken,
	[SLOT_RANGE] = step_range,
	[SLOT_MOVING] = step_moving,
	[SLOT_FILLING] = slot_fill_bounce,
	[SLOT_EMPTYING] = slot_empty_bounce,
	[SLOT_FLUSHING] = step_flushing,
	[SLOT_NAMING] = step_naming,
	[SLOT_ENDING] = step_ending,
};

void slot_advance(struct slot *s)
{
	while (s->state != SLOT_FREE && !slot_is_lent(s)) {
		err_t err = steps[s->state](s);

		if (err) {
			guest_disk_note_wait(s->disk, err);
			return;
		}
	}
}

void slot_begin(struct slot *s)
{
	s->state = SLOT_TAKEN;
	s->moved_blocks = 0;
	s->fetched = GFN(~0ull);
	s->start_ns = platform_now_ns();
}
