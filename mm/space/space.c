/*
 * Making, clearing and ending a VM's memory.
 *
 * The struct and its region locks lie in one run of frames. The tables of levels 4 to 2 are built
 * at once and stay; a leaf table for each region is set aside (space_entry.c hands them out).
 * Clearing a region detaches it from level 2 first, so nothing below can be reached by a new walk;
 * its frames go to a gather, and its table back to the reserve only after the flush.
 */
#include "mm/reclaim/evicted.h"
#include "mm/reclaim/reclaim.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_join.h"
#include "mm/space/space_registry.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/space/promise.h"
#include "mm/platform.h"
#include "mm/share/share_index.h"
#include "mm/zcache/zcache.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

#define RESERVE_END      (~0ull)
#define ENTRIES          512u
#define FOR_EVER_NS      (~0ull / 2)
#define PAGES_PER(level) (1ull << (9 * (level))) /* that one table of this level maps */

static u64 div_up(u64 a, u64 b)
{
	return (a + b - 1) / b;
}

static u64 low_pages(const struct space_config *config)
{
	return min(config->memory_bytes, SPACE_LOW_END) >> PAGE_SHIFT;
}

static u64 region_count(const struct space_config *config)
{
	return div_up(config->memory_bytes, REGION_BYTES);
}

/* Frames for the struct, its counters, its guards, its locks and what sharing counts by region. */
static u64 struct_frames(const struct space_config *config)
{
	u64 bytes =
		sizeof(struct space) +
		space_counts_sets(config->vcpu_count) * sizeof(struct space_stats) +
		config->vcpu_count * sizeof(struct fault_guard) +
		region_count(config) * (sizeof(struct space_region) + sizeof(struct share_gain));

	return div_up(bytes, PAGE_BYTES);
}

/* Tables of levels 4 to 2. */
static u64 upper_table_count(const struct space_config *config)
{
	u64 low = low_pages(config), high = (config->memory_bytes >> PAGE_SHIFT) - low;
	u64 end = high ? (SPACE_HIGH_BASE >> PAGE_SHIFT) + high : low;

	return 1 + div_up(end, PAGES_PER(3)) + div_up(low, PAGES_PER(2)) +
	       div_up(high, PAGES_PER(2));
}

u64 space_overhead_frames(const struct space_config *config)
{
	u64 pages = config->memory_bytes >> PAGE_SHIFT;
	u64 zcache = config->zip_most_frames ? zcache_overhead_frames(pages) : 0;

	return struct_frames(config) + tlb_domain_frames() + upper_table_count(config) +
	       region_count(config) + zcache;
}

static err_t config_check(const struct space_config *config)
{
	if (config->memory_bytes < MIB(1) || config->memory_bytes > SPACE_MEMORY_MAX ||
		!IS_ALIGNED(config->memory_bytes, PAGE_BYTES) ||
		config->share_salt > SHARE_SALT_MAX)
		return E_INVAL;
	return config->name && config->format ? E_OK : E_INVAL;
}

static void space_fill_in(struct space *space, const struct space_config *config)
{
	size_t name_bytes = strnlen(config->name, SPACE_NAME_BYTES - 1);

	memcpy(space->name, config->name, name_bytes);
	space->user = config->user;
	space->format = config->format;
	space->root = PFN_NONE;
	spin_init(&space->join.lock, LOCK_RANK_JOIN);
	space->join.run = PFN_NONE;
	space->page_count = config->memory_bytes >> PAGE_SHIFT;
	space->promised_pages = config->promised_bytes >> PAGE_SHIFT;
	space->low_page_count = low_pages(config);
	space->large_pages = config->large_pages;
	space->large_pages_no_exec = config->large_pages_no_exec;
	space->region_count = region_count(config);
	space->frame_count = struct_frames(config);
	space->counts.sets = (struct space_stats *)(space + 1);
	space->counts.set_mask = space_counts_sets(config->vcpu_count) - 1;
	space->guards = (struct fault_guard *)&space->counts.sets[space->counts.set_mask + 1];
	space->guard_count = config->vcpu_count;
	space->regions = (struct space_region *)&space->guards[space->guard_count];
	for (u64 i = 0; i < space->region_count; i++)
		spin_init(&space->regions[i].lock, LOCK_RANK_REGION);
	space->share.gains = (struct share_gain *)&space->regions[space->region_count];
	space->share.salt = config->share_salt;
	space->orders = (struct space_orders){
		.bound_pages = ~0ull, .entitled_pages = ~0ull, .evict_to_pages = ~0ull};
	space->no_dirty_bits = config->no_dirty_bits;
	spin_init(&space->tables_lock, LOCK_RANK_TABLES);
	space->table_reserve_head = RESERVE_END;
}

/* Levels 4 to 2 over all of RAM. On E_NOMEM what was built hangs from the root. */
static err_t upper_tables_build(struct space *space)
{
	space->root = frame_alloc_zeroed(FRAME_TABLE);
	if (pfn_is_none(space->root))
		return E_NOMEM;
	space_count(space, table_pages, 1);
	for (u64 index = 0; index < space->page_count; index += REGION_PAGE_COUNT) {
		gfn_t gfn = space_page_gfn(space, index);
		u64 *table = platform_frame_va(space->root);

		for (u32 level = 4; level > 2; level--) {
			u64 *entry = &table[slat_index(gfn, level)];

			if (*entry == 0) {
				pfn_t below = frame_alloc_zeroed(FRAME_TABLE);

				if (pfn_is_none(below))
					return E_NOMEM;
				space_count(space, table_pages, 1);
				slat_set_absent(entry, slat_make_table(space->format, below));
			}
			table = platform_frame_va(slat_pfn(space->format, slat_load(entry)));
		}
		space->regions[index / REGION_PAGE_COUNT].entry = &table[slat_index(gfn, 2)];
	}
	return E_OK;
}

/*
 * Frees the tables of levels @level to 2 below and with @table; nothing of level 1 hangs there any
 * more.
 */
static void upper_tables_free(struct space *space, pfn_t table, u32 level)
{
	const u64 *entries = platform_frame_va(table);

	for (u32 i = 0; level > 2 && i < ENTRIES; i++) {
		u64 entry = slat_load(&entries[i]);

		if (slat_is_present(space->format, entry))
			upper_tables_free(space, slat_pfn(space->format, entry), level - 1);
	}
	frame_free(table);
}

static err_t table_reserve_fill(struct space *space)
{
	while (space->table_reserve_count < space->region_count) {
		pfn_t table = frame_alloc(FRAME_TABLE_RESERVE);

		if (pfn_is_none(table))
			return E_NOMEM;
		frame_set_owner(table, space->table_reserve_head);
		space->table_reserve_head = table.v;
		space->table_reserve_count++;
	}
	return E_OK;
}

static void table_reserve_free(struct space *space)
{
	while (space->table_reserve_head != RESERVE_END) {
		pfn_t table = PFN(space->table_reserve_head);

		space->table_reserve_head = frame_owner(table);
		frame_free(table);
	}
}

/* Everything but the guest's pages, which are gone or were never there. */
static void space_free_frame(struct space *space)
{
	table_reserve_free(space);
	if (space->zcache)
		zcache_destroy(space->zcache);
	if (!pfn_is_none(space->root))
		upper_tables_free(space, space->root, 4);
	if (space->tlb.seen)
		tlb_domain_destroy(&space->tlb);
	frame_free_run(platform_va_frame(space), space->frame_count);
}

err_t space_create(struct space **out, const struct space_config *config)
{
	err_t err = config_check(config);

	if (err)
		return err;
	pfn_t run = frame_alloc_run(FRAME_HV, struct_frames(config));

	if (pfn_is_none(run))
		return E_NOMEM;
	struct space *space = platform_frame_va(run);

	space_fill_in(space, config);
	err = tlb_domain_init(&space->tlb);
	if (!err)
		err = upper_tables_build(space);
	if (!err)
		err = table_reserve_fill(space);
	if (!err && config->zip_most_frames)
		err = zcache_create(&space->zcache, space->page_count, config->zip_most_frames);
	if (err) {
		space_free_frame(space);
		return err;
	}
	space->swap = config->swap;
	memsched_guest_pages_add(space->page_count);
	promise_update(space);
	space_registry_add(space);
	*out = space;
	return E_OK;
}

static void large_clear(struct space *space, u64 leaf, struct tlb_gather *gather)
{
	tlb_gather_put_large(gather, slat_pfn(space->format, leaf));
	space_count_state(space, PAGE_PRIVATE, PAGE_UNTOUCHED, REGION_PAGE_COUNT);
	space_uncount(space, large_leaves, 1);
}

/* Gather what a detached table maps. Its entries stay: the next taker zeroes the table. */
static void table_clear(struct space *space, u64 entry, struct tlb_gather *gather)
{
	const u64 *leaves = platform_frame_va(slat_pfn(space->format, entry));

	for (u32 i = 0; i < ENTRIES; i++) {
		u64 leaf = slat_load(&leaves[i]);
		enum page_state state = slat_state(space->format, leaf);

		if (state == PAGE_UNTOUCHED)
			continue;
		evicted_forget(space, leaf, gather);
		space_count_state(space, state, PAGE_UNTOUCHED, 1);
	}
}

static void region_clear(struct space *space, gfn_t first)
{
	struct spinlock *lock = space_region_lock(space, first);
	struct tlb_gather gather;

	spin_lock(lock);
	u64 *region_entry = space_region_entry(space, first);

	if (slat_load(region_entry) != 0) {
		u64 entry = slat_exchange(region_entry, 0);
		bool large = slat_is_large(space->format, entry);
		bool table = slat_is_present(space->format, entry) && !large;

		tlb_gather_start(&gather, &space->tlb);
		tlb_gather_note(&gather);
		if (large)
			large_clear(space, entry, &gather);
		else if (table)
			table_clear(space, entry, &gather);
		else
			space_count_state(space, slat_state(space->format, entry), PAGE_UNTOUCHED,
				REGION_PAGE_COUNT);
		tlb_gather_finish(&gather);
		if (table)
			space_table_give(space, slat_pfn(space->format, entry));
	}
	spin_unlock(lock);
}

/* Until @end_ns; whether all is clear. */
static bool clear_until(struct space *space, u64 end_ns)
{
	while (space->clear_next < space->page_count) {
		region_clear(space, space_page_gfn(space, space->clear_next));
		space->clear_next += REGION_PAGE_COUNT;
		if (platform_now_ns() >= end_ns)
			break;
	}
	return space->clear_next >= space->page_count;
}

bool space_clear_some(struct space *space, u64 most_ns)
{
	if (space->clear_next == 0)
		space_join_drop(space);
	if (!clear_until(space, platform_now_ns() + most_ns))
		return false;
	space->clear_next = 0;
	return true;
}

void space_clear(struct space *space)
{
	while (!space_clear_some(space, FOR_EVER_NS))
		;
}

/* From now on nobody finds it. */
static void retire(struct space *space)
{
	space_registry_remove(space);
	space_join_drop(space);
	space->clear_next = 0; /* a reset may have been under way */
	space->retired = true;
}

bool space_destroy_some(struct space *space, u64 most_ns)
{
	u64 end_ns = platform_now_ns() + most_ns;

	if (!space->retired)
		retire(space);
	if (!clear_until(space, end_ns))
		return false;
	if (space->swap)
		swap_file_abandon(space->swap);
	CHECK(space->table_reserve_count == space->region_count);
	memsched_guest_pages_sub(space->page_count);
	promise_forget(space);
	space_free_frame(space);
	reclaim_wake();
	return true;
}

void space_destroy(struct space *space)
{
	while (!space_destroy_some(space, FOR_EVER_NS))
		;
}

bool space_is_ram(const struct space *space, gfn_t gfn)
{
	u64 high_base = SPACE_HIGH_BASE >> PAGE_SHIFT;

	if (gfn.v < space->low_page_count)
		return true;
	return gfn.v >= high_base && gfn.v - high_base < space->page_count - space->low_page_count;
}

bool space_range_is_ram(const struct space *space, gpa_t gpa, u64 bytes)
{
	gfn_t first = gpa_to_gfn(gpa), last = gpa_to_gfn(GPA(gpa.v + bytes - 1));

	if (bytes == 0)
		return space_is_ram(space, first);
	if (gpa.v + bytes - 1 < gpa.v || !space_is_ram(space, first) || !space_is_ram(space, last))
		return false;
	/* Both ends are RAM; the hole lies between them if they are on its two sides. */
	return (first.v < space->low_page_count) == (last.v < space->low_page_count);
}

enum page_state space_page_state(struct space *space, gfn_t gfn)
{
	pfn_t frame;

	if (!space_is_ram(space, gfn))
		return PAGE_UNTOUCHED;
	spin_lock(space_region_lock(space, gfn));
	u64 leaf = space_leaf(space, gfn, &frame);

	spin_unlock(space_region_lock(space, gfn));
	return slat_state(space->format, leaf);
}

u64 space_split_all(struct space *space)
{
	u64 split = 0;

	for (u64 index = 0; index < space->page_count; index += REGION_PAGE_COUNT) {
		gfn_t gfn = space_page_gfn(space, index);
		struct spinlock *lock = space_region_lock(space, gfn);

		spin_lock(lock);
		if (slat_is_large(space->format, slat_load(space_region_entry(space, gfn)))) {
			space_split(space, gfn);
			split++;
		}
		spin_unlock(lock);
	}
	return split;
}
