/*
 * The hypervisor's own page tables: image with W^X, the frame window over all RAM (never
 * executable), the frame table, per-CPU stacks between guard pages, device memory.
 */
#ifndef HV_X86_PAGING_H
#define HV_X86_PAGING_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "boot/boot_info.h"

#define PAGING_WINDOW_VA BOOT_WINDOW_VA        /* + physical */
#define PAGING_FRAMES_VA 0xffffc00000000000ull /* frame table, region table */
#define PAGING_STACKS_VA 0xffffd00000000000ull
#define PAGING_MMIO_VA   0xffffe00000000000ull

static inline void *paging_window(u64 pa)
{
	return (void *)(PAGING_WINDOW_VA + pa);
}

/*
 * Build and load the final tables; takes frames from the boot map, from which all table frames come
 * until paging_init_frames(). Boot CPU, once. After it, nothing that the loader mapped is used any
 * more.
 */
void paging_init(const struct boot_info *info);

/* A zeroed page for what must exist before mm: between paging_init and paging_init_frames. */
void *paging_boot_alloc(u64 bytes);

/* Set CR0, CR4, EFER and PAT as the tables want them, and load the tables, on this CPU. */
void paging_load_cpu(void);

/*
 * Hand all RAM to frame_init(): back its tables where there is RAM, and tell what each range is.
 * Loader memory counts as free, so whatever is still needed of boot_info must have been copied.
 * Once, after paging_init().
 */
void paging_init_frames(const struct boot_info *info);

/*
 * Physical address of tables that also map va = pa (below 4 GiB and all runtime services memory),
 * with the hypervisor in their upper half: for an application processor's first steps, and for
 * calling firmware.
 */
u64 paging_identity_cr3(void);

/* Device memory, uncached. NULL: no room. These four: boot CPU only, for set-up work. */
void *paging_map_mmio(u64 pa, u64 bytes);
/* Framebuffer: write-combining. */
void *paging_map_wc(u64 pa, u64 bytes);
/* Where firmware tables lie (ACPI): read-only, cached; any address, beyond max_pa too. */
const void *paging_map_firmware(u64 pa, u64 bytes);

/* Is that virtual address, any number at all, mapped? Before paging_init() none is. */
bool paging_is_mapped(u64 va);

/* A stack with an unmapped page below it. Returns its top, or 0. */
u64 paging_alloc_stack(u64 bytes);

/* Size and alignment in whole pages, zeroed, from frame_alloc_run(FRAME_HV). NULL if none. */
void *kmem_alloc(size_t bytes);
void kmem_free(void *p, size_t bytes);

#endif
