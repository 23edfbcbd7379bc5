/* Putting a kernel into a VM's fresh memory, and its first vCPU at the entry point. */
#ifndef HV_VM_BOOT_H
#define HV_VM_BOOT_H

#include "mm/base/err.h"
#include "hv/vm.h"

/*
 * Load the configured kernel, initrd, command line and ACPI tables; set vCPU 0's registers.
 * Returns 0, or an error with one sentence in @why. Cost: copies the files.
 */
must_check err_t vm_boot(struct vm *vm, char *why, size_t why_bytes);

#endif
