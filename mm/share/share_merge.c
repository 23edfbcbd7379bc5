/*
 * Merging a batch: protect, flush, compare, replace.
 *
 * When the batch comes here its pages, and those that hints named, are PRIVATE without the write
 * right. Nothing else is locked meanwhile: a guest that writes to such a page faults and simply has
 * the right back (fault.c), a pin for writing likewise, and the end or reset of a VM takes its
 * entries away. So the write right is the witness. After one flush for each space, a page that is
 * still PRIVATE, still on its frame, and still without the right has not been written since the
 * flush and cannot be as long as its region's lock is held; its bytes may be compared and what they
 * are decides. A right that was given back and not taken again is seen; it is never taken again
 * within a batch after the flush, for one scan runs at a time.
 *
 * A page that a hint named is made SHARED by itself first, under its own region's lock: nothing
 * changes for its guest. If its last sharer turns out to be that page alone, a write takes it back
 * without a copy. Then the scanned page is compared with the shared frame, which cannot change
 * because the batch holds a reference. So no two region locks are ever held together.
 */
#include "mm/share/share_batch.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/share/share_hash.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"

#ifdef BELLOWS_HOST
static void (*test_act)(enum share_step step);

void share_batch_test_act(void (*act)(enum share_step step))
{
	test_act = act;
}

static void step(enum share_step at)
{
	if (test_act)
		test_act(at);
}
#else
#define step(at) ((void)0)
#endif

void share_refuse(struct space *space, enum share_refusal why)
{
	space_count(space, share_refused[why], 1);
}

void share_count_merged(struct space *space, pfn_t shared)
{
	if (share_index_first(shared) == space->number)
		space_count(space, share_merged_own, 1);
	else
		space_count(space, share_merged_other, 1);
}

bool share_pages_equal(pfn_t a, pfn_t b)
{
	const u64 *x = platform_frame_va(a), *y = platform_frame_va(b);

	for (u32 i = 0; i < PAGE_BYTES / sizeof(u64); i++) {
		if (x[i] != y[i])
			return false;
	}
	return true;
}

/* Is the page as the batch left it: not written since the flush, and used by nobody else? */
static bool is_quiet(const struct space *space, const u64 *entry, pfn_t frame)
{
	const struct slat_format *f = space->format;
	u64 leaf = entry ? slat_load(entry) : 0;

	return slat_is_present(f, leaf) && slat_state(f, leaf) == PAGE_PRIVATE &&
	       !(leaf & f->write_bit) && slat_pfn(f, leaf).v == frame.v &&
	       frame_pin_count(frame) == 0;
}

/* Its guest may write again; not if it is another page by now. @marks: SLAT_SEEN, or 0. */
static void unprotect(struct space *space, gfn_t gfn, pfn_t frame, u64 marks)
{
	const struct slat_format *f = space->format;

	spin_lock(space_region_lock(space, gfn));
	u64 *entry = space_page_entry(space, gfn);
	u64 leaf = entry ? slat_load(entry) : 0;

	if (slat_is_present(f, leaf) && slat_state(f, leaf) == PAGE_PRIVATE &&
		slat_pfn(f, leaf).v == frame.v)
		slat_set_bits(entry, f->write_bit | marks);
	spin_unlock(space_region_lock(space, gfn));
}

/* --- The page behind a hint ------------------------------------------------------------------ */

/* Region held. Why not; SHARE_REFUSED_COUNT: it is protected. */
static enum share_refusal hint_protect(struct space *space, gfn_t gfn, struct share_candidate *c)
{
	const struct slat_format *f = space->format;
	enum share_refusal why = SHARE_REFUSED_COUNT;

	if (slat_is_large(f, slat_load(space_region_entry(space, gfn))))
		why = share_gain_split(space, gfn, c);
	if (why != SHARE_REFUSED_COUNT)
		return why;

	u64 *entry = space_page_entry(space, gfn);
	u64 leaf = entry ? slat_load(entry) : 0;

	if (!slat_is_present(f, leaf) || slat_state(f, leaf) != PAGE_PRIVATE ||
		slat_pfn(f, leaf).v != c->target.v || share_salt(space) != c->id.salt)
		return SHARE_REFUSED_STALE;
	if (frame_pin_count(c->target))
		return SHARE_REFUSED_PINNED;
	slat_clear_bits(entry, f->write_bit);
	c->hint_number = space->number;
	c->hint_serial = space->serial;
	c->hint_gfn = gfn;
	return SHARE_REFUSED_COUNT;
}

void share_hint_protect(struct space *self, struct share_candidate *c)
{
	/* Maybe the word of the frame's next life, or a shared frame's: then what it names will not
	 * fit. */
	u64 word = frame_owner(c->target);
	gfn_t gfn = space_owner_gfn(word);
	struct space *space = space_hold(space_owner_number(word), 0);
	enum share_refusal why = SHARE_REFUSED_STALE;

	c->hint_number = 0;
	if (space && space_is_ram(space, gfn)) {
		spin_lock(space_region_lock(space, gfn));
		why = hint_protect(space, gfn, c);
		spin_unlock(space_region_lock(space, gfn));
	}
	if (space)
		space_release(space);
	if (why == SHARE_REFUSED_COUNT)
		return;
	share_refuse(self, why);
	/*
	 * A hint that leads nowhere gives way, and so does one that leads to a large leaf: small
	 * pages shall find each other, and the leaf's own scan will find this one.
	 */
	share_index_hint(c->id, c->frame, c->target);
}

/* Region held. The quiet page becomes a shared frame's first. */
static err_t page_make_shared(struct space *space, u64 *entry, struct share_id id)
{
	const struct slat_format *f = space->format;
	pfn_t frame = slat_pfn(f, slat_load(entry));

	frame_set_kind(frame, FRAME_SHARED);
	err_t err = share_index_enter(id, frame, space->number);

	if (err) {
		frame_set_kind(frame, FRAME_PRIVATE);
		return err;
	}
	/* The same frame, and no right less than before: there is nothing to flush. */
	u64 leaf = slat_make_leaf(f, frame, SPACE_RIGHTS_READ_ONLY, PAGE_SHARED, false);

	slat_exchange(entry, leaf | (slat_load(entry) & f->accessed_bit));
	space_count_state(space, PAGE_PRIVATE, PAGE_SHARED, 1);
	return E_OK;
}

/* Region held. Turns the hint's page into a shared frame, with a reference for the batch. */
static enum share_refusal hint_share(struct space *space, struct share_candidate *c)
{
	u64 *entry = space_page_entry(space, c->hint_gfn);
	bool zero;

	if (!is_quiet(space, entry, c->target) || share_salt(space) != c->id.salt)
		return SHARE_REFUSED_RACED;
	/* It had this hash when it was scanned. */
	if (share_identify(space, c->target, &zero).hash != c->id.hash || zero)
		return SHARE_REFUSED_STALE;
	if (page_make_shared(space, entry, c->id))
		return SHARE_REFUSED_FULL;
	frame_get(c->target);
	return SHARE_REFUSED_COUNT;
}

/* Returns SHARE_REFUSED_COUNT if .target is now a shared frame of which the batch has a reference.
 */
static enum share_refusal target_make(struct share_candidate *c)
{
	enum share_refusal why = SHARE_REFUSED_STALE;
	pfn_t shared;

	if (c->kind != SHARE_TARGET_HINT)
		return SHARE_REFUSED_COUNT;
	if (c->hint_number == 0)
		return SHARE_REFUSED_COUNT + 1; /* counted already */
	/* Maybe a page before it in this batch has made it, or another like it. */
	bool there = share_index_find_shared(c->id, &shared);
	struct space *space = space_hold(c->hint_number, c->hint_serial);

	if (there) {
		if (space)
			unprotect(space, c->hint_gfn, c->target, 0);
		c->target = shared;
		why = SHARE_REFUSED_COUNT;
	} else if (space) {
		spin_lock(space_region_lock(space, c->hint_gfn));
		why = hint_share(space, c);
		spin_unlock(space_region_lock(space, c->hint_gfn));
		if (why != SHARE_REFUSED_COUNT)
			unprotect(space, c->hint_gfn, c->target, 0);
	}
	if (space)
		space_release(space);
	if (why == SHARE_REFUSED_COUNT)
		c->kind = SHARE_TARGET_SHARED;
	else if (why != SHARE_REFUSED_FULL)
		/* What is not true any more must not keep others from finding this page. */
		share_index_hint(c->id, c->frame, c->target);
	return why;
}

/* --- The scanned page ------------------------------------------------------------------------ */

/* Region held; the page is quiet. */
static enum share_refusal page_compare(struct space *space, const struct share_candidate *c)
{
	bool equal;

	space_count(space, share_compared, 1);
	if (c->kind == SHARE_TARGET_ZERO)
		equal = share_page_is_zero(platform_frame_va(c->frame));
	else
		equal = share_pages_equal(c->frame, c->target);
	return equal ? SHARE_REFUSED_COUNT : SHARE_REFUSED_DIFFERS;
}

/* Region held. From now on the guest reads the target's bytes, which are the same. */
static void page_replace(
	struct space *space, u64 *entry, const struct share_candidate *c, struct tlb_gather *gather)
{
	const struct slat_format *f = space->format;
	bool zero = c->kind == SHARE_TARGET_ZERO;
	enum page_state state = zero ? PAGE_ZERO : PAGE_SHARED;
	pfn_t frame = zero ? frame_zero() : c->target;
	u64 leaf = slat_make_leaf(f, frame, SPACE_RIGHTS_READ_ONLY, state, false);

	slat_exchange(entry, leaf | (slat_load(entry) & f->accessed_bit));
	space_count_state(space, PAGE_PRIVATE, state, 1);
	if (zero)
		space_count(space, share_zeroed, 1);
	else
		share_count_merged(space, frame);
	tlb_gather_put(gather, c->frame);
}

/* With .target ready. Consumes the batch's reference to it if it returns SHARE_REFUSED_COUNT. */
static enum share_refusal page_merge(
	struct space *space, const struct share_candidate *c, struct tlb_gather *gather)
{
	enum share_refusal why = SHARE_REFUSED_RACED;

	spin_lock(space_region_lock(space, c->gfn));
	u64 *entry = space_page_entry(space, c->gfn);

	if (is_quiet(space, entry, c->frame) && share_salt(space) == c->id.salt)
		why = page_compare(space, c);
	if (why == SHARE_REFUSED_COUNT)
		page_replace(space, entry, c, gather);
	spin_unlock(space_region_lock(space, c->gfn));
	return why;
}

/* @space: NULL if it is gone. */
static void candidate_finish(
	struct space *space, struct share_candidate *c, struct tlb_gather *gather)
{
	enum share_refusal why = target_make(c);

	step(SHARE_STEP_TARGET);
	if (why == SHARE_REFUSED_COUNT && space)
		why = page_merge(space, c, gather);
	else if (why == SHARE_REFUSED_COUNT)
		why = SHARE_REFUSED_RACED;
	if (why != SHARE_REFUSED_COUNT) {
		if (c->kind == SHARE_TARGET_SHARED)
			share_index_put(c->target);
		if (space && why < SHARE_REFUSED_COUNT)
			share_refuse(space, why);
		/* What is settled is passed by, until it is written or its turn comes. */
		bool settled = why == SHARE_REFUSED_DIFFERS || why == SHARE_REFUSED_FULL;

		if (space)
			unprotect(space, c->gfn, c->frame,
				settled && !space->no_dirty_bits ? SLAT_SEEN : 0);
	}
	step(SHARE_STEP_MERGED);
}

static void flush(u32 number, u64 serial)
{
	struct space *space = space_hold(number, serial);

	if (!space)
		return;
	tlb_flush(&space->tlb);
	space_release(space);
}

/* Each space in which something was write-protected, once. */
static void batch_flush(const struct share_batch *batch)
{
	flush(batch->number, batch->serial);
	for (u32 i = 0; i < batch->count; i++) {
		const struct share_candidate *c = &batch->pages[i];
		bool done = c->kind != SHARE_TARGET_HINT || c->hint_number == 0 ||
			    c->hint_serial == batch->serial;

		for (u32 k = 0; k < i && !done; k++)
			done = batch->pages[k].kind == SHARE_TARGET_HINT &&
			       batch->pages[k].hint_number != 0 &&
			       batch->pages[k].hint_serial == c->hint_serial;
		if (!done)
			flush(c->hint_number, c->hint_serial);
	}
}

void share_batch_finish(struct share_batch *batch)
{
	struct tlb_gather gather;

	if (batch->count == 0)
		return;
	step(SHARE_STEP_PROTECTED);
	batch_flush(batch);
	step(SHARE_STEP_FLUSHED);

	struct space *space = space_hold(batch->number, batch->serial);

	if (space)
		tlb_gather_start(&gather, &space->tlb);
	for (u32 i = 0; i < batch->count; i++)
		candidate_finish(space, &batch->pages[i], &gather);
	batch->count = 0;
	if (space) {
		tlb_gather_finish(&gather);
		space_release(space);
	}
}
