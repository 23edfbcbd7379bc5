/* From the firmware's memory map to the regions of boot_info. Pure: runs on the host under test. */
#ifndef BOOT_BOOTMAP_H
#define BOOT_BOOTMAP_H

#include "boot/boot_info.h"
#include "mm/base/err.h"
#include "mm/base/types.h"

/* Memory below this that the firmware calls free is not trusted: firmware in SMM writes there. */
#define BOOTMAP_LOW_BYTES MIB(1)
/* The window ends where the image's half-terabyte begins; memory above cannot be used. */
#define BOOTMAP_TOP (255ull << 39)

/* EFI_MEMORY_DESCRIPTOR (UEFI, "GetMemoryMap()"). */
struct bootmap_desc {
	u32 type;
	u32 pad;
	u64 physical;
	u64 virtual_start;
	u64 page_count;
	u64 attributes;
};

/* Memory that the loader allocated, and what for. */
struct bootmap_own {
	u64 base, bytes; /* page aligned */
	u32 kind;        /* enum boot_region_kind */
};

struct bootmap_input {
	const void *descs; /* as GetMemoryMap() filled it */
	size_t desc_bytes; /* of all descriptors */
	size_t stride;     /* from one to the next, at least sizeof(struct bootmap_desc) */
	const struct bootmap_own *own;
	u32 own_count;
};

/* How many edges and regions bootmap_build() can need at most for this input. */
size_t bootmap_room(const struct bootmap_input *in);

/**
 * Sort, clip, split and merge the firmware's descriptors into regions.
 * Where descriptors overlap, the one that allows least wins; what the loader holds wins over RAM
 * that is free. Memory no descriptor names is in no region.
 * @edges: scratch, @room entries; @out: @room regions; @room: at least bootmap_room().
 * Returns the number of regions; E_LIMIT where @room is too small; E_INVAL for an impossible
 * stride. Cost: quadratic in the number of descriptors.
 */
must_check int bootmap_build(
	const struct bootmap_input *in, u64 *edges, struct boot_region *out, size_t room);

/* The end of the memory that the window must map: of RAM, and of what run-time firmware needs. */
u64 bootmap_max_pa(const struct boot_region *regions, u32 count);

#endif
