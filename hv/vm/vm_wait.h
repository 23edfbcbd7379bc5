/*
 * Starts that wait. A VM that has ended leaves behind what is let go of by and by: its memory,
 * which is freed in slices (vm_release_some()), and its swap file, whose slots are another's only
 * when the disk has given back the last command for them. A VM that could not be started for want
 * of that waits: .start_wanted, with the reason in .waits_for, until vm_lives.c finds that it must
 * wait no longer, or its start is called off. How long is bounded, for a disk's driver bounds each
 * command: then the room is there, or the disk is dead, which is an error of the start's.
 *
 * Such a file also holds frames until then: its words (8 bytes a page), and the pages under way.
 * Most starts have enough without these; one that lacks them waits for them, and for those of files
 * that VMs leave behind meanwhile.
 *
 * Boot CPU only.
 */
#ifndef HV_VM_VM_WAIT_H
#define HV_VM_VM_WAIT_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct vm;

/*
 * Must a VM that is off wait before it can start? Then vm->waits_for says for what. May be called
 * at each turn of the loop. Cost: O(VMs), and swap_directory_ask()'s, at most once in 10 ms for a
 * VM that waits already.
 */
bool vm_wait_must(struct vm *vm);

/*
 * It did not have to wait, was tried, and that returned @err: must it wait now? For want of memory
 * (E_NOMEM) alone, where some has been coming since before; so it fails when none comes any more.
 */
bool vm_wait_again(const struct vm *vm, err_t err);

/* A VM that waits shall not start. Its last run's .why stays; if it never ran, .why says so. */
void vm_wait_call_off(struct vm *vm);

#endif
