/*
 * The compression cache: one for each VM, of evicted pages that LZ4 shrinks to half or less. It
 * knows pages by number and objects by handle, and no page-table entry: whoever evicts or faults
 * keeps the handle in the page's entry.
 *
 * Objects lie in size classes, 16 bytes apart. The objects of a class lie end to end in frames that
 * need not be neighbours, and only the last of these is partly empty. The place of an object that
 * is dropped is taken by the next of its class that comes, or filled by the last: by
 * zcache_compact(), or before a page is refused, or when there are too many such holes. What is
 * lost otherwise is the rounding, eight bytes an object for its checksum and number, and half a
 * frame a class. A handle is an index into a table, which knows where the object is now; handles
 * stay valid until dropped, whatever moves.
 *
 * The order of objects is that of their being stored. A touched page leaves, so the oldest is the
 * coldest; it is written to swap as it is when the cache is full.
 *
 * The caller holds the lock of the page's region while it uses the page's handle, so nobody drops
 * it meanwhile. The cache has one lock, held for copying some objects at most; compressing,
 * decompressing and checksums are done outside of it, in memory that each CPU has set aside. All
 * frames are FRAME_ZCACHE, those of the table included, and count against the quota.
 */
#ifndef MM_ZCACHE_ZCACHE_H
#define MM_ZCACHE_ZCACHE_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct zcache;

/* A page goes in if LZ4 makes of it so many bytes or fewer. */
#define ZCACHE_LZ4_BYTES_MAX (PAGE_BYTES / 2)
/* An object as zcache_copy() gives it away: a checksum of 4 bytes, and what LZ4 made. */
#define ZCACHE_OBJECT_BYTES_MAX (4 + ZCACHE_LZ4_BYTES_MAX)
/* Handles are 1 .. 2^ZCACHE_HANDLE_BITS - 1. */
#define ZCACHE_HANDLE_BITS 32

struct zcache_object {
	u64 handle;
	gfn_t gfn; /* whose page it is */
	u32 bytes; /* at most ZCACHE_OBJECT_BYTES_MAX */
};

/* Set aside LZ4's state and a buffer for each CPU. After frame_init_cpus(); once. E_NOMEM. */
must_check err_t zcache_init_cpus(void);

/* Frames that a cache takes besides the quota, from its beginning; part of its VM's overhead. */
u64 zcache_overhead_frames(u64 page_count);

/**
 * Make a cache that takes frames as it needs them, @most_frames at most, and gives them back.
 * @page_count: pages of the VM: it never holds more objects.
 * Owns: *@out is the caller's until zcache_destroy(). Returns 0; E_NOMEM (nothing is left behind).
 */
must_check err_t zcache_create(struct zcache **out, u64 page_count, u64 most_frames);

/* The VM's end: free everything, objects included. Nobody uses it or its handles any more. */
void zcache_destroy(struct zcache *zcache);

/* Drop all objects, as a VM's reset does: no handle is valid any more. Cost: O(frames). */
void zcache_clear(struct zcache *zcache);

/**
 * Compress a page into the cache, as its youngest object.
 * @frame: its contents, which do not change meanwhile; stays the caller's.
 * Returns 0 with *@handle; and else without any change: E_RANGE (does not shrink to half, or @gfn
 * is beyond 2^32 - 1); E_LIMIT (the quota: write out some of the coldest, or this page as it is);
 * E_NOMEM (no frame: at most 2 are needed).
 * Locks: region held; takes the cache's. Never waits. Cost: LZ4 on 4 KiB, a copy of the object.
 */
must_check err_t zcache_store(struct zcache *zcache, gfn_t gfn, pfn_t frame, u64 *handle);

/**
 * Decompress an object into a frame; the object stays until zcache_drop().
 * Returns 0; E_CORRUPT (checksum, or LZ4; contents of @to are undefined; the VM must stop).
 * Locks: region held, so that nobody else uses the handle; takes the cache's. Never waits. Cost:
 * LZ4 on 4 KiB.
 */
must_check err_t zcache_load(struct zcache *zcache, u64 handle, pfn_t to);

/* The same, and the object is gone, except after E_CORRUPT. */
must_check err_t zcache_take(struct zcache *zcache, u64 handle, pfn_t to);

/* Forget an object. Locks: region held; takes the cache's. Cost: O(1), or a copy of an object. */
void zcache_drop(struct zcache *zcache, u64 handle);

/*
 * Fill at most @count of the places that dropped objects left; frames may come free. Before pages
 * are stored, and when there is time. Cost: a copy of an object for each.
 */
void zcache_compact(struct zcache *zcache, u32 count);

/**
 * Name the oldest object, for write-out; it counts as the youngest then, so that the next call
 * names another. Nothing protects it: the caller locks the region of .gfn, and finds .handle in the
 * page's entry or leaves it alone.
 * Returns false if there is none, or none that is not being written out. Cost: O(1).
 */
bool zcache_coldest(struct zcache *zcache, struct zcache_object *out);

/**
 * Copy an object as it is into a frame, for write-out; zeros behind it.
 * zcache_coldest() does not name it any more, until zcache_put_back(). Loading and dropping it go
 * on as before. Returns its length in bytes.
 * Locks: region held; takes the cache's. Cost: 4 KiB written.
 */
u32 zcache_copy(struct zcache *zcache, u64 handle, pfn_t to);

/* Its write-out failed: it is in the order again, as the youngest. Locks: as zcache_drop(). */
void zcache_put_back(struct zcache *zcache, u64 handle);

/**
 * Decompress an object that has come back from swap. For any bytes at all.
 * @bytes: its length as zcache_copy() told it. @to: not @from.
 * Returns 0; E_CORRUPT (length, checksum, or LZ4; contents of @to are undefined).
 * Locks: none needed. Never waits. Cost: LZ4 on 4 KiB.
 */
must_check err_t zcache_decode(pfn_t from, u32 bytes, pfn_t to);

struct zcache_figures {
	/* Now. */
	u64 frames;        /* without the overhead; at most most_frames */
	u64 object_frames; /* of them, those that hold objects; the others hold the table */
	u64 most_frames;
	u64 objects;
	u64 holes;     /* places that dropped objects left, and that are not filled yet */
	u64 lz4_bytes; /* what LZ4 made of their pages */
	/* Ever. */
	u64 stored, loaded, taken, dropped;
	u64 refused_size, refused_quota, refused_nomem, corrupt;
};
/* Cost: O(1); takes the cache's lock. */
void zcache_figures(struct zcache *zcache, struct zcache_figures *out);

/*
 * Check every invariant; false if one fails, and the log tells which: each object stands once in
 * its class and once in the table, classes are dense, the account agrees with the frames, every
 * checksum is right. Nobody uses the cache meanwhile. Cost: O(objects).
 */
must_check bool zcache_audit(struct zcache *zcache);

#endif
