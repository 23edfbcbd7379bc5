/* Hypercalls: what a guest asks of the hypervisor in words (hv/abi/hypercall.h). Every number is
 * hostile. */
#ifndef HV_HYPERCALL_H
#define HV_HYPERCALL_H

#include "mm/base/err.h"
#include "hv/vcpu.h"

/* Answer in RAX; the caller steps over the instruction. Never waits. */
void hypercall_handle(struct vcpu *vcpu);

#endif
