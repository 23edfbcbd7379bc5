/*
 * Physical frames: the table, references and pins, and what each is used for.
 *
 * A frame's word (frame.h) is changed by atomic operations only, and whoever makes both references
 * and pins zero, and nobody else, puts the frame into this CPU's cache (frame_cache.c), in front of
 * the pool (frame_pool.c).
 */
#include "mm/frame/frame.h"
#include "mm/frame/frame_cache.h"
#include "mm/frame/frame_pool.h"
#include "mm/frame/frame_ram.h"
#include "mm/platform.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

#define COUNT_MASK BITS(31, 0)
#define PIN_ONE    BIT(32)
#define PIN_MASK   BITS(47, 32)
#define KIND_SHIFT 48
#define KIND_MASK  BITS(55, 48)

static struct {
	struct frame *table; /* [I] */
	u64 total;           /* [I] RAM frames */
	pfn_t zero;          /* [I] */
} frames;

#ifdef BELLOWS_HOST
struct frame_test_hooks frame_test_hooks;

static bool hook_alloc_fails(void)
{
	return frame_test_hooks.alloc_fails && frame_test_hooks.alloc_fails();
}

static void hook_allocated(pfn_t pfn)
{
	if (frame_test_hooks.allocated)
		frame_test_hooks.allocated(pfn);
}

static void hook_freed(pfn_t pfn)
{
	if (frame_test_hooks.freed)
		frame_test_hooks.freed(pfn);
}

static void hook_freed_large(pfn_t first)
{
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++)
		hook_freed(PFN(first.v + i));
}
#else
static inline bool hook_alloc_fails(void)
{
	return false;
}

static inline void hook_allocated(pfn_t pfn)
{
	(void)pfn;
}

static inline void hook_freed(pfn_t pfn)
{
	(void)pfn;
}

static inline void hook_freed_large(pfn_t first)
{
	(void)first;
}
#endif

static u64 word_make(enum frame_kind kind, u32 count)
{
	return (u64)kind << KIND_SHIFT | count;
}

static enum frame_kind word_kind(u64 word)
{
	return (enum frame_kind)((word & KIND_MASK) >> KIND_SHIFT);
}

static u64 *frame_word(pfn_t pfn)
{
	return &frames.table[pfn.v].word;
}

static u64 word_load(pfn_t pfn)
{
	return __atomic_load_n(frame_word(pfn), __ATOMIC_ACQUIRE);
}

/* On failure *@old is what stands there now. */
static bool word_change(pfn_t pfn, u64 *old, u64 new_word)
{
	return __atomic_compare_exchange_n(
		frame_word(pfn), old, new_word, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

size_t frame_table_bytes(pfn_t end)
{
	return end.v * sizeof(struct frame);
}

size_t frame_region_table_bytes(pfn_t end)
{
	return frame_pool_table_bytes(end);
}

static void take_over(pfn_t first, u64 count, enum frame_kind kind)
{
	bool is_free = kind == FRAME_FREE;

	CHECK(is_free || kind == FRAME_HV || kind == FRAME_BOOT_FILES);
	for (u64 i = 0; i < count; i++) {
		pfn_t pfn = PFN(first.v + i);

		CHECK(word_load(pfn) == 0);
		*frame_word(pfn) = word_make(kind, is_free ? 0 : 1);
	}
	if (is_free)
		frame_pool_add(first, count);
	frame_account_add(kind, (s64)count);
	frames.total += count;
}

static void range_take_over(const struct frame_range *range)
{
	pfn_t first = range->first;
	u64 count = range->count;

	/* An untouched page's entry is 0 and so names frame 0: nothing worth reading goes there
	 * (L1TF). */
	if (first.v == 0 && count) {
		take_over(first, 1, FRAME_HV);
		first.v++;
		count--;
	}
	take_over(first, count, range->kind);
}

void frame_init(struct frame *table, void *regions, pfn_t end, const struct frame_range *ranges,
	u32 range_count)
{
	u64 next = 0;

	frames.table = table;
	frames.total = 0;
	frame_cache_init();
	frame_pool_init(regions);
	for (u32 i = 0; i < range_count; i++) {
		CHECK(ranges[i].first.v >= next && ranges[i].first.v <= end.v &&
			ranges[i].count <= end.v - ranges[i].first.v);
		next = ranges[i].first.v + ranges[i].count;
		range_take_over(&ranges[i]);
	}
	frame_ram_keep(ranges, range_count);
	frames.zero = frame_alloc_zeroed(FRAME_ZERO);
	CHECK(!pfn_is_none(frames.zero));
}

/* A frame that was free begins to live. */
static void frame_begin(pfn_t pfn, enum frame_kind kind)
{
	u64 word = word_make(FRAME_FREE, 0);

	CHECK(kind != FRAME_FREE && kind != FRAME_RESERVED && kind < FRAME_KIND_COUNT);
	CHECK(word_change(pfn, &word, word_make(kind, 1)));
	frame_set_owner(pfn, 0);
	hook_allocated(pfn);
}

pfn_t frame_alloc(enum frame_kind kind)
{
	pfn_t pfn = hook_alloc_fails() ? PFN_NONE : frame_cache_pop();

	if (pfn_is_none(pfn))
		return PFN_NONE;
	frame_begin(pfn, kind);
	frame_account_move(FRAME_FREE, kind, 1);
	return pfn;
}

pfn_t frame_alloc_zeroed(enum frame_kind kind)
{
	pfn_t pfn = frame_alloc(kind);

	if (!pfn_is_none(pfn))
		memset(platform_frame_va(pfn), 0, PAGE_BYTES);
	return pfn;
}

pfn_t frame_alloc_large(enum frame_kind kind)
{
	pfn_t first = hook_alloc_fails() ? PFN_NONE : frame_pool_take_large();

	if (pfn_is_none(first))
		return PFN_NONE;
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++)
		frame_begin(PFN(first.v + i), kind);
	frame_account_move(FRAME_FREE, kind, REGION_PAGE_COUNT);
	return first;
}

pfn_t frame_alloc_run(enum frame_kind kind, u64 count)
{
	CHECK(count > 0);
	if (count == 1)
		return frame_alloc_zeroed(kind);
	u32 range_count;
	const struct frame_range *ranges = frame_ram_ranges(&range_count);
	pfn_t first =
		hook_alloc_fails() ? PFN_NONE : frame_pool_take_run(ranges, range_count, count);

	if (pfn_is_none(first))
		return PFN_NONE;
	for (u64 i = 0; i < count; i++) {
		pfn_t pfn = PFN(first.v + i);

		frame_begin(pfn, kind);
		memset(platform_frame_va(pfn), 0, PAGE_BYTES);
	}
	frame_account_move(FRAME_FREE, kind, count);
	return first;
}

/* The word has just become that of a free frame, by us. @was: the kind the account has it under. */
static void frame_end(pfn_t pfn, enum frame_kind was)
{
	frame_account_move(was, FRAME_FREE, 1);
	hook_freed(pfn);
	frame_cache_push(&pfn, 1);
}

bool frame_put(pfn_t pfn)
{
	u64 word = word_load(pfn);
	u64 after;

	do {
		enum frame_kind kind = word_kind(word);

		CHECK((word & COUNT_MASK) != 0 && kind != FRAME_FREE && kind != FRAME_RESERVED);
		after = word - 1;
		if ((after & COUNT_MASK) == 0)
			after = (after & ~KIND_MASK) |
				word_make(after & PIN_MASK ? FRAME_ORPHAN : FRAME_FREE, 0);
	} while (!word_change(pfn, &word, after));
	if ((after & COUNT_MASK) != 0)
		return false;
	if (word_kind(after) == FRAME_ORPHAN)
		frame_account_move(word_kind(word), FRAME_ORPHAN, 1);
	else
		frame_end(pfn, word_kind(word));
	return true;
}

u32 frame_put_private(pfn_t *pfns, u32 count)
{
	u32 others = 0;

	for (u32 i = 0; i < count; i++) {
		u64 own = word_make(FRAME_PRIVATE, 1);
		pfn_t pfn = pfns[i];

		if (word_change(pfn, &own, word_make(FRAME_FREE, 0))) {
			hook_freed(pfn);
			continue;
		}
		pfns[i] = pfns[others];
		pfns[others++] = pfn;
	}
	frame_account_move(FRAME_PRIVATE, FRAME_FREE, count - others);
	frame_cache_push(&pfns[others], count - others);
	return others;
}

/*
 * Free, if the caller's is its only reference and nobody pins it: if the word is *@own. The account
 * and the pool come after. Not word_change(), for which the compiler loads the register that the
 * instruction compares with anew each time: half as much again for one frame after the other.
 */
static inline bool word_free_own(u64 *word, u64 *own)
{
	bool changed;

	__asm__ volatile("lock cmpxchg %3, %1"
			 : "=@ccz"(changed), "+m"(*word), "+a"(*own)
			 : "r"(word_make(FRAME_FREE, 0))
			 : "memory");
	return changed;
}

/* Unrolled: nearly all that giving up 2 MiB costs. */
static bool large_free_own(struct frame *records, u64 own)
{
	for (u32 i = 0; i < REGION_PAGE_COUNT; i += 16) {
#pragma GCC unroll 16
		for (u32 k = 0; k < 16; k++) {
			if (!word_free_own(&records[i + k].word, &own))
				return false;
		}
	}
	return true;
}

void frame_put_large(pfn_t first)
{
	enum frame_kind kind = frame_kind(first);

	if (large_free_own(&frames.table[first.v], word_make(kind, 1))) {
		hook_freed_large(first);
		frame_account_move(kind, FRAME_FREE, REGION_PAGE_COUNT);
		frame_pool_give_large(first);
		return;
	}
	/* Those before the first that is pinned are free already, but nobody knows of them yet. */
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++) {
		pfn_t pfn = PFN(first.v + i);

		if (frame_kind(pfn) == FRAME_FREE)
			frame_end(pfn, kind);
		else
			frame_put(pfn);
	}
}

bool frame_put_unless_last(pfn_t pfn)
{
	u64 word = word_load(pfn);

	do {
		CHECK((word & COUNT_MASK) != 0);
		if ((word & COUNT_MASK) == 1)
			return false;
	} while (!word_change(pfn, &word, word - 1));
	return true;
}

u64 frame_ref_count(pfn_t pfn)
{
	return word_load(pfn) & COUNT_MASK;
}

void frame_free(pfn_t pfn)
{
	CHECK((word_load(pfn) & COUNT_MASK) == 1);
	CHECK(frame_put(pfn));
}

void frame_free_run(pfn_t first, u64 count)
{
	for (u64 i = 0; i < count; i++)
		frame_free(PFN(first.v + i));
}

void frame_get(pfn_t pfn)
{
	u64 before = __atomic_fetch_add(frame_word(pfn), 1, __ATOMIC_RELAXED);

	CHECK((before & COUNT_MASK) != 0 && (before & COUNT_MASK) != COUNT_MASK);
}

u64 frame_owner(pfn_t pfn)
{
	return __atomic_load_n(&frames.table[pfn.v].owner, __ATOMIC_RELAXED);
}

void frame_set_owner(pfn_t pfn, u64 owner)
{
	__atomic_store_n(&frames.table[pfn.v].owner, owner, __ATOMIC_RELAXED);
}

void frame_set_kind(pfn_t pfn, enum frame_kind kind)
{
	u64 word = word_load(pfn);

	CHECK(kind != FRAME_FREE && kind != FRAME_RESERVED && kind < FRAME_KIND_COUNT);
	do {
		CHECK((word & COUNT_MASK) != 0);
	} while (!word_change(pfn, &word, (word & ~KIND_MASK) | word_make(kind, 0)));
	frame_account_move(word_kind(word), kind, 1);
}

enum frame_kind frame_kind(pfn_t pfn)
{
	return word_kind(word_load(pfn));
}

void frame_pin(pfn_t pfn)
{
	if (pfn.v == frames.zero.v)
		return;
	u64 before = __atomic_fetch_add(frame_word(pfn), PIN_ONE, __ATOMIC_RELAXED);

	CHECK((before & COUNT_MASK) != 0 && (before & PIN_MASK) != PIN_MASK);
}

void frame_unpin(pfn_t pfn)
{
	if (pfn.v == frames.zero.v)
		return;
	u64 word = word_load(pfn);
	u64 after;

	do {
		CHECK((word & PIN_MASK) != 0);
		after = word - PIN_ONE;
		if ((after & PIN_MASK) == 0 && word_kind(word) == FRAME_ORPHAN)
			after = word_make(FRAME_FREE, 0);
	} while (!word_change(pfn, &word, after));
	if (word_kind(after) == FRAME_FREE)
		frame_end(pfn, FRAME_ORPHAN);
}

u32 frame_pin_count(pfn_t pfn)
{
	return (u32)((word_load(pfn) & PIN_MASK) / PIN_ONE);
}

void frame_account_get(struct frame_account *out)
{
	for (u32 kind = 0; kind < FRAME_KIND_COUNT; kind++)
		out->frames[kind] = frame_account_sum(kind);
	out->total = frames.total;
}

u64 frame_kind_count(enum frame_kind kind)
{
	return frame_account_sum(kind);
}

u64 frame_free_count(void)
{
	return frame_account_sum(FRAME_FREE);
}

u64 frame_free_at_least(void)
{
	return frame_pool_free_count();
}

const char *frame_kind_name(enum frame_kind kind)
{
	static const char *const names[FRAME_KIND_COUNT] = {
		[FRAME_RESERVED] = "reserved",
		[FRAME_FREE] = "free",
		[FRAME_HV] = "hypervisor",
		[FRAME_BOOT_FILES] = "boot files",
		[FRAME_TABLE] = "tables",
		[FRAME_TABLE_RESERVE] = "table reserve",
		[FRAME_ZERO] = "zero",
		[FRAME_PRIVATE] = "private",
		[FRAME_SHARED] = "shared",
		[FRAME_ZCACHE] = "zcache",
		[FRAME_ORPHAN] = "orphan",
		[FRAME_JOIN] = "join",
	};

	return kind < FRAME_KIND_COUNT ? names[kind] : "?";
}

u64 frame_total_count(void)
{
	return frames.total;
}

u64 frame_free_large_count(void)
{
	return frame_pool_large_count();
}

pfn_t frame_zero(void)
{
	return frames.zero;
}
