/*
 * Who runs: a run queue for each CPU, round robin, slices of 10 ms. The boot CPU's loop also keeps
 * the VMs' life cycle and the console; nothing else changes whether a VM exists. In this version
 * guests run on the boot CPU only (every vCPU's home_cpu is 0).
 */
#ifndef HV_SCHED_H
#define HV_SCHED_H

#include "mm/base/types.h"
#include "boot/boot_info.h"
#include "hv/config.h"
#include "hv/vm.h"

#define SCHED_SLICE_NS   10000000ull
#define SCHED_CONSOLE_NS 20000000ull /* how often the console is looked at when nothing runs */

/* Read the configuration, start the VMs, and run for ever. Boot CPU. */
noreturn_fn void sched_run(const struct boot_info *info);

const struct config *sched_config(void);
/* The same, for who changes it: settings.c alone. */
struct config *sched_config_to_change(void);

/* Put a runnable vCPU into its CPU's queue; take one out of whatever queue it is in (harmless if in
 * none). */
void sched_add(struct vcpu *vcpu);
void sched_remove(struct vcpu *vcpu);

/* What @space's parked vCPUs wait for may have come: they look again. */
void sched_wake(const struct space *space);

/* All VMs in the order of the configuration: a list of struct vm by .all. Boot CPU only. */
struct list *sched_vms(void);
struct vm *sched_find_vm(const char *name);

#endif
