/* Which files the configuration names. Pure: runs on the host under test. */
#ifndef BOOT_BOOTCONF_H
#define BOOT_BOOTCONF_H

#include "boot/boot_info.h"
#include "mm/base/types.h"

#define BOOTCONF_PATH_BYTES (BOOT_FILE_NAME_BYTES + 16)

struct bootconf_file {
	char name[BOOT_FILE_NAME_BYTES]; /* as written */
	char path[BOOTCONF_PATH_BYTES];  /* from the partition's root, with backslashes */
};

struct bootconf_files {
	struct bootconf_file *files;
	u32 room;
	u32 count;
	u32 refused_count; /* names too long or not printable ASCII */
	u32 refused_line;  /* where the last of them stands */
	u32 dropped_count; /* names for which there was no room */
};

/**
 * List each file of kernel=, initrd= and modules= of the [vm ...] sections once, in the order of
 * the text. A name is from the partition's root if it starts with a slash or backslash, else from
 * \bellows. Cost: linear in the text, quadratic in the number of names.
 */
void bootconf_list(const char *text, size_t bytes, struct bootconf_files *out);

/* Do two paths name the same file? Case does not count on the ESP. */
bool bootconf_same_path(const char *a, const char *b);

#endif
