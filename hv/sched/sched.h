/*
 * Who runs: each CPU's vCPUs (run_queue.h), round robin, slices of 10 ms. Each hands back what
 * disks have done for it. The boot CPU's loop also keeps the VMs' life cycle (vm_lives.h), the
 * console, and the disks' controllers; nothing else changes whether a VM exists. Work on memory in
 * the background is whichever CPU's that comes by or is idle.
 */
#ifndef HV_SCHED_SCHED_H
#define HV_SCHED_SCHED_H

#include "mm/base/types.h"
#include "boot/boot_info.h"
#include "hv/config/config.h"
#include "hv/vm/vm.h"

#define SCHED_SLICE_NS   10000000ull
#define SCHED_CONSOLE_NS 20000000ull /* how often the console is looked at when nothing runs */

/* Read the configuration, start the VMs, and run for ever. Boot CPU. */
noreturn_fn void sched_run(const struct boot_info *info);

/* Valid from sched_run() on, for ever. Values change under the lives lock. */
const struct config *sched_config(void);
/* The same, for who changes it: settings.c alone. */
struct config *sched_config_to_change(void);

/* sched_run() of each other CPU: wait until the boot CPU is there, then run vCPUs for ever. */
noreturn_fn void sched_work(void);

/* The boot CPU's loop shall come round soon: there is something for it. From any CPU. */
void sched_call_boot_cpu(void);

/* Make these, or none (NULL), @vm's vCPUs; who wakes them finds the one or the other. Boot CPU. */
void sched_set_vcpus(struct vm *vm, struct vcpu *vcpus);

/* What @vm's parked vCPUs wait for may have come: they look again. No lock may be held. */
void sched_wake(struct vm *vm);

/* All VMs in the order of the configuration: a list of struct vm by .all. Boot CPU only. */
struct list *sched_vms(void);
/* NULL: none is called that. Boot CPU only. Cost: O(VMs). */
struct vm *sched_find_vm(const char *name);

#endif
