/* SRCS: hv/kernel/linux_boot.c hv/kernel/e820.c mm/base/fmt.c */
/*
 * Any bytes as a kernel file: what is accepted is loaded into a VM without a write outside its RAM,
 * without a read outside the file, and with no two pieces on the same page. The first two bytes
 * choose memory and initrd.
 */
#include <string.h>

#include "hv/kernel/linux_boot.h"
#include "tests/fuzz/pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u8 acpi[700], initrd[100000];
	struct linux_boot_input input;
	struct linux_boot_plan plan;
	char why[200] = "";
	err_t err;

	if (size < 2)
		return 0;
	memory_bytes = MIB(1) + MIB(16) * data[0];
	input = (struct linux_boot_input){
		.kernel = data + 2,
		.kernel_bytes = size - 2,
		.initrd = data[1] ? initrd : NULL,
		.initrd_bytes = data[1] * sizeof(initrd) / 255,
		.cmdline = "console=ttyS0",
		.acpi = acpi,
		.acpi_bytes = sizeof(acpi),
		.acpi_gpa = 0xe0000,
		.memory_bytes = memory_bytes,
	};
	err = linux_boot_plan(&input, &plan, why, sizeof(why));
	require((err == 0) == (why[0] == '\0'));
	if (err)
		return 0;
	require(plan.kernel_end <= memory_bytes && plan.e820_count <= E820_ENTRIES_MAX);
	piece_count = 0;
	require(linux_boot_load(&input, &plan, write_piece, NULL) == 0);
	return 0;
}
