/*
 * When pages are looked at for sharing: slices of 100 us, in idle time as many as there is work
 * for, and one now and then where the CPU is never idle. A VM that has just started is scanned
 * eagerly, for guests are most alike then; later within the rates of the configuration. All on the
 * boot CPU, from the scheduler's loop.
 */
#ifndef HV_SHARE_H
#define HV_SHARE_H

#include "hv/vm.h"

/* Log whether pages can be shared. Once. */
void share_report(void);

/* @vm's memory begins, at power-on or reset. */
void share_vm_began(struct vm *vm);

/* Some work, if any is due; whether there was. @idle: nothing else wants this CPU. */
bool share_work(bool idle);

/* share; share scan now NAME|all; share audit */
void command_share(u32 count, char **words);

#endif
