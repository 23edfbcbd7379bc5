/*
 * The tables, laid out one after the other, each 16-byte aligned: RSDP, XSDT, FADT, MADT, DSDT.
 * Table offsets are from the ACPI specification 6.0, Fixed ACPI Description Table and Multiple APIC
 * Description Table.
 */
#include "hv/vdev/acpi.h"
#include "hv/abi/balloon.h"
#include "hv/vdev/aml.h"
#include "hv/vdev/ioapic.h"
#include "hv/vdev/pm.h"
#include "hv/vdev/rtc.h"
#include "hv/vdev/uart16550.h"
#include "mm/base/str.h"

#define RSDP_BYTES   36u
#define HEADER_BYTES 36u
#define XSDT_BYTES   (HEADER_BYTES + 2 * 8)
#define FADT_BYTES   276u
#define MADT_FIXED   (HEADER_BYTES + 8)
#define MADT_LAPIC   8u
#define MADT_IOAPIC  12u
#define MADT_NMI     6u
#define DSDT_MAX     512u

/* FADT fields */
enum {
	FADT_DSDT = 40,
	FADT_PM_TIMER = 76,
	FADT_PM_TIMER_BYTES = 91,
	FADT_CENTURY = 108,
	FADT_BOOT_ARCH = 109,
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116,
	FADT_RESET_VALUE = 128,
	FADT_MINOR_VERSION = 131,
	FADT_X_DSDT = 140,
	FADT_X_PM_TIMER = 208,
	FADT_SLEEP_CONTROL = 244,
	FADT_SLEEP_STATUS = 256,
	FADT_HYPERVISOR = 268,
};

#define BOOT_ARCH_NO_VGA     0x04u
#define FLAG_WBINVD          BIT(0)
#define FLAG_NO_POWER_BUTTON BIT(4)
#define FLAG_NO_SLEEP_BUTTON BIT(5)
#define FLAG_TIMER_32_BITS   BIT(8)
#define FLAG_RESET_REGISTER  BIT(10)
#define FLAG_HW_REDUCED      BIT(20)

struct layout {
	size_t xsdt, fadt, madt, dsdt, end;
};

static u32 madt_bytes(u32 vcpu_count)
{
	return MADT_FIXED + vcpu_count * MADT_LAPIC + MADT_IOAPIC + MADT_NMI;
}

static struct layout lay_out(u32 vcpu_count)
{
	struct layout l;

	l.xsdt = ALIGN_UP(RSDP_BYTES, 16u);
	l.fadt = ALIGN_UP(l.xsdt + XSDT_BYTES, 16u);
	l.madt = ALIGN_UP(l.fadt + FADT_BYTES, 16u);
	l.dsdt = ALIGN_UP(l.madt + madt_bytes(vcpu_count), 16u);
	l.end = l.dsdt + DSDT_MAX;
	return l;
}

size_t acpi_bytes_needed(u32 vcpu_count)
{
	return lay_out(vcpu_count).end;
}

static void put16(u8 *at, u16 v)
{
	memcpy(at, &v, 2);
}

static void put32(u8 *at, u32 v)
{
	memcpy(at, &v, 4);
}

static void put64(u8 *at, u64 v)
{
	memcpy(at, &v, 8);
}

static u8 checksum(const u8 *at, size_t bytes)
{
	u8 sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum += at[i];
	return (u8)-sum;
}

static void put_header(u8 *at, const char *signature, u32 bytes, u8 revision)
{
	memcpy(at, signature, 4);
	put32(at + 4, bytes);
	at[8] = revision;
	memcpy(at + 10, "BELOWS", 6);
	memcpy(at + 16, "BELLOWS ", 8);
	put32(at + 24, 1);
	memcpy(at + 28, "BLWS", 4);
	put32(at + 32, 1);
	at[9] = checksum(at, bytes);
}

static void put_rsdp(u8 *at, u64 xsdt)
{
	memcpy(at, "RSD PTR ", 8);
	memcpy(at + 9, "BELOWS", 6);
	at[15] = 2;
	put32(at + 20, RSDP_BYTES);
	put64(at + 24, xsdt);
	at[8] = checksum(at, 20);
	at[32] = checksum(at, RSDP_BYTES);
}

/* A generic address: a port of @bits, 8 or 32, accessed at once. */
static void put_port(u8 *at, u16 port, u8 bits)
{
	at[0] = 1; /* system I/O */
	at[1] = bits;
	at[3] = bits == 32 ? 3 : 1; /* doubleword, byte */
	put64(at + 4, port);
}

static void put_fadt(u8 *at, u64 dsdt)
{
	put32(at + FADT_DSDT, (u32)dsdt);
	at[FADT_CENTURY] = RTC_CENTURY_REG;
	put16(at + FADT_BOOT_ARCH, BOOT_ARCH_NO_VGA);
	put32(at + FADT_FLAGS, FLAG_WBINVD | FLAG_NO_POWER_BUTTON | FLAG_NO_SLEEP_BUTTON |
				       FLAG_TIMER_32_BITS | FLAG_RESET_REGISTER | FLAG_HW_REDUCED);
	put_port(at + FADT_RESET_REG, PM_RESET, 8);
	at[FADT_RESET_VALUE] = PM_RESET_VALUE;
	put64(at + FADT_X_DSDT, dsdt);
	/* Hardware-reduced machines need no PM timer, but kernels use one that is there. */
	put32(at + FADT_PM_TIMER, PM_TIMER);
	at[FADT_PM_TIMER_BYTES] = 4;
	put_port(at + FADT_X_PM_TIMER, PM_TIMER, 32);
	put_port(at + FADT_SLEEP_CONTROL, PM_SLEEP_CONTROL, 8);
	put_port(at + FADT_SLEEP_STATUS, PM_SLEEP_STATUS, 8);
	memcpy(at + FADT_HYPERVISOR, "BELLOWS\0", 8);
	put_header(at, "FACP", FADT_BYTES, 6);
}

static void put_madt(u8 *at, u32 vcpu_count)
{
	u8 *entry = at + MADT_FIXED;

	put32(at + HEADER_BYTES, (u32)VDEV_LAPIC_GPA);
	put32(at + HEADER_BYTES + 4, 0); /* no 8259 */
	for (u32 i = 0; i < vcpu_count; i++, entry += MADT_LAPIC) {
		entry[0] = 0;
		entry[1] = MADT_LAPIC;
		entry[2] = entry[3] = (u8)i;
		put32(entry + 4, 1); /* enabled */
	}
	entry[0] = 1;
	entry[1] = MADT_IOAPIC;
	put32(entry + 4, (u32)VDEV_IOAPIC_GPA);
	entry += MADT_IOAPIC;
	entry[0] = 4; /* NMI: LINT1 of all */
	entry[1] = MADT_NMI;
	entry[2] = 0xff;
	entry[5] = 1;
	put_header(at, "APIC", madt_bytes(vcpu_count), 4);
}

static void put_device(
	struct aml *aml, const char *name, const char *id, u16 port, u8 count, u32 gsi)
{
	struct aml_block device = aml_device(aml, name);

	aml_name(aml, "_HID");
	aml_eisa_id(aml, id);
	aml_name(aml, "_UID");
	aml_integer(aml, 0);
	aml_name(aml, "_STA");
	aml_integer(aml, 0x0f);
	aml_crs_port_irq(aml, port, count, gsi);
	aml_close(aml, device);
}

/* The balloon's: nothing but an interrupt; its registers are hypercalls. */
static void put_balloon(struct aml *aml)
{
	struct aml_block device = aml_device(aml, "BALN");

	aml_name(aml, "_HID");
	aml_string(aml, BELLOWS_BALLOON_HID);
	aml_name(aml, "_UID");
	aml_integer(aml, 0);
	aml_name(aml, "_STA");
	aml_integer(aml, 0x0f);
	aml_crs_irq(aml, BELLOWS_BALLOON_GSI);
	aml_close(aml, device);
}

/* A virtio device behind registers: virtio_mmio.h. */
static void put_disk(struct aml *aml)
{
	struct aml_block device = aml_device(aml, "DISK");

	aml_name(aml, "_HID");
	aml_string(aml, "LNRO0005");
	aml_name(aml, "_UID");
	aml_integer(aml, 0);
	aml_name(aml, "_STA");
	aml_integer(aml, 0x0f);
	aml_crs_memory_irq(aml, (u32)VDEV_VIRTIO_GPA, (u32)PAGE_BYTES, VDEV_VIRTIO_GSI);
	aml_close(aml, device);
}

/* \_S5 (power-off), and under \_SB the serial line, the clock, the balloon and the disk. */
static err_t put_dsdt(u8 *at, bool has_disk)
{
	struct aml aml = {.at = at + HEADER_BYTES, .room = DSDT_MAX - HEADER_BYTES};
	struct aml_block block;

	aml_name(&aml, "_S5_");
	block = aml_package(&aml, 4);
	aml_integer(&aml, PM_SLEEP_TYPE_S5);
	for (u32 i = 0; i < 3; i++)
		aml_integer(&aml, 0);
	aml_close(&aml, block);

	block = aml_scope(&aml, "_SB_");
	put_device(&aml, "COM1", "PNP0501", UART_PORT, 8, UART_IRQ);
	put_device(&aml, "RTC_", "PNP0B00", RTC_PORT, 2, RTC_IRQ);
	put_balloon(&aml);
	if (has_disk)
		put_disk(&aml);
	aml_close(&aml, block);
	if (aml.full)
		return E_RANGE;
	put_header(at, "DSDT", HEADER_BYTES + (u32)aml.used, 2);
	return 0;
}

s64 acpi_build(u32 vcpu_count, bool has_disk, u64 base, void *out, size_t bytes)
{
	struct layout l = lay_out(vcpu_count);
	u8 *at = out;
	err_t err;

	if (l.end > bytes)
		return E_RANGE;
	memset(out, 0, l.end);
	put_rsdp(at, base + l.xsdt);
	put64(at + l.xsdt + HEADER_BYTES, base + l.fadt);
	put64(at + l.xsdt + HEADER_BYTES + 8, base + l.madt);
	put_header(at + l.xsdt, "XSDT", XSDT_BYTES, 1);
	put_fadt(at + l.fadt, base + l.dsdt);
	put_madt(at + l.madt, vcpu_count);
	err = put_dsdt(at + l.dsdt, has_disk);
	return err ? err : (s64)l.end;
}
