/*
 * Starting an ELF kernel, by PVH (Xen public headers, arch-x86/hvm/start_info.h; "PVH boot ABI") or
 * by Multiboot 1 (Multiboot Specification version 0.6.96): both enter at a 32-bit address in
 * protected mode without paging, with EBX pointing to a block that tells of memory, modules and the
 * command line. Pure, as linux_boot is: it plans, and hands out the pieces.
 *
 *   0x006000 info block   0x007000 module list   0x008000 memory map
 *   0x020000 command line 0x030000 modules' own words, 0x0e0000 ACPI tables
 *   kernel where its file says; modules one after the other, up to the end of RAM below 4 GiB
 */
#ifndef HV_KERNEL_ELF_BOOT_H
#define HV_KERNEL_ELF_BOOT_H

#include "hv/kernel/boot_write.h"
#include "hv/kernel/e820.h"
#include "hv/kernel/elf_kernel.h"
#include "hv/x86/virt.h"

#define ELF_BOOT_MODULES_MAX 16
#define ELF_BOOT_WORDS_BYTES 256 /* of one module, with the NUL */

struct elf_boot_module {
	const void *data;
	size_t bytes;
	const char *words; /* its command line; not NULL */
};

struct elf_boot_input {
	const void *kernel; /* the ELF file */
	size_t kernel_bytes;
	const struct elf_boot_module *modules;
	u32 module_count;
	const char *cmdline;
	const void *acpi; /* as in linux_boot_input */
	size_t acpi_bytes;
	u64 acpi_gpa;
	u64 memory_bytes;
};

struct elf_boot_plan {
	struct elf_kernel kernel;
	size_t cmdline_bytes; /* without the NUL */
	u64 module_gpa[ELF_BOOT_MODULES_MAX];
	u32 e820_count;
	struct e820_entry e820[E820_ENTRIES_MAX];
};

/*
 * Check everything and decide where it goes. Returns 0; E_INVAL (no such kernel) or E_RANGE
 * (something does not fit) with one sentence in @why that names the numbers.
 */
must_check err_t elf_boot_plan(
	const struct elf_boot_input *input, struct elf_boot_plan *out, char *why, size_t why_bytes);

/* Hand out every piece; @write copies into the guest, whose memory is zero before. Its first error
 * ends the call. */
must_check err_t elf_boot_load(const struct elf_boot_input *input, const struct elf_boot_plan *plan,
	boot_write_fn write, void *context);

/* The state of the boot processor at the entry point. */
void elf_boot_registers(const struct elf_boot_plan *plan, struct virt_sregs *sregs,
	u64 gpr[GPR_COUNT], u64 *rip, u64 *rflags);

#endif
