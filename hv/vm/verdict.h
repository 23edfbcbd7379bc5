/* The last word of a run: a line for each VM, and BELLOWS VERDICT, by which test runners judge. */
#ifndef HV_VM_VERDICT_H
#define HV_VM_VERDICT_H

#include "hv/vm/vm.h"

/* One word. */
const char *verdict_name(enum vm_verdict verdict);

/*
 * Print the summary of all VMs in @vms (list of struct vm by .all) and the verdict: ok only if
 * every VM that was to start reported ok and powered itself off, and @clean (nothing was wrong with
 * the configuration). Boot CPU; locks: the lives lock.
 */
void verdict_print(const struct list *vms, bool clean);

#endif
