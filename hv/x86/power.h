/*
 * Off and reset of the machine: ACPI (S5, reset register), else UEFI's ResetSystem, else what
 * emulators offer; never returns.
 */
#ifndef HV_X86_POWER_H
#define HV_X86_POWER_H

#include "mm/base/types.h"
#include "boot/boot_info.h"
#include "drivers/acpi.h"

/* Read the ACPI tables. Needs paging_init(); @info must live on. */
void power_init(const struct boot_info *info);
/* What they said; all zero where there are none. */
const struct acpi_info *power_acpi(void);
/* Called before the machine is switched off or reset, for output that is still under way. */
void power_set_last_call(void (*last_call)(void));

noreturn_fn void power_off(void);
noreturn_fn void power_reset(void);

#endif
