/*
 * Pins: how the hypervisor itself, or a device on a guest's behalf, gets at a guest's page.
 *
 * A pin is taken under the region's lock, in the same breath as the page is brought in, so nothing
 * can take the frame away in between. DMA obeys no second-level table and sets no A or D bit: what
 * will be written is made the guest's own first and marked dirty here.
 */
#include "mm/space/space_entry.h"
#include "mm/reclaim/evicted.h"
#include "mm/frame/frame.h"
#include "mm/reclaim/reclaim.h"
#include "mm/base/check.h"

static err_t fault_error(enum fault_result result)
{
	switch (result) {
	case FAULT_DONE:
		return E_OK;
	case FAULT_WAIT:
		return E_WAIT;
	case FAULT_NOT_RAM:
		return E_RANGE;
	case FAULT_NOMEM:
		return E_NOMEM;
	case FAULT_CORRUPT:
		break;
	}
	return E_CORRUPT;
}

static void mark_dirty(struct space *space, gfn_t gfn)
{
	const struct slat_format *f = space->format;
	u64 *entry = space_page_entry(space, gfn);

	if (!entry)
		entry = space_region_entry(space, gfn); /* a 2 MiB leaf */
	slat_set_bits(entry, f->accessed_bit | f->dirty_bit);
}

enum purpose { TO_READ, TO_WRITE, TO_OVERWRITE, TO_WRITE_PRESENT };

static enum fault_result try_once(struct space *space, gfn_t gfn, enum purpose purpose, pfn_t *out)
{
	u32 access = purpose == TO_READ ? SLAT_READ : SLAT_WRITE;
	enum fault_result result = FAULT_DONE;
	pfn_t frame;

	spin_lock(space_region_lock(space, gfn));
	u64 leaf = space_leaf(space, gfn, &frame);

	if ((slat_rights(space->format, leaf) & access) == 0) {
		if (purpose == TO_WRITE_PRESENT)
			result = FAULT_WAIT;
		else if (purpose != TO_OVERWRITE || !evicted_overwrite(space, gfn, &result))
			result = fault_resolve(space, gfn, access);
		space_leaf(space, gfn, &frame);
	}
	if (result == FAULT_DONE) {
		if (purpose != TO_READ)
			mark_dirty(space, gfn);
		frame_pin(frame);
		*out = frame;
	}
	spin_unlock(space_region_lock(space, gfn));
	return result;
}

static err_t pin(struct space *space, gfn_t gfn, enum purpose purpose, pfn_t *out)
{
	enum fault_result result;
	u32 tries = 0;

	if (!space_is_ram(space, gfn))
		return E_RANGE;
	if (__atomic_add_fetch(&space->pins, 1, __ATOMIC_RELAXED) > SPACE_PINS_MAX) {
		stats_sub(&space->pins, 1);
		return E_BUSY;
	}
	do {
		result = try_once(space, gfn, purpose, out);
	} while (result == FAULT_NOMEM &&
		 (result = reclaim_for_fault(space, tries++)) == FAULT_DONE);
	if (result != FAULT_DONE)
		stats_sub(&space->pins, 1);
	return fault_error(result);
}

err_t space_pin(struct space *space, gfn_t gfn, bool write, pfn_t *out)
{
	return pin(space, gfn, write ? TO_WRITE : TO_READ, out);
}

err_t space_pin_overwrite(struct space *space, gfn_t gfn, pfn_t *out)
{
	return pin(space, gfn, TO_OVERWRITE, out);
}

err_t space_pin_present(struct space *space, gfn_t gfn, pfn_t *out)
{
	return pin(space, gfn, TO_WRITE_PRESENT, out);
}

void space_unpin(struct space *space, pfn_t pfn)
{
	CHECK(stats_get(&space->pins) != 0);
	stats_sub(&space->pins, 1);
	frame_unpin(pfn);
}
