/* A cache, as zcache.c, zcache_hole.c and the audit know it. */
#ifndef MM_ZCACHE_ZCACHE_PRIVATE_H
#define MM_ZCACHE_ZCACHE_PRIVATE_H

#include "mm/zcache/zcache.h"
#include "mm/zcache/zcache_class.h"
#include "mm/zcache/zcache_codec.h"
#include "mm/zcache/zcache_table.h"
#include "mm/base/lock.h"

/* What LZ4 made, with its head, in steps: 1 .. ZCACHE_CLASSES. */
#define ZCACHE_CLASSES                                                                             \
	((ZCACHE_PACKED_HEAD + ZCACHE_LZ4_BYTES_MAX + ZCACHE_STEP_BYTES - 1) / ZCACHE_STEP_BYTES)

struct zcache {
	struct spinlock lock;          /* all below, but what is fixed [I] */
	u64 page_count;                /* [I] most objects */
	u64 most_frames;               /* [I] */
	u64 frame_count;               /* [I] that this struct and its directory lie in */
	u64 holes;                     /* of all classes */
	u32 cursor;                    /* the class whose holes are filled next */
	u64 lz4_bytes;                 /* sum over all objects */
	u64 object_frames;             /* sum over all classes */
	struct zcache_figures figures; /* [a] what ever happened; the rest is made when asked for */
	struct zcache_table table;
	struct zcache_class classes[ZCACHE_CLASSES];
	struct zcache_table_frame directory[]; /* the table's */
};

/* Objects in the cache. */
static inline u64 zcache_objects(const struct zcache *zcache)
{
	return zcache->table.objects - zcache->holes;
}

/* The class that an object belongs to. */
static inline u32 zcache_class_index(u32 lz4_bytes)
{
	return (u32)(ZCACHE_PACKED_HEAD + lz4_bytes - 1) / ZCACHE_STEP_BYTES;
}

/* Give up the place at the top of a class. Lock held. */
void zcache_place_pop(struct zcache *zcache, struct zcache_class *class);

/* Drop an object: its place becomes a hole. Lock held. Cost: O(1), or a copy of an object. */
void zcache_hole_make(struct zcache *zcache, u32 handle, struct zcache_entry *entry);
/* Use a hole of the class, which has one, for a new object: its handle. Lock held. */
u32 zcache_hole_reuse(struct zcache *zcache, struct zcache_class *class);
/* Fill so many holes, or fewer if there are not so many. Lock held. Cost: a copy of an object for
 * each. */
void zcache_holes_fill(struct zcache *zcache, u32 count);

#endif
