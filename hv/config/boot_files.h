/*
 * The files that the loader read for us: configuration, kernels, initrds. They stay in memory,
 * because a VM that is reset or started again is loaded from them.
 */
#ifndef HV_CONFIG_BOOT_FILES_H
#define HV_CONFIG_BOOT_FILES_H

#include "mm/base/types.h"
#include "boot/boot_info.h"

/* @info: for ever the loader's. Boot CPU, once; all below is then for any CPU, without a lock. */
void boot_files_init(const struct boot_info *info);

/* The file of that name, as configured; NULL: the loader was not asked for it. Cost: O(files). */
const struct boot_file *boot_files_find(const char *name);

/* Its contents; NULL if it could not be loaded, with the reason in *why. */
const void *boot_files_data(const struct boot_file *file, const char **why);

#endif
