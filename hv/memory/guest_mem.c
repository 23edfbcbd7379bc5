/* Guest memory by guest-physical address: pin, copy, unpin; writes gather their pages first. */
#include "hv/memory/guest_mem.h"
#include "mm/base/str.h"
#include "mm/platform.h"

#define PAGES_AT_ONCE 8u

/* Bytes from @gpa to the end of its page, or @bytes if that is less. */
static size_t in_page(gpa_t gpa, size_t bytes)
{
	size_t room = PAGE_BYTES - (gpa.v & (PAGE_BYTES - 1));

	return min(room, bytes);
}

static u8 *pinned_va(pfn_t pfn, gpa_t gpa)
{
	return (u8 *)platform_frame_va(pfn) + (gpa.v & (PAGE_BYTES - 1));
}

err_t guest_mem_read(struct space *space, gpa_t gpa, void *to, size_t bytes)
{
	u8 *at = to;

	while (bytes > 0) {
		size_t piece = in_page(gpa, bytes);
		pfn_t pfn;
		err_t err = space_pin(space, gpa_to_gfn(gpa), false, &pfn);

		if (err)
			return err;
		memcpy(at, pinned_va(pfn, gpa), piece);
		space_unpin(space, pfn);
		at += piece;
		bytes -= piece;
		gpa.v += piece;
	}
	return 0;
}

/* Pin every page of a piece for writing. On error none is left pinned. */
static err_t gather(struct space *space, gpa_t gpa, size_t bytes, pfn_t *pfns, u32 *count)
{
	u64 first = gpa_to_gfn(gpa).v;
	u64 last = gpa_to_gfn(GPA(gpa.v + bytes - 1)).v;
	u32 n = 0;

	for (u64 gfn = first; gfn <= last; gfn++, n++) {
		err_t err = space_pin(space, GFN(gfn), true, &pfns[n]);

		if (err) {
			while (n > 0)
				space_unpin(space, pfns[--n]);
			return err;
		}
	}
	*count = n;
	return 0;
}

/* @from: what to copy, or NULL to fill with @byte. */
static err_t put_piece(struct space *space, gpa_t gpa, const u8 *from, u8 byte, size_t bytes)
{
	pfn_t pfns[PAGES_AT_ONCE];
	u32 count;
	err_t err = gather(space, gpa, bytes, pfns, &count);

	if (err)
		return err;
	for (u32 i = 0; i < count; i++) {
		size_t piece = in_page(gpa, bytes);

		if (from) {
			memcpy(pinned_va(pfns[i], gpa), from, piece);
			from += piece;
		} else {
			memset(pinned_va(pfns[i], gpa), byte, piece);
		}
		space_unpin(space, pfns[i]);
		gpa.v += piece;
		bytes -= piece;
	}
	return 0;
}

static err_t put(struct space *space, gpa_t gpa, const u8 *from, u8 byte, size_t bytes)
{
	if (bytes > 0 && !space_range_is_ram(space, gpa, bytes))
		return E_RANGE;
	while (bytes > 0) {
		size_t piece = min(bytes, (size_t)GUEST_MEM_ATOMIC_BYTES);
		err_t err = put_piece(space, gpa, from, byte, piece);

		if (err)
			return err;
		from = from ? from + piece : NULL;
		gpa.v += piece;
		bytes -= piece;
	}
	return 0;
}

err_t guest_mem_write(struct space *space, gpa_t gpa, const void *from, size_t bytes)
{
	return put(space, gpa, from, 0, bytes);
}

err_t guest_mem_fill(struct space *space, gpa_t gpa, u8 byte, size_t bytes)
{
	return put(space, gpa, NULL, byte, bytes);
}
