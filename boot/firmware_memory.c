/*
 * The loader's memory, and its way out of the firmware. What the loader allocates is remembered
 * with its purpose, for the firmware's own map knows only "loader data". Memory types of one's own
 * would do the same, but there is firmware that fails on them.
 *
 * Leaving works on buffers made beforehand, for nothing can be allocated between the last look at
 * the memory map and ExitBootServices(): allocating changes the map, and a changed map is refused.
 */
#include "boot/firmware.h"
#include "mm/base/str.h"

#define OWN_MAX           300 /* files, and a dozen things besides */
#define DESC_SLACK        64  /* descriptors that may come about between sizing and use */
#define LEAVE_ATTEMPT_MAX 8

static struct bootmap_own own[OWN_MAX];
static u32 own_count;

/* Everything that a memory map is read into and worked on with. */
static struct {
	u8 *descs;
	UINTN descs_bytes;
	u64 *edges;
	struct boot_region *regions;
	size_t room; /* of edges and of regions */
} buffers;

static u64 pages_of(u64 bytes)
{
	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

u64 firmware_alloc(u64 bytes, u64 align, u64 below, u32 kind)
{
	u64 page_count = pages_of(bytes), slack = align / PAGE_BYTES - 1;
	EFI_PHYSICAL_ADDRESS got = below - 1;
	u64 base, tail;

	if (own_count == OWN_MAX || page_count == 0 || bytes > BIT(52))
		return 0;
	if (firmware_services->AllocatePages(
		    AllocateMaxAddress, EfiLoaderData, page_count + slack, &got) != EFI_SUCCESS)
		return 0;
	/* Too much was taken so that an aligned part lies in it; give the two ends back. */
	base = ALIGN_UP((u64)got, align);
	tail = slack - (base - got) / PAGE_BYTES;
	if (base > got)
		firmware_services->FreePages(got, (base - got) / PAGE_BYTES);
	if (tail)
		firmware_services->FreePages(base + page_count * PAGE_BYTES, tail);
	memset((void *)base, 0, page_count * PAGE_BYTES);
	own[own_count++] = (struct bootmap_own){base, page_count * PAGE_BYTES, kind};
	return base;
}

void firmware_free(u64 base)
{
	for (u32 i = 0; i < own_count; i++) {
		if (own[i].base != base)
			continue;
		firmware_services->FreePages(base, own[i].bytes / PAGE_BYTES);
		own[i] = own[--own_count];
		return;
	}
}

void firmware_free_all(void)
{
	while (own_count > 0)
		firmware_free(own[0].base);
	memset(&buffers, 0, sizeof(buffers));
}

static err_t make_buffers(void)
{
	UINTN bytes = 0, key, stride = 0;
	UINT32 version;
	struct bootmap_input in = {.own_count = OWN_MAX};

	if (firmware_services->GetMemoryMap(&bytes, NULL, &key, &stride, &version) !=
			EFI_BUFFER_TOO_SMALL ||
		stride < sizeof(struct bootmap_desc))
		return E_IO;
	buffers.descs_bytes = in.desc_bytes = bytes + DESC_SLACK * stride;
	in.stride = stride;
	buffers.room = bootmap_room(&in);
	buffers.descs =
		(u8 *)firmware_alloc(buffers.descs_bytes, PAGE_BYTES, GIB(4), BOOT_REGION_LOADER);
	buffers.edges = (u64 *)firmware_alloc(
		buffers.room * sizeof(u64), PAGE_BYTES, GIB(4), BOOT_REGION_LOADER);
	buffers.regions = (struct boot_region *)firmware_alloc(
		buffers.room * sizeof(struct boot_region), PAGE_BYTES, GIB(4), BOOT_REGION_LOADER);
	if (!buffers.descs || !buffers.edges || !buffers.regions)
		return E_NOMEM;
	return E_OK;
}

/* Read the map into the buffers, which must be there. Allocates nothing. */
static err_t read_map(struct bootmap_input *in, UINTN *key)
{
	UINTN bytes = buffers.descs_bytes, stride;
	UINT32 version;

	if (firmware_services->GetMemoryMap(&bytes, (EFI_MEMORY_DESCRIPTOR *)buffers.descs, key,
		    &stride, &version) != EFI_SUCCESS)
		return E_IO;
	*in = (struct bootmap_input){
		.descs = buffers.descs,
		.desc_bytes = bytes,
		.stride = stride,
		.own = own,
		.own_count = own_count,
	};
	return E_OK;
}

static err_t convert_map(const struct bootmap_input *in, struct boot_region **regions, u32 *count)
{
	int n = bootmap_build(in, buffers.edges, buffers.regions, buffers.room);

	if (n < 0)
		return n;
	*regions = buffers.regions;
	*count = (u32)n;
	return E_OK;
}

err_t firmware_regions(struct boot_region **regions, u32 *count)
{
	struct bootmap_input in;
	UINTN key;
	err_t err = E_OK;

	if (!buffers.regions)
		err = make_buffers();
	if (!err)
		err = read_map(&in, &key);
	if (!err)
		err = convert_map(&in, regions, count);
	return err;
}

err_t firmware_leave(struct boot_region **regions, u32 *count)
{
	struct bootmap_input in;
	UINTN key;
	err_t err = firmware_regions(regions, count);

	if (err)
		return err;
	/*
	 * A timer or a device may change the map between the two calls: look again, try again. The
	 * conversion afterwards has room for any map that was read: it was sized for the same
	 * buffer.
	 */
	for (u32 i = 0; i < LEAVE_ATTEMPT_MAX; i++) {
		err = read_map(&in, &key);
		if (err)
			return err;
		if (firmware_services->ExitBootServices(firmware_image, key) == EFI_SUCCESS)
			return convert_map(&in, regions, count);
	}
	return E_IO;
}
