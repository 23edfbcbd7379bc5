/*
 * The ways off and back, best first. ACPI where firmware gave tables. Without tables we are on an
 * emulator that has none (Bochs): its shutdown port comes before the firmware's ResetSystem, which
 * may hang there.
 */
#include "hv/x86/power.h"
#include "hv/x86/insn.h"
#include "hv/x86/paging.h"
#include "mm/base/log.h"

#define BOCHS_SHUTDOWN_PORT 0x8900
#define QEMU_SHUTDOWN_PORT  0x604
#define RESET_CONTROL_PORT  0xcf9
#define KEYBOARD_PORT       0x64

#define PM1_SCI_ENABLE    BIT(0)
#define PM1_SLEEP_TYPE(t) ((u16)((t) << 10))
#define PM1_SLEEP_ENABLE  BIT(13)

/* UEFI, "EFI System Table" and "EFI Runtime Services Table": offsets of what we need. */
#define EFI_SYSTEM_TABLE_SIGNATURE 0x5453595320494249ull
#define EFI_RUNTIME_SERVICES       88
#define EFI_RESET_SYSTEM           104
enum efi_reset { EFI_RESET_COLD = 0, EFI_RESET_SHUTDOWN = 2 };

typedef void(__attribute__((ms_abi)) * efi_reset_fn)(
	u32 type, u64 status, u64 data_bytes, void *data);

static struct acpi_info acpi;
static u64 efi_system_table;
static void (*last_call)(void);

const struct acpi_info *power_acpi(void)
{
	return &acpi;
}

void power_init(const struct boot_info *info)
{
	err_t err = acpi_parse(info->rsdp, paging_map_firmware, &acpi);

	efi_system_table = info->efi_system_table;
	if (err)
		log_info("acpi: no tables (%s)", err_name(err));
	else
		log_info("acpi: FADT %s, S5 %s, PM timer port 0x%x, %u CPUs, %u IOAPICs",
			acpi.has_fadt ? "found" : "missing", acpi.has_s5 ? "found" : "missing",
			acpi.pm_timer_port, acpi.cpu_count, acpi.ioapic_count);
}

/* A moment for the hardware to do what was asked, before the next way is tried. */
static void settle(void)
{
	for (u32 i = 0; i < 1000000; i++)
		cpu_relax();
}

static void acpi_mode_on(void)
{
	if (!acpi.smi_command || !acpi.acpi_enable || (inw(acpi.pm1a_control) & PM1_SCI_ENABLE))
		return;
	outb(acpi.smi_command, acpi.acpi_enable);
	for (u32 i = 0; i < 100000 && !(inw(acpi.pm1a_control) & PM1_SCI_ENABLE); i++)
		cpu_relax();
}

static void register_write(const struct acpi_register *r, u8 value)
{
	u8 *mapped;

	if (r->space == ACPI_IO && r->address <= 0xffff) {
		outb((u16)r->address, value);
	} else if (r->space == ACPI_MEMORY && r->address) {
		mapped = paging_map_mmio(r->address, 1);
		if (mapped)
			*(volatile u8 *)mapped = value;
	}
}

static void acpi_off(void)
{
	if (!acpi.has_s5)
		return;
	if (acpi.hw_reduced) {
		register_write(&acpi.sleep_control, (u8)(acpi.s5_a << 2 | BIT(5)));
	} else if (acpi.pm1a_control) {
		acpi_mode_on();
		outw(acpi.pm1a_control, PM1_SLEEP_TYPE(acpi.s5_a) | PM1_SLEEP_ENABLE);
		if (acpi.pm1b_control)
			outw(acpi.pm1b_control, PM1_SLEEP_TYPE(acpi.s5_b) | PM1_SLEEP_ENABLE);
	}
	settle();
}

/* Firmware runs with va = pa, as it was not told otherwise. It may not come back. */
static void efi_reset(enum efi_reset type)
{
	const u8 *table;
	efi_reset_fn reset_system;

	if (!efi_system_table)
		return;
	write_cr3(paging_identity_cr3());
	table = (const u8 *)efi_system_table;
	if (*(const u64 *)table == EFI_SYSTEM_TABLE_SIGNATURE) {
		table = *(const u8 *const *)(table + EFI_RUNTIME_SERVICES);
		reset_system = *(const efi_reset_fn *)(table + EFI_RESET_SYSTEM);
		reset_system(type, 0, 0, NULL);
	}
	settle();
}

static noreturn_fn void halt(const char *message)
{
	log_error("%s", message);
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

static void bochs_off(void)
{
	for (const char *c = "Shutdown"; *c; c++)
		outb(BOCHS_SHUTDOWN_PORT, (u8)*c);
	settle();
}

void power_set_last_call(void (*function)(void))
{
	last_call = function;
}

static void prepare(void)
{
	interrupts_off();
	if (last_call)
		last_call();
}

void power_off(void)
{
	prepare();
	acpi_off();
	if (!acpi.has_tables)
		bochs_off();
	efi_reset(EFI_RESET_SHUTDOWN);
	outw(QEMU_SHUTDOWN_PORT, 0x2000);
	settle();
	halt("power: nothing here switches the machine off: it is safe to do so by hand");
}

void power_reset(void)
{
	struct descriptor_pointer nothing = {0, 0};

	prepare();
	if (acpi.reset.bits) {
		register_write(&acpi.reset, acpi.reset_value);
		settle();
	}
	outb(RESET_CONTROL_PORT, 0x02);
	outb(RESET_CONTROL_PORT, 0x06);
	settle();
	outb(KEYBOARD_PORT, 0xfe);
	settle();
	efi_reset(EFI_RESET_COLD);
	/* With no IDT the next exception is a triple fault, which resets the CPU. */
	__asm__ volatile("lidt %0; ud2" : : "m"(nothing));
	halt("power: the machine does not reset");
}
