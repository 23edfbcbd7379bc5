/*
 * HLT: what ends it, and VMs that have halted for good. A vCPU that halts with interrupts off is
 * woken by an NMI that is not blocked, an INIT, or a kick (KVM_HC_KICK_CPU). Where every vCPU has
 * halted so, or is off and waits for a SIPI, none is left to send any of these; nor is a device,
 * but through an IOAPIC entry that says so. Such a VM is stopped, with that reason, and not left on
 * looking as if it idled.
 *
 * Locks: the VM's, held by the caller, guards all of this: .is_stuck, .nmi_pending, and what local
 * APICs have received. .nmi_blocked is written without it, by the vCPU that halts: others read it
 * only once .is_stuck was set under the lock, after that.
 */
#ifndef HV_VM_VCPU_HALT_H
#define HV_VM_VCPU_HALT_H

#include "mm/base/types.h"

struct vm;
struct vcpu;

/* Is there something that ends the HLT of this vCPU, though it had interrupts off? */
bool vcpu_halt_is_over(struct vcpu *vcpu);

/* A vCPU has halted with interrupts off (.is_stuck), or is off: was it the last? Then the VM is to
 * be stopped. Cost: O(vCPUs). */
void vcpu_halt_look(struct vm *vm);

#endif
