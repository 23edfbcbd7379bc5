/*
 * Putting a kernel into a VM's fresh memory, and its first vCPU at the entry point. Boot CPU, with
 * the lives lock held.
 */
#ifndef HV_VM_VM_BOOT_H
#define HV_VM_VM_BOOT_H

#include "mm/base/err.h"
#include "hv/vm/vm.h"

/*
 * Begin to load the configured kernel, initrd, command line and ACPI tables: everything is checked.
 * Nothing is copied yet. Returns 0, with vm->boot set; or with one sentence in @why and nothing
 * left behind: E_NOTFOUND (a file), E_INVAL (no kernel that can be started), E_RANGE (it does not
 * fit), E_LIMIT (too many or too long words or modules), E_NOMEM.
 */
must_check err_t vm_boot_begin(struct vm *vm, char *why, size_t why_bytes);

/*
 * Copy more of it, until about @until (host TSC). Returns E_WAIT if there is more; 0 if it is all
 * there, and vCPU 0's registers are set; or an error as above. Unless it is E_WAIT, vm->boot is
 * NULL again.
 */
must_check err_t vm_boot_some(struct vm *vm, u64 until, char *why, size_t why_bytes);

/* Forget a boot under way; harmless if none is. */
void vm_boot_drop(struct vm *vm);

#endif
