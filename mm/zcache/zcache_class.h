/*
 * A size class: objects of one size, end to end in a stack of frames.
 *
 * The frames are linked downwards by their owner words. An object may begin in one frame and end in
 * the next above; its place is where it ends. Objects come and go at the top only, so all frames
 * but the top one are full.
 *
 * Guarded by the cache's lock.
 */
#ifndef MM_ZCACHE_ZCACHE_CLASS_H
#define MM_ZCACHE_ZCACHE_CLASS_H

#include "mm/base/types.h"
#include "mm/base/err.h"

/* Sizes are its multiples, and it divides a page. */
#define ZCACHE_STEP_BYTES 16u

struct zcache_class {
	pfn_t top;  /* PFN_NONE: no object */
	u32 used;   /* bytes of the top frame that are taken; PAGE_BYTES if there is none */
	u32 bytes;  /* of an object */
	u32 hole;   /* zcache_hole.c: the first place whose object was dropped; a handle, 0: none */
	u64 frames; /* in the stack */
};

struct zcache_place {
	pfn_t frame; /* where its last byte lies */
	u32 end;     /* offset behind that; a multiple of ZCACHE_STEP_BYTES, at least one */
};

void zcache_class_init(struct zcache_class *class, u32 bytes);
/* Give up all places. Cost: O(objects). */
void zcache_class_clear(struct zcache_class *class);

/* Will zcache_class_push() need a frame? */
bool zcache_class_is_full(const struct zcache_class *class);

/* Room for one more object at the top. Returns 0 with its place; E_NOMEM. */
must_check err_t zcache_class_push(struct zcache_class *class, struct zcache_place *out);
/* The place at the top; its frame is PFN_NONE if there is no object. */
struct zcache_place zcache_class_last(const struct zcache_class *class);
/* The place beneath one that is not PFN_NONE. */
struct zcache_place zcache_class_below(const struct zcache_class *class, struct zcache_place place);
/* Give up the place at the top. */
void zcache_class_pop(struct zcache_class *class);

/* The first @bytes of the object at @place: where they lie, or copied to @room if in two pieces. */
const void *zcache_class_view(
	const struct zcache_class *class, struct zcache_place place, void *room, u32 bytes);
/* Copy the first @bytes of the object at @place or all of them from one place to another. */
void zcache_class_read(
	const struct zcache_class *class, struct zcache_place place, void *out, u32 bytes);
void zcache_class_write(
	const struct zcache_class *class, struct zcache_place place, const void *from, u32 bytes);
void zcache_class_move(const struct zcache_class *class, struct zcache_place to,
	struct zcache_place from, u32 bytes);

#endif
