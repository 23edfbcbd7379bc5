/*
 * What linux_boot.c, elf_boot.c and e820.c share among themselves only: the places and the end of
 * RAM that both protocols' plans go by, and how the tables that a kernel is given are filled in.
 */
#ifndef HV_KERNEL_BOOT_COMMON_H
#define HV_KERNEL_BOOT_COMMON_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"
#include "mm/space/space.h"

#define BOOT_CMDLINE_GPA   0x20000u
#define BOOT_CMDLINE_BYTES 0x10000u
#define BOOT_LOW_AREA_END  0xa0000u  /* RAM and tables below; above it ACPI's, up to: */
#define BOOT_HIGH_RAM_BASE 0x100000u /* kernels, initrds, modules */

/* Access rights: of data P, S, writable, accessed, D, G. */
#define BOOT_SEGMENT_DATA     0xc093u
#define BOOT_SEGMENT_TSS_BUSY 0x8bu
#define BOOT_SEGMENT_UNUSABLE 0x10000u

/* Set a field of @bytes, 8 at most, at @offset in a table. */
static inline void boot_put_field(u8 *table, u32 offset, u64 value, u32 bytes)
{
	memcpy(table + offset, &value, bytes);
}

/* For sentences that say what is needed: rounded up, as fmt wants it. */
static inline unsigned long long boot_mib_needed(u64 bytes)
{
	return (bytes + MIB(1) - 1) >> 20;
}

/* For those that say what there is: rounded down. */
static inline unsigned long long boot_mib_given(u64 bytes)
{
	return bytes >> 20;
}

/* End of RAM below 4 GiB. */
static inline u64 boot_low_ram_end(u64 memory_bytes)
{
	return min(memory_bytes, (u64)SPACE_LOW_END);
}

/* Do the areas below 1 MiB fit, whatever the kernel? E_RANGE with a sentence in @why if not. */
must_check static inline err_t boot_check_memory(
	u64 memory_bytes, u64 acpi_gpa, size_t acpi_bytes, char *why, size_t why_bytes)
{
	if (memory_bytes >= BOOT_HIGH_RAM_BASE && acpi_gpa >= BOOT_LOW_AREA_END &&
		acpi_gpa + acpi_bytes <= BOOT_HIGH_RAM_BASE)
		return 0;
	fmt_snprintf(why, why_bytes, "%llu KiB of memory are too little for any kernel",
		(unsigned long long)(memory_bytes >> 10));
	return E_RANGE;
}

#endif
