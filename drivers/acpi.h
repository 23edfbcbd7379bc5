/*
 * What the hypervisor reads from ACPI's static tables: FADT (power, reset, PM timer), MADT
 * (interrupt controllers), SPCR (serial console), MCFG, and the one AML object that power-off
 * needs, \_S5, found by its encoding, for there is no AML interpreter. Every table is checked
 * (length, checksum) before use; the parser touches nothing but the bytes of tables, through the
 * caller's map function.
 */
#ifndef DRIVERS_ACPI_H
#define DRIVERS_ACPI_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define ACPI_IOAPIC_MOST 16

/* A register somewhere (ACPI "Generic Address Structure"); bits == 0: there is none. */
enum acpi_space { ACPI_MEMORY = 0, ACPI_IO = 1, ACPI_PCI = 2 };

struct acpi_register {
	u64 address;
	u8 space; /* enum acpi_space */
	u8 bits;
};

struct acpi_ioapic {
	u32 id;
	u32 gsi_base;
	u64 pa;
};

struct acpi_info {
	bool has_tables, has_fadt, has_madt, has_s5;
	bool hw_reduced;
	/* Power. */
	u16 pm1a_control, pm1b_control;     /* I/O ports, 0: none */
	u8 s5_a, s5_b;                      /* SLP_TYP values */
	u16 smi_command;                    /* I/O port, 0: none */
	u8 acpi_enable;                     /* what to write there */
	struct acpi_register sleep_control; /* hardware-reduced */
	struct acpi_register reset;
	u8 reset_value;
	/* Clocks. */
	u16 pm_timer_port;
	bool pm_timer_32bit;
	/* MADT. */
	u32 cpu_count; /* enabled ones */
	u32 ioapic_count;
	struct acpi_ioapic ioapics[ACPI_IOAPIC_MOST];
	/* Others; 0 where there is none. */
	u64 mcfg_base; /* of PCI segment 0, bus 0 */
	u8 mcfg_first_bus, mcfg_last_bus;
	struct acpi_register console;
};

/* Firmware's bytes at @pa as memory, readable while the parser runs; NULL: not to be had. */
typedef const void *(*acpi_map_fn)(u64 pa, u64 bytes);

/*
 * Read all tables that lead from the RSDP at @rsdp. Returns 0; E_NOTFOUND (@rsdp is 0), E_CORRUPT
 * (RSDP or root table is not one: *out says has_tables = false). A bad table further down is left
 * out, as if absent.
 */
must_check err_t acpi_parse(u64 rsdp, acpi_map_fn map, struct acpi_info *out);

#endif
