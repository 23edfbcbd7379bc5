/*
 * The pool of free frames: one bitmap for each 2 MiB region, and lists of the regions that have
 * any.
 *
 * Everything here is guarded by one lock, taken once for a batch of 64 frames. The two counts may
 * be read without it. A region's lists are linked by region number, since the table is virtual and
 * may be large.
 */
#include "mm/frame/frame_pool.h"
#include "mm/base/check.h"
#include "mm/base/lock.h"

#define REGION_NONE       (~0u)
#define WORD_BITS         64u
#define REGION_WORD_COUNT (REGION_PAGE_COUNT / WORD_BITS)

struct region {
	u64 free_bits[REGION_WORD_COUNT];
	u32 next, prev; /* in the list its free_count puts it into */
	u32 free_count;
};

static struct {
	struct spinlock lock;
	struct region *regions; /* [I] the array; [pool] its contents */
	u32 partly, wholly;     /* [pool] heads */
	u64 free_count;         /* [a] written under the lock */
	u64 large_count;        /* [a] written under the lock */
} pool;

size_t frame_pool_table_bytes(pfn_t end)
{
	return (end.v + REGION_PAGE_COUNT - 1) / REGION_PAGE_COUNT * sizeof(struct region);
}

void frame_pool_init(void *table)
{
	spin_init(&pool.lock, LOCK_RANK_FRAMES);
	pool.regions = table;
	pool.partly = pool.wholly = REGION_NONE;
	pool.free_count = pool.large_count = 0;
}

static u64 *free_word(u64 pfn)
{
	return &pool.regions[pfn / REGION_PAGE_COUNT]
			.free_bits[pfn % REGION_PAGE_COUNT / WORD_BITS];
}

/* The list a region with so many free frames stands in; NULL for none. */
static u32 *list_for(u32 free_count)
{
	if (free_count == 0)
		return NULL;
	return free_count == REGION_PAGE_COUNT ? &pool.wholly : &pool.partly;
}

static void list_insert(u32 *head, u32 index)
{
	struct region *region = &pool.regions[index];

	region->prev = REGION_NONE;
	region->next = *head;
	if (*head != REGION_NONE)
		pool.regions[*head].prev = index;
	*head = index;
}

static void list_take_out(u32 *head, u32 index)
{
	struct region *region = &pool.regions[index];

	if (region->prev == REGION_NONE)
		*head = region->next;
	else
		pool.regions[region->prev].next = region->next;
	if (region->next != REGION_NONE)
		pool.regions[region->next].prev = region->prev;
}

static void region_set_count(u32 index, u32 free_count)
{
	struct region *region = &pool.regions[index];
	u32 *before = list_for(region->free_count);
	u32 *after = list_for(free_count);
	u64 pool_free = pool.free_count - region->free_count + free_count;

	__atomic_store_n(&pool.free_count, pool_free, __ATOMIC_RELAXED);
	region->free_count = free_count;
	if (before == after)
		return;
	if (before == &pool.wholly)
		__atomic_store_n(&pool.large_count, pool.large_count - 1, __ATOMIC_RELAXED);
	if (after == &pool.wholly)
		__atomic_store_n(&pool.large_count, pool.large_count + 1, __ATOMIC_RELAXED);
	if (before)
		list_take_out(before, index);
	if (after)
		list_insert(after, index);
}

static u32 region_take(u32 index, pfn_t *out, u32 most)
{
	struct region *region = &pool.regions[index];
	u64 base = (u64)index * REGION_PAGE_COUNT;
	u32 taken = 0;

	for (u32 w = 0; w < REGION_WORD_COUNT && taken < most; w++) {
		while (region->free_bits[w] && taken < most) {
			u32 bit = (u32)__builtin_ctzll(region->free_bits[w]);

			region->free_bits[w] &= region->free_bits[w] - 1;
			out[taken++] = PFN(base + w * WORD_BITS + bit);
		}
	}
	region_set_count(index, region->free_count - taken);
	return taken;
}

u32 frame_pool_take(pfn_t *out, u32 most)
{
	u32 taken = 0;

	spin_lock(&pool.lock);
	while (taken < most) {
		u32 index = pool.partly != REGION_NONE ? pool.partly : pool.wholly;

		if (index == REGION_NONE)
			break;
		taken += region_take(index, out + taken, most - taken);
	}
	spin_unlock(&pool.lock);
	return taken;
}

void frame_pool_add(pfn_t first, u64 count)
{
	u64 end = first.v + count;

	spin_lock(&pool.lock);
	for (u64 pfn = first.v; pfn < end;) {
		u32 index = (u32)(pfn / REGION_PAGE_COUNT);
		u32 bit = (u32)(pfn % WORD_BITS);
		u32 most = (u32)min((u64)(WORD_BITS - bit), end - pfn);

		*free_word(pfn) |= BITS(most - 1, 0) << bit;
		region_set_count(index, pool.regions[index].free_count + most);
		pfn += most;
	}
	spin_unlock(&pool.lock);
}

void frame_pool_give(const pfn_t *frames, u32 count)
{
	spin_lock(&pool.lock);
	for (u32 i = 0; i < count;) {
		u32 index = (u32)(frames[i].v / REGION_PAGE_COUNT);
		struct region *region = &pool.regions[index];
		u32 given = region->free_count;

		/* Neighbours are often freed together. */
		for (; i < count && frames[i].v / REGION_PAGE_COUNT == index; i++, given++) {
			u32 page = frames[i].v % REGION_PAGE_COUNT;
			u64 bit = BIT(page % WORD_BITS);

			CHECK((region->free_bits[page / WORD_BITS] & bit) == 0);
			region->free_bits[page / WORD_BITS] |= bit;
		}
		region_set_count(index, given);
	}
	spin_unlock(&pool.lock);
}

void frame_pool_give_large(pfn_t first)
{
	u32 index = (u32)(first.v / REGION_PAGE_COUNT);

	spin_lock(&pool.lock);
	CHECK(pool.regions[index].free_count == 0);
	for (u32 w = 0; w < REGION_WORD_COUNT; w++)
		pool.regions[index].free_bits[w] = ~0ull;
	region_set_count(index, REGION_PAGE_COUNT);
	spin_unlock(&pool.lock);
}

pfn_t frame_pool_take_large(void)
{
	pfn_t first = PFN_NONE;

	spin_lock(&pool.lock);
	if (pool.wholly != REGION_NONE) {
		u32 index = pool.wholly;

		for (u32 w = 0; w < REGION_WORD_COUNT; w++)
			pool.regions[index].free_bits[w] = 0;
		region_set_count(index, 0);
		first = PFN((u64)index * REGION_PAGE_COUNT);
	}
	spin_unlock(&pool.lock);
	return first;
}

/* The first of @count free frames in a row in [@first, @end), or PFN_NONE. */
static pfn_t run_find(u64 first, u64 end, u64 count)
{
	u64 run = 0;

	for (u64 pfn = first; pfn < end;) {
		u64 word = *free_word(pfn);
		bool whole_word = pfn % WORD_BITS == 0 && end - pfn >= WORD_BITS;

		if (whole_word && word == 0) {
			run = 0;
			pfn += WORD_BITS;
		} else if (whole_word && word == ~0ull) {
			run += WORD_BITS;
			pfn += WORD_BITS;
		} else {
			run = word & BIT(pfn % WORD_BITS) ? run + 1 : 0;
			pfn++;
		}
		if (run >= count)
			return PFN(pfn - run);
	}
	return PFN_NONE;
}

pfn_t frame_pool_take_run(const struct frame_range *ranges, u32 range_count, u64 count)
{
	pfn_t first = PFN_NONE;

	spin_lock(&pool.lock);
	for (u32 i = 0; i < range_count && pfn_is_none(first); i++)
		first = run_find(ranges[i].first.v, ranges[i].first.v + ranges[i].count, count);
	for (u64 i = 0; !pfn_is_none(first) && i < count; i++) {
		u64 pfn = first.v + i;
		u32 index = (u32)(pfn / REGION_PAGE_COUNT);

		*free_word(pfn) &= ~BIT(pfn % WORD_BITS);
		region_set_count(index, pool.regions[index].free_count - 1);
	}
	spin_unlock(&pool.lock);
	return first;
}

bool frame_pool_has(pfn_t pfn)
{
	return (*free_word(pfn.v) & BIT(pfn.v % WORD_BITS)) != 0;
}

u64 frame_pool_free_count(void)
{
	return __atomic_load_n(&pool.free_count, __ATOMIC_RELAXED);
}

u64 frame_pool_large_count(void)
{
	return __atomic_load_n(&pool.large_count, __ATOMIC_RELAXED);
}
