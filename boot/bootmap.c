/*
 * The memory map is cut at every edge any descriptor or allocation has; for each piece between two
 * edges the strictest claim is found, and neighbours that are alike are joined. That is quadratic,
 * and right for any input: unsorted, overlapping or absurd maps need no case of their own.
 */
#include "boot/bootmap.h"

/* EFI_MEMORY_TYPE and attributes (UEFI, "AllocatePages()" and "GetMemoryMap()"). */
enum {
	EFI_TYPE_LOADER_CODE = 1,
	EFI_TYPE_LOADER_DATA = 2,
	EFI_TYPE_BOOT_CODE = 3,
	EFI_TYPE_BOOT_DATA = 4,
	EFI_TYPE_RUNTIME_CODE = 5,
	EFI_TYPE_RUNTIME_DATA = 6,
	EFI_TYPE_CONVENTIONAL = 7,
	EFI_TYPE_ACPI_RECLAIM = 9,
	EFI_TYPE_ACPI_NVS = 10,
	EFI_TYPE_MMIO = 11,
	EFI_TYPE_MMIO_PORTS = 12,
};
#define EFI_ATTR_WB      BIT(3)
#define EFI_ATTR_SPECIAL BIT(18) /* EFI_MEMORY_SP: memory set aside for a device or program */
#define EFI_ATTR_RUNTIME BIT(63)

_Static_assert(sizeof(struct bootmap_desc) == 40, "EFI_MEMORY_DESCRIPTOR");

struct claim {
	u64 base, end;
	u32 kind;
	u32 efi_type;
	u64 attributes;
};

static size_t desc_count(const struct bootmap_input *in)
{
	return in->desc_bytes / in->stride;
}

static bool is_own_kind(u32 kind)
{
	return kind == BOOT_REGION_LOADER || kind == BOOT_REGION_IMAGE ||
	       kind == BOOT_REGION_FILES || kind == BOOT_REGION_TRAMPOLINE;
}

static u32 kind_of_desc(const struct bootmap_desc *d)
{
	switch (d->type) {
	case EFI_TYPE_LOADER_CODE:
	case EFI_TYPE_LOADER_DATA:
	case EFI_TYPE_BOOT_CODE:
	case EFI_TYPE_BOOT_DATA:
	case EFI_TYPE_CONVENTIONAL:
		if (!(d->attributes & EFI_ATTR_WB) || (d->attributes & EFI_ATTR_SPECIAL))
			return BOOT_REGION_RESERVED;
		return BOOT_REGION_FREE;
	case EFI_TYPE_RUNTIME_CODE:
	case EFI_TYPE_RUNTIME_DATA:
		return BOOT_REGION_RUNTIME;
	case EFI_TYPE_ACPI_RECLAIM:
	case EFI_TYPE_ACPI_NVS:
		return BOOT_REGION_ACPI;
	case EFI_TYPE_MMIO:
	case EFI_TYPE_MMIO_PORTS:
		return BOOT_REGION_MMIO;
	default:
		return BOOT_REGION_RESERVED;
	}
}

/* How strict a kind is: where claims overlap, the greater wins. */
static int strictness(u32 kind)
{
	switch (kind) {
	case BOOT_REGION_FREE:
		return 1;
	case BOOT_REGION_ACPI:
		return 3;
	case BOOT_REGION_RUNTIME:
		return 4;
	case BOOT_REGION_MMIO:
		return 5;
	case BOOT_REGION_RESERVED:
		return 6;
	default:
		return 2; /* the loader's own */
	}
}

/* Whole pages: RAM shrinks to them, all else grows to them. Empty claims have base == end. */
static struct claim claim_of_desc(const struct bootmap_input *in, size_t i)
{
	struct bootmap_desc d;
	struct claim c;

	__builtin_memcpy(&d, (const u8 *)in->descs + i * in->stride, sizeof(d));
	c = (struct claim){
		.kind = kind_of_desc(&d), .efi_type = d.type, .attributes = d.attributes};
	if (__builtin_mul_overflow(d.page_count, PAGE_BYTES, &c.end) ||
		__builtin_add_overflow(d.physical, c.end, &c.end) || c.end > BIT(52))
		c.end = BIT(52);
	c.base = d.physical;
	if (c.kind == BOOT_REGION_FREE) {
		c.base = c.base > BIT(52) ? BIT(52) : ALIGN_UP(c.base, PAGE_BYTES);
		c.end = ALIGN_DOWN(c.end, PAGE_BYTES);
	} else {
		c.base = ALIGN_DOWN(c.base, PAGE_BYTES);
		c.end = ALIGN_UP(c.end, PAGE_BYTES);
	}
	if (c.base >= c.end || d.page_count == 0)
		c.base = c.end = 0;
	return c;
}

static struct claim claim_of_own(const struct bootmap_own *own)
{
	return (struct claim){
		.base = own->base,
		.end = own->base + own->bytes,
		.kind = own->kind,
		.efi_type = EFI_TYPE_LOADER_DATA,
	};
}

static struct claim claim_at(const struct bootmap_input *in, size_t i)
{
	size_t descs = desc_count(in);

	return i < descs ? claim_of_desc(in, i) : claim_of_own(&in->own[i - descs]);
}

size_t bootmap_room(const struct bootmap_input *in)
{
	return 2 * (desc_count(in) + in->own_count) + 2;
}

/* Insertion keeps the edges sorted and single; firmware's maps come nearly sorted. */
static size_t add_edge(u64 *edges, size_t count, u64 edge)
{
	size_t at = count;

	while (at > 0 && edges[at - 1] > edge)
		at--;
	if (at > 0 && edges[at - 1] == edge)
		return count;
	for (size_t i = count; i > at; i--)
		edges[i] = edges[i - 1];
	edges[at] = edge;
	return count + 1;
}

static size_t collect_edges(const struct bootmap_input *in, u64 *edges)
{
	size_t claims = desc_count(in) + in->own_count, count = 0;

	count = add_edge(edges, count, BOOTMAP_LOW_BYTES);
	count = add_edge(edges, count, BOOTMAP_TOP);
	for (size_t i = 0; i < claims; i++) {
		struct claim c = claim_at(in, i);

		if (c.base == c.end)
			continue;
		count = add_edge(edges, count, c.base);
		count = add_edge(edges, count, c.end);
	}
	return count;
}

/* The strictest claim on [base, end), which no edge cuts; kind 0 where there is none. */
static struct claim strictest(const struct bootmap_input *in, u64 base, u64 end)
{
	size_t claims = desc_count(in) + in->own_count;
	struct claim best = {0};

	for (size_t i = 0; i < claims; i++) {
		struct claim c = claim_at(in, i);

		if (c.base <= base && end <= c.end &&
			(!best.kind || strictness(c.kind) > strictness(best.kind)))
			best = c;
	}
	if (best.kind == BOOT_REGION_FREE && (base < BOOTMAP_LOW_BYTES || base >= BOOTMAP_TOP))
		best.kind = BOOT_REGION_RESERVED;
	best.base = base;
	best.end = end;
	return best;
}

/* RAM and the loader's own need no firmware details; elsewhere only true equals are joined. */
static bool joins(const struct boot_region *r, const struct claim *c)
{
	if (r->base + r->bytes != c->base || r->kind != c->kind)
		return false;
	return c->kind == BOOT_REGION_FREE || is_own_kind(c->kind) ||
	       (r->efi_type == c->efi_type && r->efi_attributes == c->attributes);
}

int bootmap_build(const struct bootmap_input *in, u64 *edges, struct boot_region *out, size_t room)
{
	size_t edge_count;
	int count = 0;

	if (in->stride < sizeof(struct bootmap_desc))
		return E_INVAL;
	if (room < bootmap_room(in) || room > INT32_MAX)
		return E_LIMIT;
	edge_count = collect_edges(in, edges);
	for (size_t i = 0; i + 1 < edge_count; i++) {
		struct claim c = strictest(in, edges[i], edges[i + 1]);

		if (!c.kind)
			continue;
		if (count > 0 && joins(&out[count - 1], &c)) {
			out[count - 1].bytes += c.end - c.base;
			continue;
		}
		out[count++] = (struct boot_region){
			.base = c.base,
			.bytes = c.end - c.base,
			.kind = c.kind,
			.efi_type = c.efi_type,
			.efi_attributes = c.attributes,
		};
	}
	return count;
}

u64 bootmap_max_pa(const struct boot_region *regions, u32 count)
{
	u64 top = GIB(4);

	for (u32 i = 0; i < count; i++) {
		const struct boot_region *r = &regions[i];

		if (r->kind == BOOT_REGION_FREE || is_own_kind(r->kind) ||
			r->kind == BOOT_REGION_RUNTIME || r->kind == BOOT_REGION_ACPI ||
			(r->efi_attributes & EFI_ATTR_RUNTIME))
			top = max(top, r->base + r->bytes);
	}
	return min(ALIGN_UP(top, REGION_BYTES), (u64)BOOTMAP_TOP);
}
