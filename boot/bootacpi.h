/* The list of CPUs from the ACPI tables. Pure: runs on the host under test. */
#ifndef BOOT_BOOTACPI_H
#define BOOT_BOOTACPI_H

#include "boot/boot_info.h"
#include "mm/base/err.h"
#include "mm/base/types.h"

/*
 * Physical memory as the tables' reader sees it: @bytes at @pa, or NULL where there is no such
 * memory. What it returns stays valid and unchanged while the tables are read.
 */
struct bootacpi_memory {
	const void *(*at)(const struct bootacpi_memory *memory, u64 pa, size_t bytes);
};

struct bootacpi_cpus {
	struct boot_cpu *cpus;
	u32 room;
	u32 count;
	u32 dropped_count; /* CPUs for which there was no room */
};

/* Add a CPU that is not yet in the list. Cost: linear in the list. */
void bootacpi_add_cpu(struct bootacpi_cpus *list, u32 apic_id, u32 flags);

/**
 * Fill the list with the enabled CPUs of the MADT, found by way of the RSDP.
 * Returns 0; E_NOTFOUND (there is no MADT); E_CORRUPT (a table with a wrong checksum or length on
 * the way to it). The list may be partly filled after E_CORRUPT: start anew.
 */
must_check err_t bootacpi_list_cpus(
	const struct bootacpi_memory *memory, u64 rsdp, struct bootacpi_cpus *list);

#endif
