/*
 * Buckets, and the races around a shared frame's last reference.
 *
 * An entry: 63:62 what it is, 61:36 tag (26 mixed bits of hash and salt), 35:0 pfn. The bucket is
 * the hash scaled to the number of buckets, so any number of them will do. A shared frame's owner
 * word: 63:24 the upper 40 bits of its hash, 23:14 the space that had it first, 13:0 its salt.
 * Bucket and tag come from those 40 bits, so it is found again. A PRIVATE frame's owner word has
 * the tag's lower bits of its last hash, its print: by that a hint is known to be outdated.
 *
 * A bucket's entries stand by how soon they give way. What comes first has its hash for the first
 * time, so that pages which are written again and again drive out each other, and not those that
 * nobody writes any more; a page that is hashed again to the same goes last.
 *
 * A reference is taken under the bucket's lock, or by whoever holds one, and the step from one
 * reference to none is taken under it too. So whoever finds an entry there finds a live frame.
 * Drops that leave a reference need no lock.
 */
#include "mm/share/share_index.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/space/space_registry.h"
#include "mm/base/check.h"
#include "mm/base/lock.h"
#include "mm/base/log.h"

#define ENTRY_KIND_SHIFT 62
#define ENTRY_TAG_SHIFT  36
#define ENTRY_TAG_MASK   BITS(61, 36)
#define ENTRY_PFN_MASK   BITS(35, 0)
#define BUCKET_ENTRIES   8u
#define LOCK_COUNT       1024u /* stripes: far more than CPUs that could meet */

#define OWNER_HASH_MASK   BITS(63, 24)
#define OWNER_FIRST_SHIFT SHARE_SALT_BITS
#define OWNER_FIRST_MASK  BITS(23, SHARE_SALT_BITS)

_Static_assert(SHARE_SALT_BITS + SPACE_NUMBER_BITS == 24, "an owner word's lower 24 bits");
_Static_assert((SPACE_OWNER_PRINT_MASK & ~ENTRY_TAG_MASK) == 0, "a print is part of a tag");

enum entry_kind { ENTRY_EMPTY, ENTRY_HINT, ENTRY_SHARED };

struct bucket {
	u64 entries[BUCKET_ENTRIES]; /* [b] the stripe's lock */
} __attribute__((aligned(CACHE_LINE_BYTES)));

static struct {
	struct bucket *buckets;            /* [I] */
	u64 bucket_count;                  /* [I] */
	struct spinlock locks[LOCK_COUNT]; /* by bucket number */
	u64 count_max;                     /* [I] */
} table;

static u64 div_up(u64 a, u64 b)
{
	return (a + b - 1) / b;
}

u64 share_index_frames(u64 frames)
{
	return div_up(frames * sizeof(u64), PAGE_BYTES);
}

err_t share_index_init(void)
{
	u64 frames = share_index_frames(frame_total_count());
	pfn_t run = frame_alloc_run(FRAME_HV, frames);

	if (pfn_is_none(run))
		return E_NOMEM;
	table.buckets = platform_frame_va(run);
	table.bucket_count = frames * PAGE_BYTES / sizeof(struct bucket);
	for (u32 i = 0; i < LOCK_COUNT; i++)
		spin_init(&table.locks[i], LOCK_RANK_SHARE);
	table.count_max = SHARE_COUNT_MAX;
	return E_OK;
}

#ifdef BELLOWS_HOST
void share_index_test_count_max(u64 count_max)
{
	table.count_max = count_max ? count_max : SHARE_COUNT_MAX;
}
#endif

/* By the hash's upper 40 bits only, for that is what a shared frame remembers. */
static u64 bucket_of(u64 hash)
{
	return (u64)(((unsigned __int128)(hash & OWNER_HASH_MASK) * table.bucket_count) >> 64);
}

static struct spinlock *lock_of(u64 bucket)
{
	return &table.locks[bucket % LOCK_COUNT];
}

/* What of a shared frame's owner word tells its identity. */
static bool owner_is(pfn_t frame, struct share_id id)
{
	return (frame_owner(frame) & ~OWNER_FIRST_MASK) == ((id.hash & OWNER_HASH_MASK) | id.salt);
}

/* The salt goes into the tag, so that equal pages of different salts seldom meet. */
static u64 tag_of(u64 hash, u32 salt)
{
	u64 mixed = ((hash & OWNER_HASH_MASK) ^ salt) * 0x9e3779b97f4a7c15ull;

	return mixed >> 2 & ENTRY_TAG_MASK;
}

static u64 entry_make(enum entry_kind kind, u64 tag, pfn_t pfn)
{
	return (u64)kind << ENTRY_KIND_SHIFT | tag | pfn.v;
}

static enum entry_kind entry_kind(u64 entry)
{
	return (enum entry_kind)(entry >> ENTRY_KIND_SHIFT);
}

static pfn_t entry_pfn(u64 entry)
{
	return PFN(entry & ENTRY_PFN_MASK);
}

/* Has the frame ended, or been hashed to something else since? One in 2^14 of those is missed. */
static bool is_outdated(u64 hint)
{
	pfn_t frame = entry_pfn(hint);

	return frame_kind(frame) != FRAME_PRIVATE ||
	       ((frame_owner(frame) ^ hint) & SPACE_OWNER_PRINT_MASK) != 0;
}

/* Bucket locked. All at once: their frames' records lie anywhere, and are waited for together. */
static void drop_outdated(struct bucket *bucket)
{
	for (u32 i = 0; i < BUCKET_ENTRIES; i++) {
		if (entry_kind(bucket->entries[i]) == ENTRY_HINT && is_outdated(bucket->entries[i]))
			bucket->entries[i] = 0;
	}
}

/* Where an entry can go; BUCKET_ENTRIES: nowhere. */
struct places {
	u32 own;   /* the frame's own hint */
	u32 empty; /* the foremost */
	u32 hint;  /* likewise */
};

/* Bucket locked. */
static struct places places_in(const struct bucket *bucket, pfn_t frame)
{
	struct places places = {BUCKET_ENTRIES, BUCKET_ENTRIES, BUCKET_ENTRIES};

	for (u32 i = BUCKET_ENTRIES; i-- > 0;) {
		u64 entry = bucket->entries[i];

		if (entry_kind(entry) == ENTRY_EMPTY)
			places.empty = i;
		else if (entry_kind(entry) == ENTRY_HINT)
			places.hint = i;
		if (entry_kind(entry) == ENTRY_HINT && entry_pfn(entry).v == frame.v)
			places.own = i;
	}
	return places;
}

/*
 * Bucket locked. Put @entry, for the frame's own hint or for nothing or another hint, at the back
 * if it @stays; if not, where its own hint was, or in front, as the first to give way. Returns
 * false if all are shared, and changes nothing.
 */
static bool put(struct bucket *bucket, u64 entry, bool stays)
{
	struct places places = places_in(bucket, entry_pfn(entry));
	u32 at, end = stays ? BUCKET_ENTRIES - 1 : 0;

	if (places.own < BUCKET_ENTRIES && !stays) {
		bucket->entries[places.own] = entry;
		return true;
	}
	if (places.own == BUCKET_ENTRIES && places.empty == BUCKET_ENTRIES) {
		drop_outdated(bucket);
		places = places_in(bucket, entry_pfn(entry));
	}
	at = places.own < BUCKET_ENTRIES     ? places.own
	     : places.empty < BUCKET_ENTRIES ? places.empty
					     : places.hint;
	if (at == BUCKET_ENTRIES)
		return false;
	for (; at < end; at++)
		bucket->entries[at] = bucket->entries[at + 1];
	for (; at > end; at--)
		bucket->entries[at] = bucket->entries[at - 1];
	bucket->entries[at] = entry;
	return true;
}

/* Bucket locked. A live shared frame of that identity that can bear one more reference, or
 * PFN_NONE. */
static pfn_t shared_in(const struct bucket *bucket, struct share_id id, u64 tag)
{
	for (u32 i = 0; i < BUCKET_ENTRIES; i++) {
		u64 entry = bucket->entries[i];
		pfn_t pfn = entry_pfn(entry);

		if (entry_kind(entry) == ENTRY_SHARED && (entry & ENTRY_TAG_MASK) == tag &&
			owner_is(pfn, id) && frame_ref_count(pfn) < table.count_max)
			return pfn;
	}
	return PFN_NONE;
}

static pfn_t hint_in(const struct bucket *bucket, u64 tag, pfn_t self)
{
	for (u32 i = 0; i < BUCKET_ENTRIES; i++) {
		u64 entry = bucket->entries[i];

		if (entry_kind(entry) == ENTRY_HINT && (entry & ENTRY_TAG_MASK) == tag &&
			entry_pfn(entry).v != self.v)
			return entry_pfn(entry);
	}
	return PFN_NONE;
}

/* Returns whether it was the same before. */
static bool set_print(pfn_t frame, u64 tag)
{
	u64 word = frame_owner(frame), print = tag & SPACE_OWNER_PRINT_MASK;

	frame_set_owner(frame, (word & ~SPACE_OWNER_PRINT_MASK) | print);
	return (word & SPACE_OWNER_PRINT_MASK) == print;
}

enum share_found share_index_find(struct share_id id, pfn_t self, pfn_t *out)
{
	u64 number = bucket_of(id.hash), tag = tag_of(id.hash, id.salt);
	struct bucket *bucket = &table.buckets[number];
	enum share_found found = SHARE_FOUND_SHARED;

	CHECK(self.v <= ENTRY_PFN_MASK && id.salt <= SHARE_SALT_MAX);
	bool stays = set_print(self, tag);

	spin_lock(lock_of(number));
	*out = shared_in(bucket, id, tag);
	if (!pfn_is_none(*out)) {
		frame_get(*out);
	} else {
		*out = hint_in(bucket, tag, self);
		found = pfn_is_none(*out) ? SHARE_FOUND_NOTHING : SHARE_FOUND_HINT;
		if (found == SHARE_FOUND_NOTHING)
			put(bucket, entry_make(ENTRY_HINT, tag, self), stays);
	}
	spin_unlock(lock_of(number));
	return found;
}

bool share_index_find_shared(struct share_id id, pfn_t *out)
{
	u64 number = bucket_of(id.hash);

	spin_lock(lock_of(number));
	*out = shared_in(&table.buckets[number], id, tag_of(id.hash, id.salt));
	if (!pfn_is_none(*out))
		frame_get(*out);
	spin_unlock(lock_of(number));
	return !pfn_is_none(*out);
}

void share_index_hint(struct share_id id, pfn_t self, pfn_t stale)
{
	u64 number = bucket_of(id.hash), tag = tag_of(id.hash, id.salt);
	struct bucket *bucket = &table.buckets[number];
	u64 *slot = NULL;

	spin_lock(lock_of(number));
	for (u32 i = 0; i < BUCKET_ENTRIES && !pfn_is_none(stale); i++) {
		if (bucket->entries[i] == entry_make(ENTRY_HINT, tag, stale))
			slot = &bucket->entries[i];
	}
	if (slot)
		*slot = entry_make(ENTRY_HINT, tag, self);
	else
		put(bucket, entry_make(ENTRY_HINT, tag, self), false);
	spin_unlock(lock_of(number));
}

err_t share_index_enter(struct share_id id, pfn_t frame, u32 first)
{
	u64 number = bucket_of(id.hash), tag = tag_of(id.hash, id.salt);

	spin_lock(lock_of(number));
	bool room = put(&table.buckets[number], entry_make(ENTRY_SHARED, tag, frame), false);

	if (room)
		frame_set_owner(frame,
			(id.hash & OWNER_HASH_MASK) | (u64)first << OWNER_FIRST_SHIFT | id.salt);
	spin_unlock(lock_of(number));
	return room ? E_OK : E_LIMIT;
}

/* Bucket locked. */
static void entry_remove(struct bucket *bucket, pfn_t frame)
{
	for (u32 i = 0; i < BUCKET_ENTRIES; i++) {
		u64 *entry = &bucket->entries[i];

		if (entry_kind(*entry) == ENTRY_SHARED && entry_pfn(*entry).v == frame.v) {
			*entry = 0;
			return;
		}
	}
	CHECK(!"a shared frame stands in its bucket");
}

/*
 * Its only reference is the caller's, and under the lock nobody can get another; nor a pin, which
 * needs a mapping.
 * @unpinned: only if there is none from before either.
 */
static bool leave_if_last(pfn_t frame, bool unpinned)
{
	u64 number = bucket_of(frame_owner(frame));

	spin_lock(lock_of(number));
	bool last = frame_ref_count(frame) == 1 && !(unpinned && frame_pin_count(frame));

	if (last)
		entry_remove(&table.buckets[number], frame);
	spin_unlock(lock_of(number));
	return last;
}

bool share_index_put(pfn_t frame)
{
	/* The loop ends: each turn either drops a reference or finds that somebody took or dropped
	 * one. */
	for (;;) {
		if (frame_put_unless_last(frame))
			return false;
		if (leave_if_last(frame, false)) {
			frame_free(frame);
			return true;
		}
	}
}

bool share_index_take_last(pfn_t frame)
{
	if (frame_ref_count(frame) != 1 || !leave_if_last(frame, true))
		return false;
	frame_set_kind(frame, FRAME_PRIVATE);
	return true;
}

u32 share_index_salt(pfn_t frame)
{
	return (u32)(frame_owner(frame) & SHARE_SALT_MAX);
}

u32 share_index_first(pfn_t frame)
{
	return (u32)((frame_owner(frame) & OWNER_FIRST_MASK) >> OWNER_FIRST_SHIFT);
}

bool share_index_audit(void)
{
	struct frame_account account;
	u64 shared = 0;
	bool sound = true;

	for (u64 number = 0; number < table.bucket_count; number++) {
		for (u32 i = 0; i < BUCKET_ENTRIES; i++) {
			u64 entry = table.buckets[number].entries[i];
			pfn_t pfn = entry_pfn(entry);

			if (entry_kind(entry) != ENTRY_SHARED)
				continue;
			shared++;
			if (frame_kind(pfn) == FRAME_SHARED &&
				bucket_of(frame_owner(pfn)) == number)
				continue;
			log_error(
				"share index: bucket %llu names frame %llx, which is not shared there",
				(unsigned long long)number, (unsigned long long)pfn.v);
			sound = false;
		}
	}
	frame_account_get(&account);
	if (account.frames[FRAME_SHARED] != shared) {
		log_error("share index: %llu entries for %llu shared frames",
			(unsigned long long)shared,
			(unsigned long long)account.frames[FRAME_SHARED]);
		sound = false;
	}
	return sound;
}
