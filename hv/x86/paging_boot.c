/*
 * The page tables' contents at boot, from the loader's memory map: image, frame window, frame
 * table, identity root; and the handing over of all RAM to mm. Until mm has it, pages come from the
 * boot pool: the largest free region, from its start. The last step checks the whole result:
 * nothing is both writable and executable.
 */
#include "hv/x86/paging_private.h"
#include "hv/x86/panic.h"
#include "mm/base/check.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/frame/frame.h"

extern const char image_start[], image_text_end[], image_rodata_end[], image_end[];

static struct {
	u64 base, next, end;
	bool closed;
} boot_pool;

/* At most three ranges more than regions: frame 0, boot pool and low page are cut off theirs. */
static struct frame_range *ranges;

static u64 boot_pool_take(u64 bytes)
{
	u64 pa = boot_pool.next;

	bytes = ALIGN_UP(bytes, PAGE_BYTES);
	if (boot_pool.end - pa < bytes)
		panic("the largest free memory region is too small to start in");
	boot_pool.next += bytes;
	memset(paging_window(pa), 0, bytes);
	return pa;
}

void *paging_boot_alloc(u64 bytes)
{
	CHECK(!boot_pool.closed);
	return paging_window(boot_pool_take(bytes));
}

u64 paging_boot_page(void)
{
	return boot_pool.closed ? 0 : boot_pool_take(PAGE_BYTES);
}

static void map_at_boot(u64 root, u64 va, u64 pa, u64 bytes, u64 flags)
{
	if (paging_map(root, va, pa, bytes, flags))
		panic("no memory for page tables");
}

static const struct boot_region *boot_regions(const struct boot_info *info)
{
	return paging_window(info->regions);
}

static void boot_pool_open(const struct boot_info *info)
{
	const struct boot_region *r = boot_regions(info), *best = NULL;

	for (u32 i = 0; i < info->region_count; i++) {
		/* Above the first MiB, which is precious; and where the loader's window reaches. */
		if (r[i].kind != BOOT_REGION_FREE || r[i].base < MIB(1) ||
			r[i].base + r[i].bytes > info->max_pa)
			continue;
		if (!best || r[i].bytes > best->bytes)
			best = &r[i];
	}
	if (!best)
		panic("no free memory in the loader's map");
	boot_pool.base = boot_pool.next = best->base;
	boot_pool.end = best->base + best->bytes;
}

/*
 * A root that 32-bit code can load: the last page of a free region below 4 GiB. Remembered, for the
 * rest of that region stays free.
 */
static void low_page_take(const struct boot_info *info)
{
	const struct boot_region *r = boot_regions(info);

	for (u32 i = 0; i < info->region_count; i++) {
		u64 end = r[i].base + r[i].bytes;

		if (r[i].kind != BOOT_REGION_FREE || r[i].base < MIB(1) || end > GIB(4))
			continue;
		paging_roots.identity_pa = end - PAGE_BYTES;
		if (boot_pool.end == end)
			boot_pool.end = paging_roots.identity_pa;
		memset(paging_window(paging_roots.identity_pa), 0, PAGE_BYTES);
		return;
	}
	panic("no free memory below 4 GiB");
}

/* Rights of a region in the window; 0: not there. */
static u64 window_rights(u32 kind)
{
	switch (kind) {
	case BOOT_REGION_FREE:
	case BOOT_REGION_LOADER:
	case BOOT_REGION_FILES:
	case BOOT_REGION_TRAMPOLINE:
		return RIGHTS_RW;
	case BOOT_REGION_IMAGE:
	case BOOT_REGION_ACPI:
		return RIGHTS_RO;
	default:
		return 0;
	}
}

static void map_window(const struct boot_info *info)
{
	const struct boot_region *r = boot_regions(info);

	for (u32 i = 0; i < info->region_count; i++) {
		u64 rights = window_rights(r[i].kind);

		if (rights)
			map_at_boot(paging_roots.main_pa, PAGING_WINDOW_VA + r[i].base, r[i].base,
				r[i].bytes, rights);
	}
}

static void map_image_part(
	const struct boot_info *info, const char *from, const char *to, u64 rights)
{
	u64 va = (u64)from;

	map_at_boot(paging_roots.main_pa, va, info->hv_image + (va - BOOT_IMAGE_VA),
		(u64)(to - from), rights);
}

/* Make the top-level entries now that others will share: later additions show in both roots. */
static void reserve_top(u64 va, u64 bytes)
{
	for (u64 at = va; at < va + bytes; at += GIB(512)) {
		if (!paging_entry(paging_roots.main_pa, at, 3))
			panic("no memory for page tables");
	}
}

static void map_identity(const struct boot_info *info)
{
	const struct boot_region *r = boot_regions(info);
	u64 *from = paging_window(paging_roots.main_pa),
	    *to = paging_window(paging_roots.identity_pa);

	for (u32 i = 256; i < 512; i++)
		to[i] = from[i];
	map_at_boot(paging_roots.identity_pa, 0, 0, GIB(4), RIGHTS_RWX);
	for (u32 i = 0; i < info->region_count; i++) {
		if (r[i].kind == BOOT_REGION_RUNTIME && r[i].base >= GIB(4))
			map_at_boot(paging_roots.identity_pa, r[i].base, r[i].base, r[i].bytes,
				RIGHTS_RWX);
	}
}

/* Leaves below @table that are writable and executable. */
static u64 count_wx(u64 table_pa, u32 level)
{
	const u64 *table = paging_window(table_pa);
	u64 found = 0;

	for (u32 i = 0; i < 512; i++) {
		if (!(table[i] & PTE_PRESENT))
			continue;
		if (level > 1 && !(table[i] & PTE_LARGE))
			found += count_wx(table[i] & PTE_ADDRESS, level - 1);
		else
			found += (table[i] & PTE_WRITE) && !(table[i] & PTE_NX);
	}
	return found;
}

static void check_rights(void)
{
	const u64 *root = paging_window(paging_roots.main_pa);

	CHECK(count_wx(paging_roots.main_pa, 4) == 0);
	for (u32 i = 0; i < 256; i++)
		CHECK(root[i] == 0);
}

void paging_init(const struct boot_info *info)
{
	boot_pool_open(info);
	low_page_take(info);
	paging_roots.main_pa = boot_pool_take(PAGE_BYTES);
	map_image_part(info, image_start, image_text_end, RIGHTS_RX);
	map_image_part(info, image_text_end, image_rodata_end, RIGHTS_RO);
	map_image_part(info, image_rodata_end, image_end, RIGHTS_RW);
	map_window(info);
	reserve_top(PAGING_FRAMES_VA, frame_table_bytes(PFN(info->max_pa >> PAGE_SHIFT)) + GIB(1));
	reserve_top(PAGING_STACKS_VA, PAGING_STACKS_BYTES);
	reserve_top(PAGING_MMIO_VA, PAGING_MMIO_BYTES);
	map_identity(info);
	paging_load_cpu();
	paging_roots.loaded = true;
	check_rights();
}

static bool is_ram(u32 kind)
{
	return kind == BOOT_REGION_FREE || kind == BOOT_REGION_LOADER ||
	       kind == BOOT_REGION_IMAGE || kind == BOOT_REGION_FILES ||
	       kind == BOOT_REGION_TRAMPOLINE;
}

static enum frame_kind kind_of(u32 boot_kind)
{
	switch (boot_kind) {
	case BOOT_REGION_FREE:
	case BOOT_REGION_LOADER:
		return FRAME_FREE;
	case BOOT_REGION_FILES:
		return FRAME_BOOT_FILES;
	default:
		return FRAME_HV;
	}
}

/* Give the virtual range [from, to) zeroed memory wherever it has none yet. */
static void back(u64 from, u64 to)
{
	for (u64 va = ALIGN_DOWN(from, PAGE_BYTES); va < to; va += PAGE_BYTES) {
		if (!paging_is_mapped(va))
			map_at_boot(paging_roots.main_pa, va, boot_pool_take(PAGE_BYTES),
				PAGE_BYTES, RIGHTS_RW);
	}
}

static u32 add_range(u32 count, u64 from, u64 to, enum frame_kind kind)
{
	struct frame_range *last = count ? &ranges[count - 1] : NULL;

	if (from >= to)
		return count;
	if (last && last->kind == kind && last->first.v + last->count == from >> PAGE_SHIFT) {
		last->count += (to - from) >> PAGE_SHIFT;
		return count;
	}
	ranges[count] =
		(struct frame_range){PFN(from >> PAGE_SHIFT), (to - from) >> PAGE_SHIFT, kind};
	return count + 1;
}

/* What each range of RAM is now, for frame_init(): returns their number. Nothing more comes from
 * the boot pool. */
static u32 describe_ranges(const struct boot_info *info)
{
	const struct boot_region *r = boot_regions(info);
	u32 count = 0;

	boot_pool.closed = true;
	for (u32 i = 0; i < info->region_count; i++) {
		u64 from = r[i].base, to = r[i].base + r[i].bytes;
		enum frame_kind kind = kind_of(r[i].kind);
		bool low_page = to - PAGE_BYTES == paging_roots.identity_pa;

		if (!is_ram(r[i].kind))
			continue;
		if (from == 0) { /* frame 0 stays unused: address 0 means "none" in many places */
			count = add_range(count, 0, PAGE_BYTES, FRAME_HV);
			from = PAGE_BYTES;
		}
		if (from == boot_pool.base) {
			count = add_range(count, from, boot_pool.next, FRAME_HV);
			from = boot_pool.next;
		}
		count = add_range(count, from, low_page ? paging_roots.identity_pa : to, kind);
		if (low_page)
			count = add_range(count, paging_roots.identity_pa, to, FRAME_HV);
	}
	return count;
}

void paging_init_frames(const struct boot_info *info)
{
	const struct boot_region *r = boot_regions(info);
	u64 end_pa = 0, regions_va;
	pfn_t end;
	u32 count;

	for (u32 i = 0; i < info->region_count; i++) {
		u64 first = PAGING_FRAMES_VA + (r[i].base >> PAGE_SHIFT) * sizeof(struct frame);

		if (!is_ram(r[i].kind))
			continue;
		end_pa = max(end_pa, r[i].base + r[i].bytes);
		back(first, first + (r[i].bytes >> PAGE_SHIFT) * sizeof(struct frame));
	}
	end = PFN(end_pa >> PAGE_SHIFT);
	regions_va = PAGING_FRAMES_VA + ALIGN_UP(frame_table_bytes(end), PAGE_BYTES);
	back(regions_va, regions_va + frame_region_table_bytes(end));

	ranges = paging_boot_alloc((info->region_count + 3) * sizeof(*ranges));
	count = describe_ranges(info);
	frame_init((struct frame *)PAGING_FRAMES_VA, (void *)regions_va, end, ranges, count);
}
