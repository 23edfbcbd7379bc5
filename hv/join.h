/* 2 MiB leaves put together again while memory is plentiful: DESIGN.md, Large pages. */
#ifndef HV_JOIN_H
#define HV_JOIN_H

#include "hv/vm.h"

/* @vm, which has its memory, was powered on or reset. */
void join_vm_began(struct vm *vm);

/* A slice of at most 100 us, for idle time. Returns whether there was work. Called by the
 * scheduler's loop. */
bool join_work(void);

#endif
