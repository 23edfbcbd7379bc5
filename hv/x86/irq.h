/*
 * Host interrupts: the local APIC, its vectors, and the two windows in which they are open
 * (DESIGN.md, Five rules, 2). Handlers set a pending bit and end the interrupt; the work is done in
 * root mode.
 */
#ifndef HV_X86_IRQ_H
#define HV_X86_IRQ_H

#include "mm/base/types.h"
#include "mm/base/err.h"

enum {
	VECTOR_TIMER = 0xf0,
	VECTOR_KICK = 0xf1,
	VECTOR_FLUSH = 0xf2,
	VECTOR_DEVICE_FIRST = 0x30, /* handed out by irq_alloc_vector() from here */
	VECTOR_SPURIOUS = 0xff,
};

/* Mask the 8259s, enable this CPU's local APIC (x2APIC where firmware left it or ids need it). */
void irq_init_cpu(void);

/* Deal with an interrupt that a VM exit acknowledged (VT-x): as if it came through the IDT. */
void irq_dispatch(u8 vector);

/* Open interrupts for a moment so that a pending one is taken (SVM after an INTR exit). */
void irq_window(void);

/* A device's vector; @handler runs with interrupts off, must be short. */
must_check err_t irq_alloc_vector(void (*handler)(void *context), void *context, u8 *vector);

/* To look what there is to do: out of the guest or HLT, and to the end of the vCPU's slice. */
void irq_send_kick(u32 cpu_id);
/* Out of the guest and in again: what must be flushed is seen on the way in (mm/space/tlb.c). */
void irq_send_flush(u32 cpu_id);
void irq_send_ipi(u32 apic_id, u32 icr_low);
void irq_broadcast_nmi_to_others(void);

#endif
