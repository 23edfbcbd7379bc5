/*
 * Run queues, one for each CPU: who runs where, and next.
 *
 * A vCPU belongs to its home CPU's queue. It is runnable there, or sleeping (halted, or parked for
 * memory), or taken: its home CPU runs it, or looks whether it should wake. A CPU with nothing to
 * run takes a runnable one from another's queue, whose home it becomes; but not one that is loaded,
 * which is the one that ran there last: its state would have to be fetched from the hardware of a
 * CPU that is busy, and its memory is in that CPU's caches. So a CPU that is about to run one while
 * others wait tells an idle one.
 *
 * Locks: each queue has one, rank VCPU. Root mode only.
 */
#ifndef HV_SCHED_RUN_QUEUE_H
#define HV_SCHED_RUN_QUEUE_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "hv/vm/vcpu.h"

/* Boot CPU, once, when all CPUs are started. E_NOMEM. */
must_check err_t run_queues_init(void);

/* With its VM's start, RUNNABLE or OFF: on the CPU that has the fewest. Boot CPU. */
void run_queue_start(struct vcpu *vcpu);

/*
 * Boot CPU: nobody runs it, has it in a queue, or has its state in hardware, this CPU excepted. Its
 * VM is ending (vm_is_ending()), so that nobody takes it again. Waits for the CPU that has it, for
 * as long as an exit takes, which may want any lock but the one that the boot CPU's loop holds
 * while VMs' lives change (sched.c: others only try it). Harmless for one that was never started.
 */
void run_queue_stop(struct vcpu *vcpu);

/* Sleepers of this CPU that have reason to run become runnable. Locks: takes their VMs'. */
void run_queue_wake(void);

/*
 * The next to run on this CPU; NULL: there is none. *@until, when its slice ends (host TSC), is put
 * earlier where it runs on what another lent it. Cost: O(CPUs) where its own queue is empty, O(its
 * length) where something was lent.
 */
struct vcpu *run_queue_take(u64 *until);

/*
 * Who runs here makes way for others of its VM, which it may be waiting for: if one waits in this
 * queue when this run has ended, it is next, for as long as this slice would have lasted. A VM has
 * no more of a CPU by that.
 */
void run_queue_lend(const struct vcpu *lender);

/* Do others wait for this CPU? */
bool run_queue_has_waiting(void);

/* It is loaded and about to run: whoever is idle may have those that wait behind it. */
void run_queue_invite(void);

/* It ran, and its state tells what it waits for. One whose VM is ending goes nowhere. */
void run_queue_put(struct vcpu *vcpu);

/*
 * Nothing to do: halt until @until (host TSC), an interrupt, or a sleeper's timer. Returns at once
 * where there is something after all.
 */
void run_queue_idle(u64 until);

#endif
