/* The page tables the hypervisor is entered with. Pure: runs on the host under test. */
#ifndef BOOT_BOOTPT_H
#define BOOT_BOOTPT_H

#include "boot/boot_info.h"
#include "mm/base/err.h"
#include "mm/base/types.h"

struct bootpt {
	u64 *pool;      /* zeroed pages for tables, page aligned */
	u64 pool_pa;    /* their physical address */
	u32 pool_pages; /* at least bootpt_pages() */
	u32 used_pages;
	bool gib_pages; /* this CPU has 1 GiB pages */
};

struct bootpt_map {
	const struct boot_region *regions;
	u32 region_count;
	u64 max_pa; /* see boot_info.h; at least 4 GiB, 2 MiB aligned */
	u64 image_pa, image_bytes;
};

/* Table pages that bootpt_build() needs at most. */
u64 bootpt_pages(const struct bootpt_map *map);

/**
 * Build the tables boot_info.h promises: [0, 4 GiB) and every region below max_pa at va = pa and in
 * the window, and the image.
 * Returns 0 and the top table's address in @cr3; E_LIMIT if the pool ran dry.
 */
must_check err_t bootpt_build(struct bootpt *pt, const struct bootpt_map *map, u64 *cr3);

#endif
