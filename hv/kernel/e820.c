/* RAM below 640 KiB, from 1 MiB to where devices begin, and above 4 GiB; the tables in between. */
#include "hv/kernel/e820.h"
#include "hv/kernel/boot_common.h"

#define LOW_RAM_END 0x9fc00u

static u32 add(struct e820_entry *out, u32 count, u64 base, u64 end, enum e820_type type)
{
	if (base >= end)
		return count;
	out[count] = (struct e820_entry){base, end - base, type};
	return count + 1;
}

u32 e820_fill(struct e820_entry *out, u64 memory_bytes, u64 acpi_gpa, size_t acpi_bytes)
{
	u64 acpi_end = ALIGN_UP(acpi_gpa + acpi_bytes, PAGE_BYTES);
	u32 n = 0;

	n = add(out, n, 0, LOW_RAM_END, E820_RAM);
	n = add(out, n, LOW_RAM_END, BOOT_LOW_AREA_END, E820_RESERVED);
	n = add(out, n, acpi_gpa, acpi_end, E820_ACPI);
	n = add(out, n, acpi_end, BOOT_HIGH_RAM_BASE, E820_RESERVED);
	n = add(out, n, BOOT_HIGH_RAM_BASE, boot_low_ram_end(memory_bytes), E820_RAM);
	if (memory_bytes > SPACE_LOW_END)
		n = add(out, n, SPACE_HIGH_BASE, SPACE_HIGH_BASE + (memory_bytes - SPACE_LOW_END),
			E820_RAM);
	return n;
}
