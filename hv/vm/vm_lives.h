/*
 * What becomes of the VMs: at each turn of the boot CPU's loop (sched.c) one look at all of them,
 * in which what they asked for is done, or what must be done to them; then a slice of work for
 * those that end or start, where there are some. Nothing is done for a VM that is left alone.
 *
 * Boot CPU, with the lives lock held.
 */
#ifndef HV_VM_VM_LIVES_H
#define HV_VM_VM_LIVES_H

#include "mm/base/types.h"

struct vm;

/* What a look has found. */
struct vm_lives {
	struct vm *releasing; /* the first whose memory is being freed; NULL: none */
	struct vm *starting;  /* the first that is VM_STARTING; NULL: none */
	bool start_wanted;    /* one waits to start: vm_wait.h */
	bool all_ended;       /* none runs, or is to start */
};

/* Start those that start by themselves. Once, when swap volumes are ready, or known not to be. */
void vm_lives_begin(void);

/* Carry out all VMs' requests, and see how they stand. Cost: O(VMs). */
void vm_lives_look(struct vm_lives *out);

/*
 * Free memory of what has ended, for about @ticks of the TSC; if there is none, go on with one
 * VM's start. @lives: of this turn's look. Returns whether there is more to do. Cost: O(VMs) while
 * one waits to start.
 */
bool vm_lives_continue(const struct vm_lives *lives, u64 ticks);

#endif
