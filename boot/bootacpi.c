/*
 * RSDP -> XSDT (or RSDT) -> MADT (ACPI, "Root System Description Pointer", "Multiple APIC
 * Description Table"). Every length is checked before it is believed and every table's bytes must
 * sum to zero. A table pointed to that is broken does not matter unless it is the one wanted.
 */
#include "boot/bootacpi.h"
#include "mm/base/str.h"

#define TABLE_BYTES_MAX MIB(1)

/* Offsets into the tables; fields are unaligned in places, so they are copied out. */
enum {
	RSDP_REVISION = 15,
	RSDP_RSDT = 16,
	RSDP_V1_BYTES = 20,
	RSDP_XSDT = 24,
	RSDP_V2_BYTES = 36,
	HEADER_LENGTH = 4,
	HEADER_BYTES = 36,
	MADT_ENTRIES = 44,
	MADT_LAPIC = 0,
	MADT_LAPIC_BYTES = 8,
	MADT_X2APIC = 9,
	MADT_X2APIC_BYTES = 16,
	MADT_CPU_ENABLED = 1,
};

static u32 read_u32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 read_u64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bool sums_to_zero(const u8 *p, size_t bytes)
{
	u8 sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum = (u8)(sum + p[i]);
	return sum == 0;
}

/* The whole table at pa if its signature is the wanted one: E_NOTFOUND, E_CORRUPT. */
static err_t open_table(const struct bootacpi_memory *memory, u64 pa, const char *signature,
	const u8 **table, u32 *bytes)
{
	const u8 *p = memory->at(memory, pa, HEADER_BYTES);

	if (!p || memcmp(p, signature, 4) != 0)
		return E_NOTFOUND;
	*bytes = read_u32(p + HEADER_LENGTH);
	if (*bytes < HEADER_BYTES || *bytes > TABLE_BYTES_MAX)
		return E_CORRUPT;
	*table = memory->at(memory, pa, *bytes);
	if (!*table || !sums_to_zero(*table, *bytes))
		return E_CORRUPT;
	return E_OK;
}

/* The root table, whose entries are entry_bytes long. */
static err_t open_root(const struct bootacpi_memory *memory, u64 rsdp, const u8 **root, u32 *bytes,
	u32 *entry_bytes)
{
	const u8 *p = memory->at(memory, rsdp, RSDP_V1_BYTES);

	if (!p || memcmp(p, "RSD PTR ", 8) != 0 || !sums_to_zero(p, RSDP_V1_BYTES))
		return E_CORRUPT;
	if (p[RSDP_REVISION] >= 2) {
		const u8 *v2 = memory->at(memory, rsdp, RSDP_V2_BYTES);

		if (!v2 || !sums_to_zero(v2, RSDP_V2_BYTES))
			return E_CORRUPT;
		*entry_bytes = 8;
		if (read_u64(v2 + RSDP_XSDT) &&
			open_table(memory, read_u64(v2 + RSDP_XSDT), "XSDT", root, bytes) == E_OK)
			return E_OK;
	}
	*entry_bytes = 4;
	if (open_table(memory, read_u32(p + RSDP_RSDT), "RSDT", root, bytes) != E_OK)
		return E_CORRUPT;
	return E_OK;
}

void bootacpi_add_cpu(struct bootacpi_cpus *list, u32 apic_id, u32 flags)
{
	for (u32 i = 0; i < list->count; i++) {
		if (list->cpus[i].apic_id == apic_id) {
			list->cpus[i].flags |= flags;
			return;
		}
	}
	if (list->count == list->room) {
		list->dropped_count++;
		return;
	}
	list->cpus[list->count++] = (struct boot_cpu){.apic_id = apic_id, .flags = flags};
}

static void add_entry(struct bootacpi_cpus *list, const u8 *entry, u32 bytes)
{
	u32 id, flags, no_id;

	if (entry[0] == MADT_LAPIC && bytes >= MADT_LAPIC_BYTES) {
		id = entry[3];
		flags = read_u32(entry + 4);
		no_id = 0xff;
	} else if (entry[0] == MADT_X2APIC && bytes >= MADT_X2APIC_BYTES) {
		id = read_u32(entry + 4);
		flags = read_u32(entry + 8);
		no_id = 0xffffffff;
	} else {
		return;
	}
	if ((flags & MADT_CPU_ENABLED) && id != no_id)
		bootacpi_add_cpu(list, id, BOOT_CPU_ENABLED);
}

static err_t list_madt(const u8 *madt, u32 bytes, struct bootacpi_cpus *list)
{
	u32 at = MADT_ENTRIES;

	if (bytes < MADT_ENTRIES)
		return E_CORRUPT;
	while (bytes - at >= 2) {
		u32 entry_bytes = madt[at + 1];

		if (entry_bytes < 2 || entry_bytes > bytes - at)
			return E_CORRUPT;
		add_entry(list, madt + at, entry_bytes);
		at += entry_bytes;
	}
	return E_OK;
}

err_t bootacpi_list_cpus(const struct bootacpi_memory *memory, u64 rsdp, struct bootacpi_cpus *list)
{
	const u8 *root, *madt;
	u32 root_bytes, madt_bytes, entry_bytes;
	err_t err = open_root(memory, rsdp, &root, &root_bytes, &entry_bytes);

	if (err)
		return err;
	for (u32 at = HEADER_BYTES; root_bytes - at >= entry_bytes; at += entry_bytes) {
		u64 pa = entry_bytes == 8 ? read_u64(root + at) : read_u32(root + at);

		err = open_table(memory, pa, "APIC", &madt, &madt_bytes);
		if (err == E_OK)
			return list_madt(madt, madt_bytes, list);
		if (err == E_CORRUPT)
			return err;
	}
	return E_NOTFOUND;
}
