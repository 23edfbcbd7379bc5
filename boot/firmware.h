/*
 * The loader's hold on the firmware: its tables, its screen, its memory. Everything here is gone
 * once firmware_leave() has succeeded.
 */
#ifndef BOOT_FIRMWARE_H
#define BOOT_FIRMWARE_H

#include <efi.h>

#include "boot/bootmap.h"
#include "mm/base/types.h"

extern EFI_HANDLE firmware_image;
extern EFI_SYSTEM_TABLE *firmware_table;
extern EFI_BOOT_SERVICES *firmware_services;

/* Keep the entry's arguments and stop the firmware's watchdog. First call of all. */
void firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

/* Print a line on the firmware's console (screen, and serial where the firmware says so). */
void firmware_say(const char *fmt, ...) printf_like(1, 2);

/* Wait until a key is pressed, or so many seconds. */
void firmware_wait(u32 seconds);

/* A configuration table's address by its GUID, 0 if there is none. */
u64 firmware_config_table(const EFI_GUID *guid);

/* A protocol by its GUID, wherever it is; NULL if nobody offers it. */
void *firmware_protocol(const EFI_GUID *guid);

/**
 * Allocate zeroed pages for a purpose, kept until the hypervisor releases them.
 * @kind: BOOT_REGION_LOADER, _IMAGE, _FILES or _TRAMPOLINE. @align: a power of two, at least a
 * page.
 * @below: the memory ends at or before this address.
 * Returns the address, 0 if there is no such memory.
 */
u64 firmware_alloc(u64 bytes, u64 align, u64 below, u32 kind);

/* Give back what firmware_alloc() returned, whole. */
void firmware_free(u64 base);

/* Give back everything: the loader returns to the firmware. */
void firmware_free_all(void);

/**
 * The memory map as regions; valid until the next call of this or firmware_leave().
 * Returns 0 and the regions; E_NOMEM; E_IO (the firmware would not tell).
 */
must_check err_t firmware_regions(struct boot_region **regions, u32 *count);

/**
 * Leave the firmware for good; no other function here may be called after success.
 * @regions: the final memory map, in BOOT_REGION_LOADER memory.
 * Returns 0; E_NOMEM, E_IO (still there, but in a state where little more than returning works).
 */
must_check err_t firmware_leave(struct boot_region **regions, u32 *count);

#endif
