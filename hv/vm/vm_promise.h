/*
 * What a VM is promised of the host's memory, from power-on to its end: mm/space/promise.h for a
 * VM. Starts and ends change it on the boot CPU, its guest's hypercalls on any.
 *
 * Locks: all but the first take the one that memsched's record of promises has, rank PROMISES.
 */
#ifndef HV_VM_VM_PROMISE_H
#define HV_VM_VM_PROMISE_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct vm;

/* What it is promised when it is powered on, with vm->swap or without. */
u64 vm_promise_first_bytes(const struct vm *vm);

/*
 * Admit it to the host, with so many frames that the hypervisor needs for it besides, and has so
 * many of already. Returns 0; or as memsched_power_on(), with the reason in vm->why.
 */
must_check err_t vm_promise_begin(struct vm *vm, u64 overhead_frames, u64 held_frames);

/* It is promised nothing any more, and has nothing. */
void vm_promise_end(struct vm *vm);

/* promise_move() and promise_most() for a VM that is on. */
u64 vm_promise_move(struct vm *vm, u64 pages);
u64 vm_promise_most(const struct vm *vm);

#endif
