/*
 * Which pages are looked at for sharing, in slices of 100 us from the scheduler's loops. A VM that
 * has just started is scanned eagerly, for guests are most alike then; later within the rates of
 * the configuration. Locks of all: the lives lock.
 */
#ifndef HV_MEMORY_SHARE_H
#define HV_MEMORY_SHARE_H

#include "hv/vm/vm.h"

/* Number the salts, and log whether pages can be shared at all. Once, before any VM is started. */
void share_start(void);

/* The salt of @vm for mm, as the configuration is now. */
u32 share_salt_of(const struct vm *vm);

/*
 * Something of what decides who shares with whom has changed: VMs that share with others now are
 * unshared in slices, from now on. As settings.c wants it (hv/memory/memsched_set.h); @vm does not
 * matter. E_BUSY: share_salts_update()'s, with @why.
 */
must_check err_t share_salts_changed(struct vm *vm, char *why, size_t why_bytes);

/* What is to be known of a running VM's sharing: a few words, or none. */
const char *share_note(const struct vm *vm);

/* @vm's memory begins, at power-on or reset. */
void share_vm_began(struct vm *vm);

/* A slice of work, or several for a command, if any is due; whether there was. */
bool share_slice(void);

/* share; share scan now NAME|all; share audit */
void command_share(u32 count, char **words);

#endif
