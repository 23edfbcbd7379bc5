/* A request's data: pinned where the disk can take them as they lie, else through a bounce page. */
#include "hv/guest_disk_private.h"
#include "mm/frame.h"
#include "mm/platform.h"

#define COPY_BYTES 512u /* to or from a bounce page at once */

/* --- What a slot holds ----------------------------------------------------------------------- */

static void unpin_last(struct slot *s)
{
	pfn_t pfn = s->pins[--s->pin_count];

	if (s->space_gone)
		frame_unpin(pfn);
	else
		space_unpin(s->disk->space, pfn);
}

void slot_let_go(struct slot *s)
{
	while (s->pin_count)
		unpin_last(s);
}

static u8 *bounce_page(const struct slot *s)
{
	return s->disk->bounces + s->bounce * PAGE_BYTES;
}

static bool take_bounce(struct slot *s)
{
	u32 *taken = &s->disk->bounces_taken;

	for (s->bounce = 0; s->bounce < GUEST_DISK_BOUNCES; s->bounce++) {
		if (!(*taken & BIT(s->bounce))) {
			*taken |= (u32)BIT(s->bounce);
			return true;
		}
	}
	return false;
}

void slot_drop_bounce(struct slot *s)
{
	if (s->bounce != SLOT_NO_BOUNCE)
		s->disk->bounces_taken &= ~(u32)BIT(s->bounce);
	s->bounce = SLOT_NO_BOUNCE;
}

/* --- As the data lie ------------------------------------------------------------------------- */

struct part {
	struct blk_segment segments[SLOT_PART_PAGES];
	u32 count;
	u64 bytes;
};

static u64 data_done(const struct slot *s)
{
	return s->moved_blocks * s->disk->shape.block_bytes;
}

/*
 * Pin a page of the data. Where a read from the disk covers it all, its old contents count for
 * nothing.
 */
static err_t pin_page(struct slot *s, gfn_t gfn)
{
	err_t err = space_pin(
		s->disk->space, gfn, s->request.op == VIRTIO_BLK_READ, &s->pins[s->pin_count]);

	if (!err)
		s->pin_count++;
	return guest_disk_as_wait(err);
}

/* Would these bytes, behind those of @part, make a request that the disk can take? mm/blk.h. */
static bool fits(const struct part *part, u64 gpa, u32 bytes)
{
	const struct blk_segment *last;

	if (gpa % 4 || bytes % 4)
		return false;
	if (part->count == 0)
		return true;
	last = &part->segments[part->count - 1];
	return gpa % PAGE_BYTES == 0 && (last->at.v + last->bytes) % PAGE_BYTES == 0;
}

/*
 * Pin as much as goes in one request. Returns 0 where that was all that is there or fits, else why
 * there is no more.
 */
static err_t gather(struct slot *s, struct part *part)
{
	struct guest_disk *d = s->disk;
	const struct virtio_piece *p = s->request.data;
	u64 skip = data_done(s);
	u64 most = min(s->request.data_bytes - skip, (u64)d->config.blk->transfer_bytes);

	while (part->bytes < most && part->count < SLOT_PART_PAGES) {
		u64 gpa = p->gpa + skip;
		u32 bytes;
		err_t err;

		if (skip >= p->bytes) {
			skip -= p++->bytes;
			continue;
		}
		bytes = (u32)min(
			min(p->bytes - skip, most - part->bytes), PAGE_BYTES - gpa % PAGE_BYTES);
		if (!fits(part, gpa, bytes))
			return 0;
		if (d->turn_work == 0)
			return E_WAIT;
		err = pin_page(s, gpa_to_gfn(GPA(gpa)));
		if (err)
			return err;
		d->turn_work--;
		part->segments[part->count++] = (struct blk_segment){
			HPA(pfn_to_hpa(s->pins[s->pin_count - 1]).v + gpa % PAGE_BYTES), bytes};
		part->bytes += bytes;
		skip += bytes;
	}
	return 0;
}

/* Whole blocks only. */
static void trim(struct slot *s, struct part *part)
{
	u32 excess = (u32)(part->bytes % s->disk->shape.block_bytes);

	part->bytes -= excess;
	while (excess) {
		struct blk_segment *last = &part->segments[part->count - 1];
		u32 some = min(last->bytes, excess);

		last->bytes -= some;
		excess -= some;
		if (last->bytes == 0) {
			part->count--;
			unpin_last(s);
		}
	}
}

err_t slot_move_data(struct slot *s)
{
	struct part part = {.count = 0, .bytes = 0};
	err_t err = gather(s, &part);

	trim(s, &part);
	if (part.bytes)
		return slot_submit(s, slot_op(s), part.bytes / s->disk->shape.block_bytes,
			part.segments, part.count);
	if (err)
		return slot_memory_failed(s, err);
	if (!take_bounce(s))
		return E_BUSY;
	s->bounce_bytes = (u32)min(s->request.data_bytes - data_done(s), PAGE_BYTES);
	s->copied_bytes = 0;
	s->state = SLOT_FILLING;
	return 0;
}

/* --- Through a bounce page ------------------------------------------------------------------- */

/* Copy the bounce page's data from or to the guest, from where it had got to. */
static err_t copy_bounce(struct slot *s, u64 data_at, bool to_guest)
{
	const struct virtio_blk_request *r = &s->request;

	while (s->copied_bytes < s->bounce_bytes) {
		u32 some = min(s->bounce_bytes - s->copied_bytes, COPY_BYTES);
		u8 *at = bounce_page(s) + s->copied_bytes;
		u64 offset = data_at + s->copied_bytes;
		const struct virtio_memory *memory = &s->disk->device.memory;
		err_t err = to_guest ? virtio_pieces_write(
					       memory, r->data, r->data_count, offset, at, some)
				     : virtio_pieces_read(
					       memory, r->data, r->data_count, offset, at, some);

		if (err)
			return err;
		s->copied_bytes += some;
		s->disk->stats.bounced_bytes += some;
	}
	return 0;
}

err_t slot_fill_bounce(struct slot *s)
{
	struct blk_segment segment = {
		pfn_to_hpa(platform_va_frame(bounce_page(s))), s->bounce_bytes};

	if (s->request.op == VIRTIO_BLK_WRITE) {
		err_t err = copy_bounce(s, data_done(s), false);

		if (err)
			return slot_memory_failed(s, err);
	}
	return slot_submit(
		s, slot_op(s), s->bounce_bytes / s->disk->shape.block_bytes, &segment, 1);
}

err_t slot_empty_bounce(struct slot *s)
{
	err_t err = copy_bounce(s, data_done(s) - s->bounce_bytes, true);

	if (err)
		return slot_memory_failed(s, err);
	slot_next_part(s);
	return 0;
}
