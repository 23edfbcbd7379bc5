/*
 * A batch of pages of one space that are being merged: filled by share.c page by page, finished by
 * share_merge.c at once. There is one, and it belongs to whoever scans.
 */
#ifndef MM_SHARE_SHARE_BATCH_H
#define MM_SHARE_SHARE_BATCH_H

#include "mm/share/share.h"
#include "mm/share/share_index.h"

#define SHARE_BATCH_PAGES 32u

/* Enough for splitting a 2 MiB leaf. */
#define SHARE_SPLIT_GAIN_PAGES 64u

enum share_target {
	SHARE_TARGET_ZERO,
	SHARE_TARGET_SHARED, /* .target is a shared frame, one reference of which is ours */
	SHARE_TARGET_HINT,   /* .target is the frame of a page that is to become shared first */
};

struct share_candidate {
	gfn_t gfn;   /* write-protected, in the batch's space */
	pfn_t frame; /* what it had when it was hashed */
	struct share_id id;
	enum share_target kind;
	pfn_t target;
	/* Whose page a hint is of, write-protected as well. Number 0: nobody's any more. */
	u32 hint_number;
	u64 hint_serial;
	gfn_t hint_gfn;
};

struct share_batch {
	u32 number; /* the space that is scanned */
	u64 serial;
	u32 count;
	struct share_candidate pages[SHARE_BATCH_PAGES];
};

/* A page's identity. */
struct share_id share_identify(const struct space *space, pfn_t frame, bool *zero);

/*
 * Prepare the page behind a hint for being shared: write-protect it. Where the hint is not true any
 * more, or its page part of a 2 MiB leaf, .hint_number is 0 and @self's counters say so.
 * Locks: none held; takes the region's.
 */
void share_hint_protect(struct space *self, struct share_candidate *c);

/*
 * Flush, compare, merge. The batch is empty afterwards; every page of it is either shared or
 * writable again. Locks: none held; takes region locks, one at a time.
 */
void share_batch_finish(struct share_batch *batch);

#ifdef BELLOWS_HOST
void share_batch_test_act(void (*act)(enum share_step step));
#endif

/*
 * Is the page that .target hints at still where it was, with the same bytes? Writes nothing.
 * Locks: none held; takes the region's. Cost: hashing a page.
 */
bool share_hint_is_true(const struct share_candidate *c);

/* Are they the same bytes? Both frames are somebody's; a guest may write to one meanwhile. */
bool share_pages_equal(pfn_t a, pfn_t b);

/*
 * @gfn's page of a 2 MiB leaf is known to be elsewhere too; whether enough of the leaf's are by now
 * for splitting it; nothing is known of any of them any more. Only by who scans. O(1).
 */
void share_gain_note(struct space *space, gfn_t gfn);
bool share_gain_is_enough(struct space *space, gfn_t gfn);
void share_gain_forget(struct space *space, gfn_t gfn);

/*
 * A hint of another page's scan names @gfn, whose region is a 2 MiB leaf: count it, and split the
 * leaf if that is worth it by now, or memory is short. Returns SHARE_REFUSED_COUNT if it was split.
 * Locks: region held.
 */
enum share_refusal share_gain_split(
	struct space *space, gfn_t gfn, const struct share_candidate *c);

/*
 * A slice of unsharing, from the walk's place on, until about @end_ns, or *@no_memory: there was no
 * frame, and by its orders the space may not have one now. Returns whether all is unshared.
 * Locks: none held; takes region locks, one at a time, and what a fault takes that finds no frame.
 */
bool share_unshare_some(struct space *space, u64 end_ns, bool *no_memory);

/* Count one: a page that is not merged, and one that is, with @shared. */
void share_refuse(struct space *space, enum share_refusal why);
void share_count_merged(struct space *space, pfn_t shared);

#endif
