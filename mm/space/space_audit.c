/*
 * The invariants of a space, looked at entry by entry: every entry is one that the code can have
 * made, every frame is of the kind its entry says, and the gauges agree with what is there.
 */
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evicted.h"
#include "mm/space/space_entry.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/share/share_index.h"
#include "mm/space/space_registry.h"
#include "mm/zcache/zcache.h"
#include "mm/base/log.h"

#define ENTRIES 512u

struct audit {
	const struct space *space;
	u64 pages[PAGE_STATE_COUNT];
	u64 large_leaves;
	u64 leaf_tables, upper_tables;
	u64 objects, slots; /* that entries name */
	bool sound;
};

static void fail(struct audit *audit, gfn_t gfn, u64 entry, const char *what)
{
	log_error("space %s: page %llx, entry %llx: %s", audit->space->name,
		(unsigned long long)gfn.v, (unsigned long long)entry, what);
	audit->sound = false;
}

static void private_audit(struct audit *audit, gfn_t gfn, u64 leaf, pfn_t frame)
{
	if (!frame_is_ram(frame) || frame_kind(frame) != FRAME_PRIVATE)
		fail(audit, gfn, leaf, "its frame is not of kind private");
	else if ((frame_owner(frame) & ~(SPACE_OWNER_AGE_MASK | SPACE_OWNER_PRINT_MASK)) !=
		 space_owner_word(audit->space, gfn))
		fail(audit, gfn, leaf, "its frame belongs to another page");
}

static void shared_audit(struct audit *audit, gfn_t gfn, u64 leaf, pfn_t frame)
{
	if (!frame_is_ram(frame) || frame_kind(frame) != FRAME_SHARED)
		fail(audit, gfn, leaf, "its frame is not of kind shared");
}

static void clean_audit(struct audit *audit, gfn_t gfn, u64 leaf, pfn_t frame)
{
	audit->slots++;
	if (!frame_is_ram(frame) || frame_kind(frame) != FRAME_PRIVATE)
		fail(audit, gfn, leaf, "its frame is not of kind private");
	else if (!audit->space->swap || space_owner_number(frame_owner(frame)) != 0)
		fail(audit, gfn, leaf, "clean, but its frame knows no slot");
}

/* The command holds the frame. */
static void writing_audit(struct audit *audit, gfn_t gfn, u64 leaf, pfn_t frame)
{
	if (!frame_is_ram(frame) || frame_pin_count(frame) == 0)
		fail(audit, gfn, leaf, "being written, but its frame is not pinned");
	private_audit(audit, gfn, leaf, frame);
}

static void shared_writing_audit(struct audit *audit, gfn_t gfn, u64 leaf, pfn_t frame)
{
	if (!frame_is_ram(frame) || frame_ref_count(frame) < 2)
		fail(audit, gfn, leaf, "being written, but its frame is not held");
	shared_audit(audit, gfn, leaf, frame);
}

static void loading_audit(struct audit *audit, gfn_t gfn, u64 leaf, pfn_t frame)
{
	if (!frame_is_ram(frame) || frame_pin_count(frame) == 0)
		fail(audit, gfn, leaf, "being read, but its frame is not pinned");
	private_audit(audit, gfn, leaf, frame);
}

static void zipped_audit(struct audit *audit, gfn_t gfn, u64 leaf)
{
	u64 payload = slat_payload(leaf);

	if (!(payload & ZIPPED_FILL))
		audit->objects++;
	else if ((u32)payload == 0)
		fail(audit, gfn, leaf, "filled with zeros, but not untouched");
	if (!(payload & ZIPPED_FILL) && !audit->space->zcache)
		fail(audit, gfn, leaf, "compressed, but there is no cache");
}

static void leaf_audit(struct audit *audit, gfn_t gfn, u64 leaf)
{
	const struct slat_format *f = audit->space->format;
	enum page_state state = slat_state(f, leaf);
	u32 rights = slat_rights(f, leaf);

	if (state != PAGE_UNTOUCHED && !space_is_ram(audit->space, gfn)) {
		fail(audit, gfn, leaf, "is no RAM");
		return;
	}
	switch (state) {
	case PAGE_UNTOUCHED:
		if (leaf != 0)
			fail(audit, gfn, leaf, "untouched, but not 0");
		break;
	case PAGE_ZERO:
		if (rights != SPACE_RIGHTS_READ_ONLY || slat_pfn(f, leaf).v != frame_zero().v)
			fail(audit, gfn, leaf, "not the read-only zero frame");
		break;
	case PAGE_PRIVATE:
		/* Without the write right while a scan is at it. */
		if (rights != SPACE_RIGHTS_ALL && rights != SPACE_RIGHTS_READ_ONLY)
			fail(audit, gfn, leaf, "private, but of wrong rights");
		private_audit(audit, gfn, leaf, slat_pfn(f, leaf));
		break;
	case PAGE_SHARED:
		if (rights != SPACE_RIGHTS_READ_ONLY)
			fail(audit, gfn, leaf, "shared, but of wrong rights");
		shared_audit(audit, gfn, leaf, slat_pfn(f, leaf));
		break;
	case PAGE_HIDDEN:
		if (rights != 0)
			fail(audit, gfn, leaf, "hidden, but present");
		private_audit(audit, gfn, leaf, PFN(slat_payload(leaf)));
		break;
	case PAGE_BALLOONED:
		if (leaf != slat_make_absent(f, PAGE_BALLOONED, 0))
			fail(audit, gfn, leaf, "ballooned, but not as the balloon makes it");
		break;
	case PAGE_CLEAN:
		if (rights != SPACE_RIGHTS_READ_ONLY)
			fail(audit, gfn, leaf, "clean, but of wrong rights");
		clean_audit(audit, gfn, leaf, slat_pfn(f, leaf));
		break;
	case PAGE_WRITING:
		if (rights != SPACE_RIGHTS_READ_ONLY)
			fail(audit, gfn, leaf, "being written, but of wrong rights");
		writing_audit(audit, gfn, leaf, slat_pfn(f, leaf));
		break;
	case PAGE_SHARED_WRITING:
		if (rights != SPACE_RIGHTS_READ_ONLY)
			fail(audit, gfn, leaf, "being written, but of wrong rights");
		shared_writing_audit(audit, gfn, leaf, slat_pfn(f, leaf));
		break;
	case PAGE_LOADING:
		loading_audit(audit, gfn, leaf, evict_io_frame(slat_payload(leaf)));
		break;
	case PAGE_ZIPPED:
		zipped_audit(audit, gfn, leaf);
		break;
	case PAGE_ZIPPED_WRITING:
		audit->objects++;
		break;
	case PAGE_SWAPPED:
		audit->slots++;
		break;
	default:
		fail(audit, gfn, leaf, "a state that nothing makes");
		return;
	}
	audit->pages[state]++;
}

static void large_audit(struct audit *audit, gfn_t gfn, u64 leaf)
{
	const struct slat_format *f = audit->space->format;

	if (slat_rights(f, leaf) != space_large_rights(audit->space) ||
		slat_state(f, leaf) != PAGE_PRIVATE)
		fail(audit, gfn, leaf, "large, but of wrong rights or state");
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++) {
		if (!space_is_ram(audit->space, GFN(gfn.v + i)))
			fail(audit, gfn, leaf, "large, and reaches beyond RAM");
		private_audit(audit, GFN(gfn.v + i), leaf, PFN(slat_pfn(f, leaf).v + i));
	}
	audit->pages[PAGE_PRIVATE] += REGION_PAGE_COUNT;
	audit->large_leaves++;
}

/* A level-2 entry that is neither empty nor present. */
static void region_audit(struct audit *audit, gfn_t first, u64 entry)
{
	if (entry != slat_make_absent(audit->space->format, PAGE_BALLOONED, 0))
		fail(audit, first, entry, "a region that is neither empty, mapped nor ballooned");
	if (!space_is_ram(audit->space, GFN(first.v + REGION_PAGE_COUNT - 1)))
		fail(audit, first, entry, "a ballooned region that reaches beyond RAM");
	audit->pages[PAGE_BALLOONED] += REGION_PAGE_COUNT;
}

/* One table and all below. @first: the first page it maps. */
static void table_audit(struct audit *audit, pfn_t table, u32 level, gfn_t first)
{
	const struct slat_format *f = audit->space->format;
	const u64 *entries = platform_frame_va(table);

	if (frame_kind(table) != FRAME_TABLE)
		fail(audit, first, table.v, "its table's frame is not of kind table");
	*(level == 1 ? &audit->leaf_tables : &audit->upper_tables) += 1;
	for (u32 i = 0; i < ENTRIES; i++) {
		gfn_t gfn = GFN(first.v + ((u64)i << (9 * (level - 1))));
		u64 entry = slat_load(&entries[i]);

		if (level == 1)
			leaf_audit(audit, gfn, entry);
		else if (entry == 0)
			continue;
		else if (level == 2 && !slat_is_present(f, entry))
			region_audit(audit, gfn, entry);
		else if (!slat_is_present(f, entry))
			fail(audit, gfn, entry, "an upper entry, neither empty nor present");
		else if (level == 2 && slat_is_large(f, entry))
			large_audit(audit, gfn, entry);
		else
			table_audit(audit, slat_pfn(f, entry), level - 1, gfn);
	}
}

static void equal_audit(struct audit *audit, const char *what, u64 found, u64 recorded)
{
	if (found == recorded)
		return;
	log_error("space %s: %s: %llu found, %llu recorded", audit->space->name, what,
		(unsigned long long)found, (unsigned long long)recorded);
	audit->sound = false;
}

/* What the entries name is what there is. A command under way may have slots besides. */
static void storage_audit(struct audit *audit)
{
	const struct space *space = audit->space;
	struct zcache_figures zip = {0};

	if (space->zcache)
		zcache_figures(space->zcache, &zip);
	equal_audit(audit, "compressed objects", audit->objects, zip.objects);
	if (space->swap && swap_file_used(space->swap) < audit->slots)
		equal_audit(audit, "slots", audit->slots, swap_file_used(space->swap));
}

bool space_audit(struct space *space)
{
	struct audit audit = {.space = space, .sound = true};
	u64 reserved = 0;

	table_audit(&audit, space->root, 4, GFN(0));
	for (u32 state = PAGE_UNTOUCHED + 1; state < PAGE_STATE_COUNT; state++)
		equal_audit(&audit, "pages of one state", audit.pages[state],
			space_counted(space, pages_by_state[state]));
	equal_audit(&audit, "large leaves", audit.large_leaves, space_counted(space, large_leaves));
	equal_audit(&audit, "tables", audit.leaf_tables + audit.upper_tables,
		space_counted(space, table_pages));
	equal_audit(&audit, "pages consumed",
		audit.pages[PAGE_PRIVATE] + audit.pages[PAGE_HIDDEN] + audit.pages[PAGE_CLEAN] +
			audit.pages[PAGE_WRITING] + audit.pages[PAGE_LOADING],
		space_consumed_pages(space));
	audit.sound = audit.sound &&
		      space_consumed_at_least(space) <= space_consumed_pages(space) &&
		      space_consumed_pages(space) <= space_consumed_at_most(space);
	storage_audit(&audit);
	for (u64 at = space->table_reserve_head; at != ~0ull; at = frame_owner(PFN(at)))
		reserved++;
	equal_audit(&audit, "tables set aside", reserved, space->table_reserve_count);
	equal_audit(&audit, "leaf tables, used and set aside", audit.leaf_tables + reserved,
		space->region_count);
	return audit.sound;
}
