/*
 * The Linux/x86 64-bit boot protocol (Documentation/x86/boot.rst): check a bzImage, plan where it
 * and all that goes with it lie in the guest's RAM, and hand out the pieces and the registers to
 * start with. Pure: it touches no guest memory itself. Everything in a kernel file is hostile until
 * checked.
 *
 *   0x006000 GDT        0x007000 boot_params    0x008000 page tables (identity, first 4 GiB)
 *   0x020000 command line                        0x0e0000 ACPI tables
 *   pref_address .. + init_size kernel           initrd as high as it may lie
 */
#ifndef HV_KERNEL_LINUX_BOOT_H
#define HV_KERNEL_LINUX_BOOT_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "hv/kernel/boot_write.h"
#include "hv/kernel/e820.h"
#include "hv/x86/virt.h"

struct linux_boot_input {
	const void *kernel; /* the bzImage file */
	size_t kernel_bytes;
	const void *initrd; /* NULL if none */
	size_t initrd_bytes;
	const char *cmdline;
	const void *acpi; /* vdev_acpi_build()'s tables, made for acpi_gpa; RSDP first */
	size_t acpi_bytes;
	u64 acpi_gpa;
	u64 memory_bytes;
};

struct linux_boot_plan {
	size_t setup_header_bytes;               /* of the header at 1F1H that is copied */
	size_t kernel_file_offset, kernel_bytes; /* protected-mode part */
	u64 kernel_gpa, kernel_end; /* end of the area it needs to unpack itself (init_size) */
	u64 entry;
	u64 initrd_gpa;
	size_t cmdline_bytes; /* without the NUL */
	u32 e820_count;
	struct e820_entry e820[E820_ENTRIES_MAX];
};

/*
 * Check everything and decide where it goes. Returns 0; E_INVAL (not such a kernel) or E_RANGE
 * (something does not fit) with one sentence in @why that names the numbers.
 */
must_check err_t linux_boot_plan(const struct linux_boot_input *input, struct linux_boot_plan *out,
	char *why, size_t why_bytes);

/*
 * Hand out every piece, in ascending guest-physical order of no importance. @write copies into the
 * guest; the first error it returns ends the call and is returned.
 */
must_check err_t linux_boot_load(const struct linux_boot_input *input,
	const struct linux_boot_plan *plan, boot_write_fn write, void *context);

/* The state of the boot processor at the kernel's 64-bit entry point. */
void linux_boot_registers(const struct linux_boot_plan *plan, struct virt_sregs *sregs,
	u64 gpr[GPR_COUNT], u64 *rip, u64 *rflags);

#endif
