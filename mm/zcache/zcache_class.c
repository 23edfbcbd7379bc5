/* Stacks of frames with objects of one size: see zcache_class.h. */
#include "mm/zcache/zcache_class.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/base/str.h"

void zcache_class_init(struct zcache_class *class, u32 bytes)
{
	*class = (struct zcache_class){.top = PFN_NONE, .used = PAGE_BYTES, .bytes = bytes};
}

static pfn_t frame_below(pfn_t frame)
{
	return PFN(frame_owner(frame));
}

void zcache_class_clear(struct zcache_class *class)
{
	while (class->frames)
		zcache_class_pop(class);
	class->hole = 0;
}

bool zcache_class_is_full(const struct zcache_class *class)
{
	return class->used + class->bytes > PAGE_BYTES;
}

err_t zcache_class_push(struct zcache_class *class, struct zcache_place *out)
{
	if (zcache_class_is_full(class)) {
		pfn_t frame = frame_alloc(FRAME_ZCACHE);

		if (pfn_is_none(frame))
			return E_NOMEM;
		frame_set_owner(frame, class->top.v);
		class->top = frame;
		class->frames++;
		/* The object begins in what is left of the frame below. */
		class->used = class->used + class->bytes - PAGE_BYTES;
	} else {
		class->used += class->bytes;
	}
	*out = zcache_class_last(class);
	return 0;
}

struct zcache_place zcache_class_last(const struct zcache_class *class)
{
	return (struct zcache_place){class->top, class->used};
}

struct zcache_place zcache_class_below(const struct zcache_class *class, struct zcache_place place)
{
	if (place.end > class->bytes)
		return (struct zcache_place){place.frame, place.end - class->bytes};
	return (struct zcache_place){
		frame_below(place.frame), place.end + (u32)PAGE_BYTES - class->bytes};
}

void zcache_class_pop(struct zcache_class *class)
{
	struct zcache_place next = zcache_class_below(class, zcache_class_last(class));

	if (next.frame.v != class->top.v) {
		frame_free(class->top);
		class->frames--;
	}
	class->top = next.frame;
	class->used = next.end;
}

/*
 * Where the first byte lies, and how many lie together from there; the others begin at the frame
 * @place is in.
 */
static u8 *place_begin(const struct zcache_class *class, struct zcache_place place, u32 *together)
{
	u8 *frame = platform_frame_va(place.frame);

	if (place.end >= class->bytes) {
		*together = class->bytes;
		return frame + place.end - class->bytes;
	}
	*together = class->bytes - place.end;
	return (u8 *)platform_frame_va(frame_below(place.frame)) + PAGE_BYTES - *together;
}

const void *zcache_class_view(
	const struct zcache_class *class, struct zcache_place place, void *room, u32 bytes)
{
	u32 together;
	const u8 *begin = place_begin(class, place, &together);

	if (together >= bytes)
		return begin;
	zcache_class_read(class, place, room, bytes);
	return room;
}

void zcache_class_read(
	const struct zcache_class *class, struct zcache_place place, void *out, u32 bytes)
{
	u32 together;
	const u8 *begin = place_begin(class, place, &together);

	together = min(together, bytes);
	memcpy(out, begin, together);
	memcpy((u8 *)out + together, platform_frame_va(place.frame), bytes - together);
}

void zcache_class_write(
	const struct zcache_class *class, struct zcache_place place, const void *from, u32 bytes)
{
	u32 together;
	u8 *begin = place_begin(class, place, &together);

	together = min(together, bytes);
	memcpy(begin, from, together);
	memcpy(platform_frame_va(place.frame), (const u8 *)from + together, bytes - together);
}

void zcache_class_move(const struct zcache_class *class, struct zcache_place to,
	struct zcache_place from, u32 bytes)
{
	u32 source_left, sink_left;
	const u8 *source = place_begin(class, from, &source_left);
	u8 *sink = place_begin(class, to, &sink_left);

	while (bytes) {
		u32 piece = min(bytes, min(source_left, sink_left));

		memcpy(sink, source, piece);
		bytes -= piece;
		sink_left -= piece;
		source_left -= piece;
		sink = sink_left ? sink + piece : platform_frame_va(to.frame);
		source = source_left ? source + piece : platform_frame_va(from.frame);
		/* What is in the second frame ends there. */
		sink_left = sink_left ? sink_left : bytes;
		source_left = source_left ? source_left : bytes;
	}
}
