/* SRCS: hv/kernel/elf_boot.c hv/kernel/elf_kernel.c hv/kernel/e820.c mm/base/fmt.c */
/*
 * Any bytes as an ELF kernel: what is accepted is loaded into a VM without a write outside its RAM,
 * without a read outside the file, with no two pieces on the same bytes, and is entered where it
 * was loaded. The first two bytes choose memory and modules.
 */
#include <string.h>

#include "hv/kernel/elf_boot.h"
#include "tests/fuzz/pieces.h"

static void check_entry(const struct elf_boot_plan *plan)
{
	struct virt_sregs sregs;
	u64 gpr[GPR_COUNT], rip, rflags;
	bool inside = false;

	elf_boot_registers(plan, &sregs, gpr, &rip, &rflags);
	for (u32 i = 0; i < plan->kernel.segment_count; i++) {
		const struct elf_segment *s = &plan->kernel.segments[i];

		require(s->gpa >= MIB(1) && s->gpa + s->memory_bytes <= plan->kernel.end);
		inside |= rip >= s->gpa && rip < s->gpa + s->memory_bytes;
	}
	require(inside && plan->kernel.end <= memory_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u8 acpi[700], module[60000];
	struct elf_boot_module modules[3];
	struct elf_boot_input input;
	struct elf_boot_plan plan;
	char why[300] = "";

	if (size < 2)
		return 0;
	memory_bytes = MIB(1) + MIB(16) * data[0];
	for (u32 i = 0; i < 3; i++)
		modules[i] = (struct elf_boot_module){module, (size_t)data[1] * 100 * i, "words"};
	input = (struct elf_boot_input){
		.kernel = data + 2,
		.kernel_bytes = size - 2,
		.modules = modules,
		.module_count = data[1] % 4,
		.cmdline = "console=ttyS0",
		.acpi = acpi,
		.acpi_bytes = sizeof(acpi),
		.acpi_gpa = 0xe0000,
		.memory_bytes = memory_bytes,
	};
	piece_count = 0;
	if (elf_boot_plan(&input, &plan, why, sizeof(why)) != 0) {
		require(why[0] != '\0');
		return 0;
	}
	require(elf_boot_load(&input, &plan, write_piece, NULL) == 0);
	check_entry(&plan);
	return 0;
}
