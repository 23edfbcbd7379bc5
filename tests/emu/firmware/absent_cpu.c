/*
 * A firmware that lists a CPU which is not there, before the others, in the MADT and by its MP
 * services: this program stands where the loader is expected, adds that CPU, and starts the loader
 * in \EFI\BOOT\BELLOWS.EFI.
 */
#include <efi.h>
#include <efilib.h>

#include "tests/emu/firmware/start_loader.h"

#define ABSENT_APIC_ID 13
#define ENABLED        1u

/* --- ACPI: "Multiple APIC Description Table", "Processor Local APIC Structure" ---------------- */

#define RSDP_XSDT    24
#define TABLE_BYTES  4
#define TABLE_SUM    9
#define XSDT_ENTRIES 36
#define MADT_ENTRIES 44

struct local_apic {
	UINT8 type, bytes, uid, id;
	UINT32 flags;
};

static UINT32 bytes_of(const UINT8 *table)
{
	return *(const UINT32 *)(table + TABLE_BYTES);
}

static void set_sum(UINT8 *table)
{
	UINT8 sum = 0;

	table[TABLE_SUM] = 0;
	for (UINT32 i = 0; i < bytes_of(table); i++)
		sum += table[i];
	table[TABLE_SUM] = (UINT8)-sum;
}

static UINT8 *with_absent(const UINT8 *madt)
{
	const struct local_apic entry = {0, sizeof(entry), 0xee, ABSENT_APIC_ID, ENABLED};
	UINT32 bytes = bytes_of(madt);
	UINT8 *copy = AllocatePool(bytes + sizeof(entry));

	CopyMem(copy, (void *)madt, MADT_ENTRIES);
	CopyMem(copy + MADT_ENTRIES, (void *)&entry, sizeof(entry));
	CopyMem(copy + MADT_ENTRIES + sizeof(entry), (void *)(madt + MADT_ENTRIES),
		bytes - MADT_ENTRIES);
	*(UINT32 *)(copy + TABLE_BYTES) = bytes + sizeof(entry);
	set_sum(copy);
	return copy;
}

static void add_to_madt(void)
{
	EFI_GUID guid = ACPI_20_TABLE_GUID;
	UINT8 *rsdp, *xsdt;

	if (EFI_ERROR(LibGetSystemConfigurationTable(&guid, (void **)&rsdp)))
		return;
	xsdt = *(UINT8 **)(rsdp + RSDP_XSDT);
	for (UINT32 at = XSDT_ENTRIES; at < bytes_of(xsdt); at += 8) {
		UINT8 **table = (UINT8 **)(xsdt + at);

		if (CompareMem(*table, "APIC", 4) == 0)
			*table = with_absent(*table);
	}
	set_sum(xsdt);
}

/* --- UEFI Platform Initialization, "MP Services Protocol" ------------------------------------- */

struct processor {
	UINT64 id;
	UINT32 status; /* 6: enabled, healthy */
	UINT32 location[9];
};

struct mp_services {
	EFI_STATUS(EFIAPI *get_count)(struct mp_services *mp, UINTN *count, UINTN *enabled);
	EFI_STATUS(EFIAPI *get_info)(struct mp_services *mp, UINTN number, struct processor *out);
};

static struct mp_services real;

static EFI_STATUS EFIAPI get_count(struct mp_services *mp, UINTN *count, UINTN *enabled)
{
	EFI_STATUS status = real.get_count(mp, count, enabled);

	if (!EFI_ERROR(status)) {
		++*count;
		++*enabled;
	}
	return status;
}

static EFI_STATUS EFIAPI get_info(struct mp_services *mp, UINTN number, struct processor *out)
{
	if (number)
		return real.get_info(mp, number - 1, out);
	*out = (struct processor){.id = ABSENT_APIC_ID, .status = 6};
	return EFI_SUCCESS;
}

static void add_to_mp_services(void)
{
	EFI_GUID guid = {
		0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};
	struct mp_services *mp;

	if (EFI_ERROR(LibLocateProtocol(&guid, (void **)&mp)))
		return;
	real = *mp;
	mp->get_count = get_count;
	mp->get_info = get_info;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	InitializeLib(image, table);
	add_to_madt();
	add_to_mp_services();
	Print(L"a CPU is listed that is not there\n");
	return start_loader(image);
}
