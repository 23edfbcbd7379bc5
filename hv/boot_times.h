/*
 * How long the way to the first guest took, phase by phase: time stamps (TSC) while it goes on,
 * words at its end, when the TSC's frequency is known. The TSC starts at zero with the power, so
 * its value at the loader's start is the firmware's time (or the time since the last power-on,
 * where a warm reset does not clear it).
 */
#ifndef HV_BOOT_TIMES_H
#define HV_BOOT_TIMES_H

#include "mm/base/types.h"
#include "boot/boot_info.h"

/* The hypervisor was entered at TSC value @entry. */
void boot_times_init(const struct boot_times *loader, u64 entry);

/* The phase of that name, a constant string, ends here. At most 16; boot CPU. */
void boot_times_mark(const char *phase);

/* The hypervisor is up: say what it took so far. */
void boot_times_report(void);

/* A guest is about to run. The first call says how long that took from power-on. */
void boot_times_guest_entry(void);

#endif
