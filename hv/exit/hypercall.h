/* What a guest asks of the hypervisor (hv/abi/hypercall.h). Every number is hostile. */
#ifndef HV_EXIT_HYPERCALL_H
#define HV_EXIT_HYPERCALL_H

#include "mm/base/err.h"
#include "hv/vm/vcpu.h"

/* Of the loaded vCPU; the answer is in RAX, and the caller steps over the instruction. Never waits.
 * Locks: takes the VM's and its space's. */
void hypercall_handle(struct vcpu *vcpu);

#endif
