/*
 * An ELF file as a kernel: which protocol it is started by, what of it is loaded where, and the
 * entry point. 32-bit and 64-bit x86 files; what marks one as a kernel is the PVH note (Xen public
 * headers, elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY) or, in a 32-bit file, a Multiboot 1 header
 * (Multiboot Specification version 0.6.96, "The layout of Multiboot header") in its first 8 KiB.
 * Pure. Everything in the file is hostile until checked, and everything is checked here: what is
 * handed out lies inside the file and above the first MiB.
 */
#ifndef HV_KERNEL_ELF_KERNEL_H
#define HV_KERNEL_ELF_KERNEL_H

#include "mm/base/err.h"
#include "mm/base/types.h"

enum elf_protocol { ELF_PVH, ELF_MULTIBOOT };

#define ELF_SEGMENTS_MAX 16

struct elf_segment {
	u64 gpa, memory_bytes;     /* where it lies; what the file does not give is zero */
	size_t offset, file_bytes; /* in the file */
};

struct elf_kernel {
	enum elf_protocol protocol;
	u32 entry;
	u32 segment_count;
	struct elf_segment segments[ELF_SEGMENTS_MAX];
	u64 end; /* above all segments */
};

/* Does the file begin as ELF files do? (Else it can only be a bzImage.) */
bool elf_kernel_is_elf(const void *file, size_t bytes);

/*
 * Read the file. Returns 0; E_INVAL with one sentence in @why: it is damaged, for another machine,
 * no kernel, or a kernel that wants something that is not to be had here.
 */
must_check err_t elf_kernel_read(
	const void *file, size_t bytes, struct elf_kernel *out, char *why, size_t why_bytes);

#endif
