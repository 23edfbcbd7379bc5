/* Boot files: found by name, with the firmware's reason where one is missing. */
#include "hv/config/boot_files.h"
#include "hv/x86/paging.h"
#include "mm/base/str.h"

/* UEFI specification, "Status Codes": errors have the top bit set. */
#define EFI_ERROR_BIT BIT(63)

static const struct boot_info *boot;

void boot_files_init(const struct boot_info *info)
{
	boot = info;
}

const struct boot_file *boot_files_find(const char *name)
{
	const struct boot_file *files = paging_window(boot->files);

	for (u32 i = 0; i < boot->file_count; i++) {
		if (strncmp(files[i].name, name, BOOT_FILE_NAME_BYTES) == 0)
			return &files[i];
	}
	return NULL;
}

static const char *status_text(u64 status)
{
	switch (status & ~EFI_ERROR_BIT) {
	case 7:
		return "device error";
	case 9:
		return "out of memory";
	case 10:
		return "volume corrupted";
	case 14:
		return "no such file";
	case 15:
		return "access denied";
	default:
		return "the firmware could not read it";
	}
}

const void *boot_files_data(const struct boot_file *file, const char **why)
{
	if (file->base == 0) {
		*why = status_text(file->efi_status);
		return NULL;
	}
	return paging_window(file->base);
}
