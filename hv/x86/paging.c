/*
 * The hypervisor's page tables. One root for all CPUs, in whose upper half everything lies: the
 * image, each segment with its own rights; the frame window over RAM, never executable, with holes
 * where there is no RAM; the frame table; stacks with an unmapped page below each; device memory.
 * The lower half is empty, so a NULL pointer faults. A second root, which shares that upper half,
 * maps va = pa as well, for starting CPUs and for calling firmware. After set-up only the boot CPU
 * adds mappings; none is ever narrowed. SDM vol. 3, "4-Level Paging and 5-Level Paging".
 */
#include "hv/x86/paging.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/panic.h"
#include "mm/base/check.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/frame.h"

#define PTE_PRESENT BIT(0)
#define PTE_WRITE   BIT(1)
#define PTE_PWT     BIT(3)
#define PTE_PCD     BIT(4)
#define PTE_LARGE   BIT(7)
#define PTE_NX      BIT(63)
#define PTE_ADDRESS BITS(51, 12)

/* PAT entry 1 (PWT alone) is write-combining here; the others as after reset. */
#define PAT_VALUE 0x0007010600070106ull

#define RIGHTS_RO  (PTE_PRESENT | PTE_NX)
#define RIGHTS_RW  (PTE_PRESENT | PTE_WRITE | PTE_NX)
#define RIGHTS_RX  PTE_PRESENT
#define RIGHTS_RWX (PTE_PRESENT | PTE_WRITE)
#define CACHE_UC   (PTE_PCD | PTE_PWT)
#define CACHE_WC   PTE_PWT

#define STACKS_BYTES GIB(64)
#define MMIO_BYTES   GIB(512)

extern const char image_start[], image_text_end[], image_rodata_end[], image_end[];

static u64 root_pa, identity_pa;
static bool gib_pages, loaded;
static u64 next_stack_va = PAGING_STACKS_VA, next_mmio_va = PAGING_MMIO_VA;

/* The boot map's allocator: frames from the start of its largest free region, until mm takes over.
 */
static struct {
	u64 base, next, end;
	bool closed;
} boot_pool;

/* At most three ranges more than regions: frame 0, the boot pool and the low page are cut off
 * theirs. */
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

/* A zeroed frame for a table, or 0. */
static u64 table_alloc(void)
{
	pfn_t pfn;

	if (!boot_pool.closed)
		return boot_pool_take(PAGE_BYTES);
	pfn = frame_alloc_zeroed(FRAME_HV);
	return pfn_is_none(pfn) ? 0 : pfn_to_hpa(pfn).v;
}

/* The entry for @va in a table of @level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB); makes the tables above.
 * NULL: no memory. */
static u64 *entry_for(u64 root, u64 va, u32 level)
{
	u64 *table = paging_window(root);

	for (u32 l = 4;; l--) {
		u64 *entry = &table[va >> (PAGE_SHIFT + 9 * (l - 1)) & 511];

		if (l == level)
			return entry;
		if (!*entry) {
			u64 next = table_alloc();

			if (!next)
				return NULL;
			*entry = next | PTE_PRESENT | PTE_WRITE;
		}
		CHECK(!(*entry & PTE_LARGE));
		table = paging_window(*entry & PTE_ADDRESS);
	}
}

bool paging_is_mapped(u64 va)
{
	u64 *table = paging_window(root_pa);

	if (!loaded || (va + BIT(47)) >> 48) /* not canonical */
		return false;

	for (u32 l = 4; l >= 1; l--) {
		u64 entry = table[va >> (PAGE_SHIFT + 9 * (l - 1)) & 511];

		if (!(entry & PTE_PRESENT))
			return false;
		if (l == 1 || (entry & PTE_LARGE))
			return true;
		table = paging_window(entry & PTE_ADDRESS);
	}
	return false;
}

static bool fits(u64 va, u64 pa, u64 bytes, u64 page)
{
	return bytes >= page && IS_ALIGNED(va | pa, page);
}

/* Map whole pages, with the largest that fit. What is mapped already is a mistake. */
static err_t map_range(u64 root, u64 va, u64 pa, u64 bytes, u64 flags)
{
	while (bytes) {
		u32 level = gib_pages && fits(va, pa, bytes, GIB(1)) ? 3
			    : fits(va, pa, bytes, MIB(2))            ? 2
								     : 1;
		u64 page = PAGE_BYTES << (9 * (level - 1));
		u64 *entry = entry_for(root, va, level);

		if (!entry)
			return E_NOMEM;
		CHECK(!*entry);
		*entry = pa | flags | (level > 1 ? PTE_LARGE : 0);
		va += page;
		pa += page;
		bytes -= page;
	}
	return 0;
}

static void map_at_boot(u64 root, u64 va, u64 pa, u64 bytes, u64 flags)
{
	if (map_range(root, va, pa, bytes, flags))
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
		identity_pa = end - PAGE_BYTES;
		if (boot_pool.end == end)
			boot_pool.end = identity_pa;
		memset(paging_window(identity_pa), 0, PAGE_BYTES);
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
			map_at_boot(root_pa, PAGING_WINDOW_VA + r[i].base, r[i].base, r[i].bytes,
				rights);
	}
}

static void map_image_part(
	const struct boot_info *info, const char *from, const char *to, u64 rights)
{
	u64 va = (u64)from;

	map_at_boot(root_pa, va, info->hv_image + (va - BOOT_IMAGE_VA), (u64)(to - from), rights);
}

/* Make the top-level entries now that others will share: later additions then show in both roots.
 */
static void reserve_top(u64 va, u64 bytes)
{
	for (u64 at = va; at < va + bytes; at += GIB(512)) {
		if (!entry_for(root_pa, at, 3))
			panic("no memory for page tables");
	}
}

static void map_identity(const struct boot_info *info)
{
	const struct boot_region *r = boot_regions(info);
	u64 *from = paging_window(root_pa), *to = paging_window(identity_pa);

	for (u32 i = 256; i < 512; i++)
		to[i] = from[i];
	map_at_boot(identity_pa, 0, 0, GIB(4), RIGHTS_RWX);
	for (u32 i = 0; i < info->region_count; i++) {
		if (r[i].kind == BOOT_REGION_RUNTIME && r[i].base >= GIB(4))
			map_at_boot(identity_pa, r[i].base, r[i].base, r[i].bytes, RIGHTS_RWX);
	}
}

void paging_init(const struct boot_info *info)
{
	gib_pages = cpuid_or_zero(0x80000001, 0).edx >> 26 & 1;
	boot_pool_open(info);
	low_page_take(info);
	root_pa = boot_pool_take(PAGE_BYTES);
	map_image_part(info, image_start, image_text_end, RIGHTS_RX);
	map_image_part(info, image_text_end, image_rodata_end, RIGHTS_RO);
	map_image_part(info, image_rodata_end, image_end, RIGHTS_RW);
	map_window(info);
	reserve_top(PAGING_FRAMES_VA, frame_table_bytes(PFN(info->max_pa >> PAGE_SHIFT)) + GIB(1));
	reserve_top(PAGING_STACKS_VA, STACKS_BYTES);
	reserve_top(PAGING_MMIO_VA, MMIO_BYTES);
	map_identity(info);
	paging_load_cpu();
	loaded = true;
}

void paging_load_cpu(void)
{
	u64 cr4 = CR4_PAE | CR4_PGE;

	if (cpuid(1).edx >> 7 & 1)
		cr4 |= CR4_MCE;
	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_NXE);
	wrmsr(MSR_IA32_PAT, PAT_VALUE);
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
	write_cr4(cr4);
	write_cr3(root_pa);
}

u64 paging_identity_cr3(void)
{
	return identity_pa;
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
			map_at_boot(root_pa, va, boot_pool_take(PAGE_BYTES), PAGE_BYTES, RIGHTS_RW);
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
		bool low_page = to - PAGE_BYTES == identity_pa;

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
		count = add_range(count, from, low_page ? identity_pa : to, kind);
		if (low_page)
			count = add_range(count, identity_pa, to, FRAME_HV);
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

/* A mapping of whole pages around [pa, pa + bytes) in device space; NULL if there is no room. */
static void *map_device(u64 pa, u64 bytes, u64 flags)
{
	u64 offset = pa & (PAGE_BYTES - 1), va = next_mmio_va;
	u64 whole = ALIGN_UP(offset + bytes, PAGE_BYTES);

	CHECK(this_cpu()->id == 0);
	if (whole < bytes || pa + bytes < pa || whole > PAGING_MMIO_VA + MMIO_BYTES - va)
		return NULL;
	if (bytes >= MIB(2)) /* a chance for large pages */
		va = ALIGN_UP(va, MIB(2)) + ((pa - offset) & (MIB(2) - 1));
	next_mmio_va = va + whole + PAGE_BYTES;
	if (map_range(root_pa, va, pa - offset, whole, flags))
		return NULL;
	return (void *)(va + offset);
}

void *paging_map_mmio(u64 pa, u64 bytes)
{
	return map_device(pa, bytes, RIGHTS_RW | CACHE_UC);
}

void *paging_map_wc(u64 pa, u64 bytes)
{
	return map_device(pa, bytes, RIGHTS_RW | CACHE_WC);
}

const void *paging_map_firmware(u64 pa, u64 bytes)
{
	bool in_window = pa + bytes > pa;

	for (u64 at = ALIGN_DOWN(pa, PAGE_BYTES); in_window && at < pa + bytes; at += PAGE_BYTES)
		in_window = at < BIT(46) && paging_is_mapped(PAGING_WINDOW_VA + at);
	if (in_window)
		return paging_window(pa);
	return map_device(pa, bytes, RIGHTS_RO);
}

u64 paging_alloc_stack(u64 bytes)
{
	u64 bottom = next_stack_va + PAGE_BYTES;

	CHECK(this_cpu()->id == 0 && IS_ALIGNED(bytes, PAGE_BYTES));
	if (bottom + bytes > PAGING_STACKS_VA + STACKS_BYTES)
		return 0;
	for (u64 va = bottom; va < bottom + bytes; va += PAGE_BYTES) {
		u64 pa = table_alloc();

		if (!pa || map_range(root_pa, va, pa, PAGE_BYTES, RIGHTS_RW))
			return 0;
	}
	next_stack_va = bottom + bytes;
	return next_stack_va;
}

void *kmem_alloc(size_t bytes)
{
	pfn_t first = frame_alloc_run(FRAME_HV, ALIGN_UP((u64)bytes, PAGE_BYTES) >> PAGE_SHIFT);

	return pfn_is_none(first) ? NULL : paging_window(pfn_to_hpa(first).v);
}

void kmem_free(void *p, size_t bytes)
{
	pfn_t first = PFN(((u64)p - PAGING_WINDOW_VA) >> PAGE_SHIFT);

	if (p)
		frame_free_run(first, ALIGN_UP((u64)bytes, PAGE_BYTES) >> PAGE_SHIFT);
}
