/* SRCS: boot/bootelf.c mm/base/err.c */
/*
 * Any file as bellows.elf: what the check lets pass can be placed without a byte read outside the
 * file or written outside the image.
 */
#include <stdlib.h>

#include "boot/boot_info.h"
#include "boot/bootelf.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct bootelf elf;
	u8 *image;

	if (bootelf_check(data, bytes, &elf))
		return 0;
	if (elf.image_bytes > BOOTELF_IMAGE_MAX_BYTES || elf.entry < BOOT_IMAGE_VA ||
		elf.entry - BOOT_IMAGE_VA >= elf.image_bytes)
		abort();
	if (elf.image_bytes > MIB(8))
		return 0; /* right, and slow */
	image = malloc(elf.image_bytes);
	bootelf_place(data, image, elf.image_bytes);
	free(image);
	return 0;
}
