/*
 * Every usual way for a guest to switch itself off or start over: ACPI sleep and reset registers of
 * our own, what old emulators have at 604H, the PCI reset port, the keyboard controller's, system
 * port A. And the ACPI PM timer, so that a guest that does not know the paravirtual clock finds
 * something to measure its TSC against. (ACPI specification, Sleep Control and Status Registers;
 * FADT, Reset Register; Power Management Timer.)
 */
#ifndef HV_VDEV_PM_H
#define HV_VDEV_PM_H

#include "mm/base/types.h"
#include "hv/vdev/vdev.h"

#define PM_SLEEP_CONTROL VDEV_PM_BASE
#define PM_SLEEP_STATUS  (VDEV_PM_BASE + 1)
#define PM_RESET         (VDEV_PM_BASE + 2) /* the FADT's reset register; takes PM_RESET_VALUE */
#define PM_COMPAT                                                                                  \
	(VDEV_PM_BASE + 4) /* PM1a control of QEMU's Q35, written blindly by small kernels */
#define PM_TIMER         (VDEV_PM_BASE + 8) /* 32 bits */
#define PM_RESET_VALUE   0x06u
#define PM_SLEEP_TYPE_S5 5u

enum pm_answer { PM_NOT_MINE, PM_DONE, PM_POWER_OFF, PM_RESET_ALL };

struct pm {
	u8 port_92, port_cf9;
};

void pm_reset(struct pm *pm);
enum pm_answer pm_read(struct pm *pm, u64 now_ns, u16 port, u32 bytes, u32 *value);
enum pm_answer pm_write(struct pm *pm, u16 port, u32 bytes, u32 value);

#endif
