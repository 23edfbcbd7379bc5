/*
 * What an exit asks for, and the answer: a flat switch on the vendor-neutral kind. Anything that
 * may wait is restartable: the instruction is stepped over only when all of its effect has been
 * achieved.
 */
#ifndef HV_EXIT_EXIT_H
#define HV_EXIT_EXIT_H

#include "hv/vm/vcpu.h"

/*
 * Answer one exit of the vCPU that this CPU has loaded. Locks: none may be held; what is asked of
 * the VM's devices takes the VM's. Never waits. Returns whether it can go on; else its state tells
 * why not (halted, parked), or its VM has a request (vm_is_ending()).
 */
bool exit_handle(struct vcpu *vcpu, const struct vm_exit *exit);

/*
 * An access to guest memory on the vCPU's behalf failed with @err. Waiting parks it, at the same
 * instruction; the guest's own fault is queued already; a VM that cannot go on is broken. Returns
 * as exit_handle().
 */
bool exit_not_done(struct vcpu *vcpu, err_t err);

const char *exit_kind_name(enum vm_exit_kind kind);

#endif
