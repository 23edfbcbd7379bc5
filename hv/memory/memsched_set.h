/*
 * Values of the memory scheduler that are changed while the host runs: as settings.c wants it, when
 * the configuration has the new one. @vm: whose it is, NULL: the host's. An error, with one
 * sentence in @why: nothing was done, and settings.c puts the old value back. Locks: the lives
 * lock.
 */
#ifndef HV_MEMORY_MEMSCHED_SET_H
#define HV_MEMORY_MEMSCHED_SET_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct vm;

/* Whatever the next decision reads by itself. */
must_check err_t memsched_set_any(struct vm *vm, char *why, size_t why_bytes);
/* minFree and the levels of the states. */
must_check err_t memsched_set_states(struct vm *vm, char *why, size_t why_bytes);
/* E_LIMIT: the host cannot promise it, or the VM's swap file is too small for what would not be. */
must_check err_t memsched_set_reservation(struct vm *vm, char *why, size_t why_bytes);

#endif
