/*
 * The memory map that a kernel is given, by whatever protocol it is started: what lies where in a
 * VM of so much memory, in the entries that a BIOS's INT 15H, AX=E820H would return (ACPI,
 * "System Address Map Interfaces"). Pure.
 */
#ifndef HV_KERNEL_E820_H
#define HV_KERNEL_E820_H

#include "mm/base/types.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

struct e820_entry {
	u64 base, bytes;
	u32 type; /* enum e820_type */
};

#define E820_ENTRIES_MAX 8

/*
 * Fill in the map, by ascending address: E820_ENTRIES_MAX entries fit. @memory_bytes is 1 MiB at
 * least; the ACPI tables lie between 640 KiB and 1 MiB. Returns how many entries there are.
 */
u32 e820_fill(struct e820_entry *out, u64 memory_bytes, u64 acpi_gpa, size_t acpi_bytes);

#endif
