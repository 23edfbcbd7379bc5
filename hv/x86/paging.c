/*
 * The hypervisor's page tables. One root for all CPUs, in whose upper half everything lies: the
 * image, each segment with its own rights; the frame window over RAM, never executable, with holes
 * where there is no RAM; the frame table; stacks with an unmapped page below each; device memory.
 * The lower half is empty, so a NULL pointer faults. A second root, which shares that upper half,
 * maps va = pa as well, for starting CPUs and for calling firmware. After set-up only the boot CPU
 * adds mappings; none is ever narrowed. SDM vol. 3, "4-Level Paging and 5-Level Paging".
 */
#include "hv/x86/paging_private.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "mm/base/check.h"
#include "mm/frame/frame.h"

/* PAT entry 1 (PWT alone) is write-combining here; the others as after reset. */
#define PAT_VALUE 0x0007010600070106ull

#define CACHE_UC (PTE_PCD | PTE_PWT)
#define CACHE_WC PTE_PWT

struct paging_roots paging_roots;

static u64 next_stack_va = PAGING_STACKS_VA, next_mmio_va = PAGING_MMIO_VA;

/* A zeroed frame for a table, or 0. */
static u64 table_alloc(void)
{
	u64 pa = paging_boot_page();
	pfn_t pfn;

	if (pa)
		return pa;
	pfn = frame_alloc_zeroed(FRAME_HV);
	return pfn_is_none(pfn) ? 0 : pfn_to_hpa(pfn).v;
}

u64 *paging_entry(u64 root, u64 va, u32 level)
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
	u64 *table = paging_window(paging_roots.main_pa);

	if (!paging_roots.loaded || (va + BIT(47)) >> 48) /* not canonical */
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

/* The level of the largest page that fits. */
static u32 level_for(u64 va, u64 pa, u64 bytes)
{
	if (bytes >= GIB(1) && IS_ALIGNED(va | pa, GIB(1)) &&
		(cpuid_or_zero(0x80000001, 0).edx >> 26 & 1))
		return 3;
	return bytes >= MIB(2) && IS_ALIGNED(va | pa, MIB(2)) ? 2 : 1;
}

err_t paging_map(u64 root, u64 va, u64 pa, u64 bytes, u64 flags)
{
	while (bytes) {
		u32 level = level_for(va, pa, bytes);
		u64 page = PAGE_BYTES << (9 * (level - 1));
		u64 *entry = paging_entry(root, va, level);

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

void paging_load_cpu(void)
{
	u64 cr4 = CR4_PAE | CR4_PGE;

	if (cpuid(1).edx >> 7 & 1)
		cr4 |= CR4_MCE;
	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_NXE);
	wrmsr(MSR_IA32_PAT, PAT_VALUE);
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
	write_cr4(cr4);
	write_cr3(paging_roots.main_pa);
}

u64 paging_identity_cr3(void)
{
	return paging_roots.identity_pa;
}

/* Is that a range of physical addresses at all? An entry with bits beyond their width would fault
 * when it is used. */
static bool is_physical(u64 pa, u64 bytes)
{
	u32 width = cpuid_or_zero(0x80000008, 0).eax & 0xff;

	return bytes && pa + bytes > pa && (pa + bytes - 1) >> (width ? width : 36) == 0;
}

/* Whole pages around [pa, pa + bytes) in device space; NULL: no room, or no such address. */
static void *map_device(u64 pa, u64 bytes, u64 flags)
{
	u64 offset = pa & (PAGE_BYTES - 1), va = next_mmio_va;
	u64 whole = ALIGN_UP(offset + bytes, PAGE_BYTES);

	CHECK(this_cpu()->id == 0);
	if (bytes >= MIB(2)) /* a chance for large pages */
		va = ALIGN_UP(va, MIB(2)) + ((pa - offset) & (MIB(2) - 1));
	if (whole < bytes || !is_physical(pa, bytes) ||
		whole > PAGING_MMIO_VA + PAGING_MMIO_BYTES - va)
		return NULL;
	next_mmio_va = va + whole + PAGE_BYTES;
	if (paging_map(paging_roots.main_pa, va, pa - offset, whole, flags))
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
	if (bottom + bytes > PAGING_STACKS_VA + PAGING_STACKS_BYTES)
		return 0;
	for (u64 va = bottom; va < bottom + bytes; va += PAGE_BYTES) {
		u64 pa = table_alloc();

		if (!pa || paging_map(paging_roots.main_pa, va, pa, PAGE_BYTES, RIGHTS_RW))
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
