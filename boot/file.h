/* Files of the partition that the loader was started from. */
#ifndef BOOT_FILE_H
#define BOOT_FILE_H

#include <efi.h>

#include "boot/boot_info.h"
#include "mm/base/types.h"

/* Open the partition. Returns EFI_SUCCESS or why it cannot be read. */
must_check EFI_STATUS file_open_partition(void);

/**
 * Read a whole file into memory of kind BOOT_REGION_FILES and say so on the screen.
 * @path: from the root, with backslashes, ASCII. @file: base, bytes and efi_status are set; the
 * name is the caller's business. An empty file is an error (EFI_END_OF_FILE).
 */
void file_load(const char *path, struct boot_file *file);

/* An EFI_STATUS in a few words. */
const char *file_status_name(u64 status);

#endif
