/*
 * Swap on this host: the volumes, which are all partitions of that type, and each VM's file on one
 * of them.
 *
 * Where there is a volume, or the VM names one (sched.swap.dir), a VM is promised its reservation,
 * and has a swap file NAME.vswp for all the rest of its memory; if the file cannot be made, the VM
 * does not power on. Where there is none, a VM has no file and is promised all of its memory,
 * unless it states a reservation.
 */
#ifndef HV_VM_VM_SWAP_H
#define HV_VM_VM_SWAP_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct vm;

/* Begin to open all swap volumes. Boot CPU, once, after disks_init(). */
void vm_swap_open_volumes(void);

/*
 * Is each of them ready or refused? It takes no longer than the disks' driver gives three requests;
 * disks_turn() must be called meanwhile.
 */
bool vm_swap_is_settled(void);

/*
 * At power-on, before the VM is admitted: make vm->swap, which stays NULL where it needs none.
 * Errors: with @why; nothing is left behind.
 */
must_check err_t vm_swap_create(struct vm *vm, char *why, size_t why_bytes);

/*
 * Is there no room for its file yet, but when the disk has done what is under way for files of VMs
 * that have ended? Then @why says so.
 */
bool vm_swap_must_wait(const struct vm *vm, char *why, size_t why_bytes);

/* Do files of VMs that have ended hold frames until the disk has done that? Then @why says so. */
bool vm_swap_has_frames_of_ended(char *why, size_t why_bytes);

/* Warn where it is promised less than all of its memory, and has no file for the rest. */
void vm_swap_warn(const struct vm *vm);

/* Frames that vm->swap takes. */
u64 vm_swap_frames(const struct vm *vm);

/* Console: swap. */
void command_swap(u32 count, char **words);

#endif
