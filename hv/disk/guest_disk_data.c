/* A request's data: pinned where the disk can take them as they lie, else through a bounce page. */
#include "hv/disk/guest_disk_private.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"

#define COPY_BYTES  512u /* to or from a bounce page at once */
#define COSTLY_WORK 64u  /* of a turn: a page must be made or fetched, maybe by evicting others */

/* --- What a slot holds ----------------------------------------------------------------------- */

/* The part's last page. */
static void drop_last(struct slot *s)
{
	pfn_t pfn = s->pages[--s->page_count];

	if (pfn_is_none(pfn))
		return; /* a bounce page: the slot has it until the part is done */
	if (s->space_gone)
		frame_unpin(pfn);
	else
		space_unpin(s->disk->space, pfn);
}

void slot_let_go(struct slot *s)
{
	while (s->page_count)
		drop_last(s);
}

static u8 *bounce_page(const struct slot *s, u32 bounce)
{
	return s->disk->bounces + bounce * PAGE_BYTES;
}

static pfn_t bounce_frame(const struct slot *s, u32 bounce)
{
	return platform_va_frame(bounce_page(s, bounce));
}

static u32 take_bounce(struct slot *s)
{
	struct guest_disk *d = s->disk;

	for (u32 i = 0; i < GUEST_DISK_BOUNCES; i++) {
		if (d->bounces_taken & BIT(i))
			continue;
		d->bounces_taken |= (u32)BIT(i);
		s->bounces |= (u32)BIT(i);
		d->peeked[i] = GFN(~0ull);
		return i;
	}
	return SLOT_NO_BOUNCE;
}

static void drop_bounce(struct slot *s, u32 bounce)
{
	s->disk->bounces_taken &= ~(u32)BIT(bounce);
	s->bounces &= ~(u32)BIT(bounce);
}

void slot_drop_bounces(struct slot *s)
{
	s->disk->bounces_taken &= ~s->bounces;
	s->bounces = 0;
	s->bounce = SLOT_NO_BOUNCE;
}

struct part {
	struct blk_segment segments[SLOT_PART_PAGES];
	u32 count;
	u64 bytes;
};

static u64 data_done(const struct slot *s)
{
	return s->moved_blocks * s->disk->shape.block_bytes;
}

/* --- Pages that are not in memory -------------------------------------------------------------
 *
 * What the guest writes to its disk it will hardly touch soon: where the host has such a page
 * compressed or swapped, its contents go through a bounce page, and it stays as it is. Of a page
 * that is read over completely the old contents are not fetched.
 */

static void note_peeked(struct space_peek *peek, err_t result)
{
	struct slot *s = container_of(peek, struct slot, peek);
	struct guest_disk *d = s->disk;

	spin_lock(d->config.lock);
	if (!slot_drop_orphan(s)) {
		s->state = SLOT_MOVING;
		if (result) {
			drop_bounce(s, s->peek_bounce);
			guest_disk_note_wait(d, result);
		}
	}
	guest_disk_want(d, GUEST_DISK_HAS_WORK);
	spin_unlock(d->config.lock);
}

/* The bounce page that holds what the page did when it was looked at for this part, or none. */
static u32 find_peeked(const struct slot *s, gfn_t gfn)
{
	for (u32 i = 0; i < GUEST_DISK_BOUNCES; i++) {
		if ((s->bounces & BIT(i)) && s->disk->peeked[i].v == gfn.v)
			return i;
	}
	return SLOT_NO_BOUNCE;
}

/*
 * The contents of an absent page of a guest's write. Returns 0 with *bounce: where they are, or
 * none (it must be pinned); E_WAIT (the slot is SLOT_PEEKING where that helps); E_CORRUPT, E_IO.
 */
static err_t peek(struct slot *s, gfn_t gfn, bool may_start, u32 *bounce)
{
	struct guest_disk *d = s->disk;
	err_t err;

	*bounce = find_peeked(s, gfn);
	if (*bounce != SLOT_NO_BOUNCE)
		return 0;
	/* What is gathered already is not to wait for a read. */
	if (!may_start && space_page_state(d->space, gfn) == PAGE_SWAPPED)
		return E_WAIT;
	*bounce = take_bounce(s);
	if (*bounce == SLOT_NO_BOUNCE)
		return 0;
	s->peek = (struct space_peek){bounce_frame(s, *bounce), note_peeked};
	s->peek_bounce = *bounce;
	err = space_peek(d->space, gfn, &s->peek);
	if (err == 0 || err == E_WAIT) {
		d->peeked[*bounce] = gfn;
		s->state = err ? SLOT_PEEKING : s->state;
		return err;
	}
	drop_bounce(s, *bounce);
	*bounce = SLOT_NO_BOUNCE;
	return err == E_EXIST || err == E_RANGE ? 0 : guest_disk_as_wait(err);
}

static err_t pin(struct slot *s, gfn_t gfn, bool whole, pfn_t *out)
{
	struct guest_disk *d = s->disk;
	bool reads = s->request.op == VIRTIO_BLK_READ;
	err_t err = reads && whole ? space_pin_overwrite(d->space, gfn, out)
				   : space_pin(d->space, gfn, reads, out);

	if (err == E_WAIT && s->fetched.v != gfn.v) {
		s->fetched = gfn;
		d->stats.fetched++;
	}
	return guest_disk_as_wait(err);
}

/* Have the frame of one page of data until slot_let_go(). @may_start: nothing would be held up. */
static err_t take_page(struct slot *s, gfn_t gfn, bool whole, bool may_start, pfn_t *out)
{
	struct guest_disk *d = s->disk;
	u32 bounce = SLOT_NO_BOUNCE;
	bool is_there = find_peeked(s, gfn) != SLOT_NO_BOUNCE ||
			space_page_state(d->space, gfn) == PAGE_PRIVATE;
	err_t err = 0;

	d->turn_work -= min(d->turn_work, is_there ? 1u : COSTLY_WORK);
	if (s->request.op == VIRTIO_BLK_WRITE)
		err = peek(s, gfn, may_start, &bounce);
	if (!err && bounce == SLOT_NO_BOUNCE)
		err = pin(s, gfn, whole, out);
	else if (!err)
		*out = bounce_frame(s, bounce);
	if (!err)
		s->pages[s->page_count++] = bounce == SLOT_NO_BOUNCE ? *out : PFN_NONE;
	return err;
}

/* --- As the data lie ------------------------------------------------------------------------- */

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
		pfn_t frame;
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
		err = take_page(s, gpa_to_gfn(GPA(gpa)), bytes == PAGE_BYTES,
			part->bytes < d->shape.block_bytes, &frame);
		if (err)
			return err;
		part->segments[part->count++] =
			(struct blk_segment){HPA(pfn_to_hpa(frame).v + gpa % PAGE_BYTES), bytes};
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
			drop_last(s);
		}
	}
}

err_t slot_move_data(struct slot *s)
{
	struct part part = {.count = 0, .bytes = 0};
	err_t err = gather(s, &part);

	if (s->state == SLOT_PEEKING) {
		slot_let_go(s);
		return 0;
	}
	trim(s, &part);
	if (part.bytes)
		return slot_submit(s, slot_op(s), part.bytes / s->disk->shape.block_bytes,
			part.segments, part.count);
	if (err)
		return slot_memory_failed(s, err);
	slot_drop_bounces(s);
	s->bounce = take_bounce(s);
	if (s->bounce == SLOT_NO_BOUNCE)
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
		u8 *at = bounce_page(s, s->bounce) + s->copied_bytes;
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
	struct blk_segment segment = {pfn_to_hpa(bounce_frame(s, s->bounce)), s->bounce_bytes};

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
