/*
 * What a VM is made of while it is on: its disk, its swap file, memsched's promise, its memory, its
 * devices, its vCPUs, and the kernel that is to be loaded. vm.c decides when: boot CPU, with the
 * lives lock held.
 */
#ifndef HV_VM_VM_PARTS_H
#define HV_VM_VM_PARTS_H

#include "hv/vm/vm.h"

/*
 * Take all of it for a VM that is off, and begin to load its kernel. Returns 0; or an error
 * (E_NOMEM: for want of memory) with the reason in vm->why and nothing left behind.
 */
must_check err_t vm_parts_take(struct vm *vm);

/*
 * Give back everything but the memory, its swap file and its promise, which vm_parts_free_some()
 * does. No vCPU of the VM runs.
 */
void vm_parts_release(struct vm *vm);

/* Go on with that for @for_ns. At the end vm->space is NULL. */
void vm_parts_free_some(struct vm *vm, u64 for_ns);

#endif
