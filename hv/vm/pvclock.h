/*
 * The paravirtual clock: the guest's TSC counts evenly from the VM's power-on, so one record,
 * written when the guest names its place, stays true; it is written again only when the guest sets
 * its TSC.
 */
#ifndef HV_VM_PVCLOCK_H
#define HV_VM_PVCLOCK_H

#include "mm/base/err.h"
#include "hv/vm/vcpu.h"

bool pvclock_is_msr(u32 index);

/* E_INVAL: the value deserves #GP; E_WAIT, E_NOMEM, E_CORRUPT: as guest_mem, nothing changed. */
must_check err_t pvclock_msr_write(struct vcpu *vcpu, u32 index, u64 value);
u64 pvclock_msr_read(const struct vcpu *vcpu, u32 index);

/* The vCPU's TSC was moved: write its record again. Errors as above. */
must_check err_t pvclock_update(struct vcpu *vcpu);

/* mul and shift so that ns = ((ticks << shift) * mul) >> 32. Pure. */
void pvclock_scale(u64 tsc_khz, u32 *mul, s8 *shift);

#endif
