/*
 * The index of page sharing: where another page with the same hash is, in constant memory, 8 bytes
 * a frame.
 *
 * Buckets of one cache line hold eight entries. A *hint* names a PRIVATE frame that had this hash
 * when it was last scanned; nothing keeps it true, so whoever follows it verifies. A *shared* entry
 * names a FRAME_SHARED frame and is exact: it is made with the frame and goes with it. When a
 * bucket is full, hints give way whose frames have ended or been hashed to something else; then the
 * newest, so that a page which stays as it is keeps its hint however many others are written. A
 * shared entry never gives way.
 *
 * A shared frame's owner word holds most of its hash, its salt and the number of the space that had
 * it first, so that salts are told apart with certainty and the frame finds its own bucket when its
 * last sharer goes.
 */
#ifndef MM_SHARE_SHARE_INDEX_H
#define MM_SHARE_SHARE_INDEX_H

#include "mm/base/types.h"
#include "mm/base/err.h"

/* Salts are numbered; equal numbers share. */
#define SHARE_SALT_BITS 14
#define SHARE_SALT_MAX  (BIT(SHARE_SALT_BITS) - 1)

/* More references than this to one shared frame are not made; a further copy is started instead. */
#define SHARE_COUNT_MAX (BIT(31))

struct share_id {
	u64 hash;
	u32 salt; /* at most SHARE_SALT_MAX */
};

/* Frames that the index takes on a host of @frames frames of RAM. */
u64 share_index_frames(u64 frames);

/* Returns E_NOMEM. Once, after frame_init_cpus(). */
must_check err_t share_index_init(void);

enum share_found {
	SHARE_FOUND_NOTHING, /* @self now stands there as a hint, or there was no room for one */
	SHARE_FOUND_HINT, /* *out may hold the same page; to be verified. @self does not stand there
			   */
	SHARE_FOUND_SHARED, /* *out is a shared frame, of which the caller now holds a reference */
};

/*
 * Look for a page like the PRIVATE frame @self, and leave @self as a hint for the next one. If it
 * had the same hash the last time, it takes the place of another's hint, and keeps it for long.
 * Locks: the region of @self's page held; takes one of rank SHARE. Cost: O(1), one cache line; in a
 * full bucket eight more.
 */
enum share_found share_index_find(struct share_id id, pfn_t self, pfn_t *out);

/* Only a shared frame, and no hint is left. Otherwise as above. */
bool share_index_find_shared(struct share_id id, pfn_t *out);

/* Leave @self as a hint, in place of @stale (PFN_NONE: of nobody in particular), if there is room.
 */
void share_index_hint(struct share_id id, pfn_t self, pfn_t stale);

/*
 * Enter @frame, which has just become FRAME_SHARED and that nobody else knows yet. Sets its owner
 * word; @first: the space whose page it was. Returns E_LIMIT: its bucket is full of shared frames;
 * nothing is changed and the caller makes the frame PRIVATE again.
 */
must_check err_t share_index_enter(struct share_id id, pfn_t frame, u32 first);

/* Drop a reference to a shared frame. With the last it leaves the index and is freed; returns
 * whether it was. */
bool share_index_put(pfn_t frame);

/*
 * Take the frame for oneself if the caller's is its only reference and nobody pins it: it leaves
 * the index and is FRAME_PRIVATE. Returns whether so; if not, nothing is changed.
 */
bool share_index_take_last(pfn_t frame);

/* Of a shared frame to which the caller has a reference. */
u32 share_index_salt(pfn_t frame);
u32 share_index_first(pfn_t frame);

/* Check each shared entry against the frame table, and that each shared frame stands there once.
 * Cost: O(memory). */
must_check bool share_index_audit(void);

#ifdef BELLOWS_HOST
/* Start a further copy after so many references. 0: SHARE_COUNT_MAX. */
void share_index_test_count_max(u64 count_max);
#endif

#endif
