/* What lapic.c (registers), lapic_bus.c (messages) and lapic_timer.c share among themselves. */
#ifndef HV_VDEV_LAPIC_PRIVATE_H
#define HV_VDEV_LAPIC_PRIVATE_H

#include "hv/vdev/lapic.h"

#define SVR_ENABLE           BIT(8)
#define LVT_MASKED           0x10000u
#define LVT_DELIVERY_STATUS  0x1000u
#define LVT_REMOTE_IRR       0x4000u
#define LVT_TIMER_MODE       0x60000u
#define LVT_TIMER_PERIODIC   0x20000u
#define LVT_TIMER_DEADLINE   0x40000u
#define ICR_DELIVERY_STATUS  BIT(12) /* xAPIC only */
#define ICR_TO_SELF          BIT(18)
#define ICR_X2APIC_RESERVED  (BITS(31, 20) | BITS(17, 16) | BITS(13, 12))
#define ESR_SEND_ILLEGAL     BIT(5)
#define ESR_RECEIVE_ILLEGAL  BIT(6)
#define ESR_ILLEGAL_REGISTER BIT(7)

bool lapic_is_enabled(const struct lapic *l);
bool lapic_is_software_enabled(const struct lapic *l);
u32 lapic_ppr(const struct lapic *l);

/* Request @vector; dropped while the APIC is off. Kicks the vCPU. */
void lapic_raise(struct lapic_set *set, u32 index, u8 vector, bool level);
void lapic_lvt_fire(struct lapic_set *set, u32 index, enum lapic_lvt which);
void lapic_error(struct lapic_set *set, u32 index, u32 bit);

/* Send what @icr says, a value for that register. */
void lapic_send(struct lapic_set *set, u32 index, u64 icr);

void lapic_timer_start(struct lapic_set *set, u32 index, u32 initial, enum lapic_clock clock);
void lapic_timer_divide(struct lapic_set *set, u32 index, u32 divide);
void lapic_timer_mode_changed(struct lapic_set *set, u32 index, u32 before);
u32 lapic_timer_current(const struct lapic_set *set, u32 index);
u64 lapic_deadline(const struct lapic_set *set, u32 index);
void lapic_deadline_set(struct lapic_set *set, u32 index, u64 tsc);

#endif
