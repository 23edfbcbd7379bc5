/*
 * The hypercalls of KVM that guests with several vCPUs use (hv/abi/kvm.h): IPIs to many at once,
 * and the kick that ends another's HLT, by which Linux' spin locks sleep instead of spinning.
 */
#ifndef HV_EXIT_KVM_CALLS_H
#define HV_EXIT_KVM_CALLS_H

#include "hv/vm/vcpu.h"

/* Any number that is not one of ours. Returns the answer: KVM_E_NOSYS, KVM_E_PERM, KVM_E_INVAL, or
 * what the call gives. Never waits. Locks: takes the VM's. */
s64 kvm_call(struct vcpu *vcpu, u64 number);

#endif
