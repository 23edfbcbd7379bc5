/*
 * Which partition is which VM's disk. A VM names a partition of Bellows' type for VM disks; it is
 * that VM's alone from power-on until the last of its requests has come back from the disk, which
 * may be after its end.
 */
#ifndef HV_VM_DISK_H
#define HV_VM_DISK_H

#include "hv/disks.h"
#include "mm/base/err.h"

struct vm;

/* Frames that the VM's disk takes, 0 where it has none. */
u64 vm_disk_frames(const struct vm *vm);

/*
 * At power-on, before there is memory: find the partition that the configuration names, and make
 * vm->disk, which stays NULL where it names none. Errors: with @why, and nothing changed.
 */
must_check err_t vm_disk_find(struct vm *vm, char *why, size_t why_bytes);
/* It has memory and devices now. */
void vm_disk_open(struct vm *vm);
/* It will be reset: before its memory is cleared. */
void vm_disk_reset(struct vm *vm);
/* It has ended, or does not start: before its memory and devices go. */
void vm_disk_close(struct vm *vm);

/* Go on with the requests of all VMs. Often: the scheduler's loop. */
void vm_disks_work(void);
/* Is there more, that no interrupt will tell of: do not halt? Of any VM; of one that is on. */
bool vm_disks_are_urgent(void);
bool vm_disk_is_urgent(const struct vm *vm);

/* Console: whose disk that partition is, and how it fares; nothing where it is no VM's. */
void vm_disk_print(const struct disk_partition *partition);

#endif
