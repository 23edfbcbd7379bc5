/* Checking and placing bellows.elf. Pure: runs on the host under test. */
#ifndef BOOT_BOOTELF_H
#define BOOT_BOOTELF_H

#include "mm/base/err.h"
#include "mm/base/types.h"

/* The image's window: one page directory's worth from BOOT_IMAGE_VA on. */
#define BOOTELF_IMAGE_MAX_BYTES GIB(1)

struct bootelf {
	u64 entry;       /* virtual */
	u64 image_bytes; /* from BOOT_IMAGE_VA to the end of the last segment, whole pages */
};

/**
 * Check that a file is a hypervisor image that can be placed: ELF64 x86-64 EXEC, every segment
 * inside the file and inside the image's window, none overlapping another, the entry in an
 * executable one. Returns NULL and fills @out; else what is wrong, in a few words for the screen.
 */
must_check const char *bootelf_check(const void *file, size_t bytes, struct bootelf *out);

/**
 * Copy the segments of a file that bootelf_check() found good.
 * @image: where BOOT_IMAGE_VA will be mapped to, out->image_bytes long; all of it is written.
 */
void bootelf_place(const void *file, void *image, u64 image_bytes);

#endif
