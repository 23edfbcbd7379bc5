/*
 * Between paging.c, which edits the tables, and paging_boot.c, which fills them at boot: the bits
 * of an entry, the roots, and the editing functions. SDM vol. 3, "4-Level Paging and 5-Level
 * Paging".
 */
#ifndef HV_X86_PAGING_PRIVATE_H
#define HV_X86_PAGING_PRIVATE_H

#include "hv/x86/paging.h"

#define PTE_PRESENT BIT(0)
#define PTE_WRITE   BIT(1)
#define PTE_PWT     BIT(3)
#define PTE_PCD     BIT(4)
#define PTE_LARGE   BIT(7)
#define PTE_NX      BIT(63)
#define PTE_ADDRESS BITS(51, 12)

#define RIGHTS_RO  (PTE_PRESENT | PTE_NX)
#define RIGHTS_RW  (PTE_PRESENT | PTE_WRITE | PTE_NX)
#define RIGHTS_RX  PTE_PRESENT
#define RIGHTS_RWX (PTE_PRESENT | PTE_WRITE)

#define PAGING_STACKS_BYTES GIB(64)
#define PAGING_MMIO_BYTES   GIB(512)

struct paging_roots {
	u64 main_pa;     /* [I] */
	u64 identity_pa; /* [I] */
	bool loaded;     /* [I] the main root is in use */
};
extern struct paging_roots paging_roots;

/*
 * The entry for @va in a table of @level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB) under @root; tables above
 * it are made. NULL: no memory.
 */
u64 *paging_entry(u64 root, u64 va, u32 level);

/* Map whole pages, the largest that fit. What is mapped already is a mistake. Returns E_NOMEM. */
must_check err_t paging_map(u64 root, u64 va, u64 pa, u64 bytes, u64 flags);

/* A zeroed page from the boot pool: its physical address; 0 once the pool is closed. */
u64 paging_boot_page(void);

#endif
