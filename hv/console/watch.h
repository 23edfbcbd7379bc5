/*
 * Looking at the VMs every two seconds: what of their counters changed makes the rates that memtop
 * and the second serial line show, and feeds the verdict on their health. Costs a VM some forty
 * loads a look, whatever its size. Boot CPU only.
 */
#ifndef HV_CONSOLE_WATCH_H
#define HV_CONSOLE_WATCH_H

#include "hv/console/health.h"
#include "hv/vm/vm_figures.h"

struct vm;

struct vm_watch {
	u64 seen_ns; /* of .before; 0: not yet since it began */
	u64 before[VM_COUNTER_COUNT];
	u64 rates[VM_COUNTER_COUNT]; /* a second, as of the last look */
	struct health health;
	enum health_finding told; /* the sustained one that the log has told of */
};

/* @vm starts or was reset: what was seen of it is no longer true. */
void watch_vm_began(struct vm *vm);

/* A turn of the loop: mostly a look at the clock. */
void watch_turn(u64 now_ns);

/* What its vCPUs waited for pages between the last two looks: per mille of that time. */
u32 watch_waited_permille(const struct vm *vm);

/* Console: health. */
void command_health(u32 count, char **words);

#endif
