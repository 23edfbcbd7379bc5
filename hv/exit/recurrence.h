/*
 * Exceptions that raise themselves. A guest can arrange that the delivery of #AC or #DB causes the
 * same exception again, for ever (an unaligned stack, a breakpoint on the stack): a bare CPU would
 * hang in that, which is why both exit (CVE-2015-5307, CVE-2015-8104). Under the hypervisor such a
 * vCPU goes on exiting, with no instruction executed in between, so nothing but RIP, general
 * registers and vector needs to be compared to recognise it. Pure; tested on Linux.
 */
#ifndef HV_EXIT_RECURRENCE_H
#define HV_EXIT_RECURRENCE_H

#include "mm/base/types.h"
#include "hv/x86/virt.h"

#define RECURRENCE_MAX 10000u

struct recurrence {
	u32 count; /* exits in a row that found the same; 0: none yet */
	u8 vector;
	u64 rip;
	u64 gpr[GPR_COUNT]; /* RSP too */
};

/* Another such exit, of this vector. Returns whether it was RECURRENCE_MAX times the same. */
bool recurrence_note(struct recurrence *r, const struct virt_vcpu *virt, u8 vector);

/* Something else happened: the guest moves. */
static inline void recurrence_end(struct recurrence *r)
{
	r->count = 0;
}

#endif
