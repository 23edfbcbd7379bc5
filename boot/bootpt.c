/*
 * Four-level tables with 2 MiB leaves, and 1 GiB leaves for whole gigabytes of RAM above 4 GiB
 * where the CPU has them. The window starts on a top-level entry, so it shares all tables below the
 * top with the identity map: a physical address has one leaf, seen at two places.
 */
#include "boot/bootpt.h"

/* Intel SDM volume 3, "4-Level Paging". */
#define PT_PRESENT BIT(0)
#define PT_WRITE   BIT(1)
#define PT_LARGE   BIT(7)
#define PT_ADDRESS BITS(51, 12)

#define TOP_INDEX(va) (((va) >> 39) & 511)
#define GIB_INDEX(va) (((va) >> 30) & 511)
#define MIB_INDEX(va) (((va) >> 21) & 511)

_Static_assert((BOOT_WINDOW_VA & BITS(38, 0)) == 0, "the window starts on a top-level entry");
_Static_assert((BOOT_IMAGE_VA & BITS(29, 0)) == 0, "the image starts on a page directory");

u64 bootpt_pages(const struct bootpt_map *map)
{
	u64 pages = 1 + 2 + 1 + 4; /* top; image; the first PDPT and the four tables below 4 GiB */

	for (u32 i = 0; i < map->region_count; i++) {
		u64 base = map->regions[i].base;
		u64 end = min(base + map->regions[i].bytes, map->max_pa);

		if (base >= end || end <= GIB(4))
			continue;
		pages += (ALIGN_UP(end, GIB(1)) - ALIGN_DOWN(base, GIB(1))) >> 30;
		pages += (ALIGN_UP(end, GIB(512)) - ALIGN_DOWN(base, GIB(512))) >> 39;
	}
	return pages;
}

/* The table that an entry points to, made if there is none; NULL if the pool is dry. */
static u64 *next_table(struct bootpt *pt, u64 *entry)
{
	u64 page;

	if (*entry & PT_PRESENT) {
		page = ((*entry & PT_ADDRESS) - pt->pool_pa) / PAGE_BYTES;
	} else {
		if (pt->used_pages == pt->pool_pages)
			return NULL;
		page = pt->used_pages++;
		*entry = (pt->pool_pa + page * PAGE_BYTES) | PT_PRESENT | PT_WRITE;
	}
	return pt->pool + page * (PAGE_BYTES / sizeof(u64));
}

static err_t map_leaf(struct bootpt *pt, u64 va, u64 pa)
{
	u64 *gib_table = next_table(pt, &pt->pool[TOP_INDEX(va)]);
	u64 *mib_table;

	if (!gib_table)
		return E_LIMIT;
	if (gib_table[GIB_INDEX(va)] & PT_LARGE)
		return E_OK;
	mib_table = next_table(pt, &gib_table[GIB_INDEX(va)]);
	if (!mib_table)
		return E_LIMIT;
	mib_table[MIB_INDEX(va)] = pa | PT_PRESENT | PT_WRITE | PT_LARGE;
	return E_OK;
}

/* A whole gigabyte at once, in place of any part of it mapped before; false if the pool is dry. */
static bool map_gib(struct bootpt *pt, u64 pa)
{
	u64 *gib_table = next_table(pt, &pt->pool[TOP_INDEX(pa)]);

	if (!gib_table)
		return false;
	gib_table[GIB_INDEX(pa)] = pa | PT_PRESENT | PT_WRITE | PT_LARGE;
	return true;
}

static err_t map_identity(struct bootpt *pt, u64 base, u64 end, bool gib_pages)
{
	end = ALIGN_UP(end, REGION_BYTES);
	for (u64 pa = ALIGN_DOWN(base, REGION_BYTES); pa < end;) {
		err_t err;

		if (gib_pages && IS_ALIGNED(pa, GIB(1)) && end - pa >= GIB(1) && map_gib(pt, pa)) {
			pa += GIB(1);
			continue;
		}
		err = map_leaf(pt, pa, pa);
		if (err)
			return err;
		pa += REGION_BYTES;
	}
	return E_OK;
}

static err_t map_image(struct bootpt *pt, const struct bootpt_map *map)
{
	for (u64 at = 0; at < map->image_bytes; at += REGION_BYTES) {
		err_t err = map_leaf(pt, BOOT_IMAGE_VA + at, map->image_pa + at);

		if (err)
			return err;
	}
	return E_OK;
}

err_t bootpt_build(struct bootpt *pt, const struct bootpt_map *map, u64 *cr3)
{
	err_t err;

	pt->used_pages = 1;
	/* Devices live below 4 GiB, mixed with RAM: small leaves, so that no types mix in one. */
	err = map_identity(pt, 0, GIB(4), false);
	for (u32 i = 0; i < map->region_count && !err; i++) {
		const struct boot_region *r = &map->regions[i];
		u64 base = max(r->base, GIB(4));
		u64 end = min(r->base + r->bytes, map->max_pa);

		if (base < end)
			err = map_identity(
				pt, base, end, pt->gib_pages && r->kind == BOOT_REGION_FREE);
	}
	if (!err)
		err = map_image(pt, map);
	if (err)
		return err;
	for (u64 i = 0; i <= TOP_INDEX(map->max_pa - 1); i++)
		pt->pool[TOP_INDEX(BOOT_WINDOW_VA) + i] = pt->pool[i];
	*cr3 = pt->pool_pa;
	return E_OK;
}
