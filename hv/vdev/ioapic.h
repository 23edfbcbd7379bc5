/*
 * One IOAPIC of 24 pins, version 20H (with an EOI register). Global system interrupt = pin.
 * (82093AA data sheet; Intel ICH datasheets for the EOI register.) Locks: the VM's.
 */
#ifndef HV_VDEV_IOAPIC_H
#define HV_VDEV_IOAPIC_H

#include "mm/base/types.h"
#include "hv/vdev/lapic.h"

#define IOAPIC_PIN_COUNT 24u

struct ioapic {
	u32 select;
	u32 id;
	u32 lines; /* level of each pin now */
	u64 redirect[IOAPIC_PIN_COUNT];
};

void ioapic_reset(struct ioapic *io);
/* MMIO access at @offset of its page. */
void ioapic_mmio(
	struct ioapic *io, struct lapic_set *set, u32 offset, u32 bytes, bool write, u64 *value);
/* A device's line. Edge pins take rising edges; level pins interrupt again at EOI while high. */
void ioapic_set_line(struct ioapic *io, struct lapic_set *set, u32 pin, bool level);
/* Is a pin open that sends NMIs, INITs or SIPIs, which need no interrupt flag? */
bool ioapic_may_wake(const struct ioapic *io);
/* A local APIC ended a level-triggered vector. */
void ioapic_eoi(struct ioapic *io, struct lapic_set *set, u8 vector);

#endif
