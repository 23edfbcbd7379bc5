/*
 * Which partition is which VM's disk. A VM names a partition of Bellows' type for VM disks; it is
 * that VM's alone from power-on until the last of its requests has come back from the disk, which
 * may be after its end.
 */
#ifndef HV_VM_VM_DISK_H
#define HV_VM_VM_DISK_H

#include "hv/disk/disks.h"
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

/* Go on with the requests of all VMs. Any CPU, after it took completions; the boot CPU often, also
 * for what waits for something else. Locks: takes VMs'. */
void vm_disks_work(void);
/* Those of VMs that ended go when the last request has come back. Boot CPU, now and then. */
void vm_disks_drop_ended(void);
/* May the disk be waiting for a page of its guest that has just come? Any CPU. */
bool vm_disk_waits(const struct vm *vm);
/* Is there more, that no interrupt will tell of: do not halt? Of any VM; of one. Any CPU. */
bool vm_disks_are_urgent(void);
bool vm_disk_is_urgent(const struct vm *vm);

/* Console: whose disk that partition is, and how it fares; nothing where it is no VM's. */
void vm_disk_print(const struct disk_partition *partition);

#endif
