/*
 * Two races decide the order of things here. Whoever gives a sleeping vCPU a reason to wake writes
 * the reason, then reads its home, and interrupts that CPU; whoever takes a vCPU home writes the
 * home, then looks at the reasons. Whoever leaves vCPUs waiting counts them, then looks who is
 * idle; whoever goes idle says so, then looks at the counts. All with full barriers, so that one of
 * the two sees the other. Between its last look and HLT a CPU has interrupts off: one that comes
 * meanwhile ends the HLT.
 */
#include "hv/sched/run_queue.h"
#include "hv/vm/vm.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/irq.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/lock.h"

#define CPU_NONE (~0u)

struct run_queue {
	struct spinlock lock;
	struct list runnable, sleeping; /* [q] */
	u32 runnable_count;             /* [a] */
	u32 sleeping_count;             /* [q] */
	u32 vcpu_count;                 /* [a] whose home this is */
	u32 is_idle;                    /* [a] in HLT, or about to be */
	const struct vcpu *lender;      /* its CPU only: gave way to others of its VM; or NULL */
	const struct vm *lent_to;       /* its CPU only: that VM */
	u64 lent_until;                 /* its CPU only: host TSC */
} __attribute__((aligned(CACHE_LINE_BYTES)));

static struct run_queue *queues; /* [I] by CPU */

static struct run_queue *queue_here(void)
{
	return &queues[this_cpu()->id];
}

static bool is_online(u32 cpu)
{
	return __atomic_load_n(&cpu_by_id(cpu)->state, __ATOMIC_ACQUIRE) == CPU_ONLINE;
}

err_t run_queues_init(void)
{
	queues = kmem_alloc(cpu_count() * sizeof(*queues));
	if (!queues)
		return E_NOMEM;
	for (u32 i = 0; i < cpu_count(); i++) {
		spin_init(&queues[i].lock, LOCK_RANK_VCPU);
		list_init(&queues[i].runnable);
		list_init(&queues[i].sleeping);
	}
	return 0;
}

/* --- In and out of a queue. Its lock is held. ------------------------------------------------ */

static void insert(struct run_queue *q, struct vcpu *vcpu)
{
	if (vcpu->state == VCPU_RUNNABLE) {
		list_add_tail(&q->runnable, &vcpu->queue);
		__atomic_fetch_add(&q->runnable_count, 1, __ATOMIC_SEQ_CST);
		vcpu->place = VCPU_IN_RUNNABLE;
	} else {
		list_add_tail(&q->sleeping, &vcpu->queue);
		q->sleeping_count++;
		vcpu->place = VCPU_IN_SLEEPING;
	}
}

static void withdraw(struct run_queue *q, struct vcpu *vcpu, enum vcpu_place to)
{
	if (vcpu->place == VCPU_IN_RUNNABLE)
		__atomic_fetch_sub(&q->runnable_count, 1, __ATOMIC_SEQ_CST);
	if (vcpu->place == VCPU_IN_SLEEPING)
		q->sleeping_count--;
	list_remove(&vcpu->queue);
	vcpu->place = to;
}

/* --- Start and stop -------------------------------------------------------------------------- */

/* The boot CPU has other work besides, so it comes last among equals. */
static u32 emptiest_cpu(void)
{
	u32 best = 0, least = ~0u;

	for (u32 cpu = cpu_count(); cpu-- > 0;) {
		u32 count = __atomic_load_n(&queues[cpu].vcpu_count, __ATOMIC_RELAXED);

		if (is_online(cpu) && count < least) {
			best = cpu;
			least = count;
		}
	}
	return best;
}

static void kick(u32 cpu)
{
	if (cpu != this_cpu()->id)
		irq_send_kick(cpu);
}

void run_queue_start(struct vcpu *vcpu)
{
	u32 home = emptiest_cpu();
	struct run_queue *q = &queues[home];

	spin_lock(&q->lock);
	__atomic_fetch_add(&q->vcpu_count, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&vcpu->home_cpu, home, __ATOMIC_SEQ_CST);
	insert(q, vcpu);
	spin_unlock(&q->lock);
	kick(home);
}

/* Out of its queue, unless somebody has just taken it. */
static bool try_stop(struct vcpu *vcpu, u32 home)
{
	struct run_queue *q = &queues[home];
	bool stopped;

	spin_lock(&q->lock);
	stopped = vcpu->home_cpu == home && vcpu->place != VCPU_TAKEN;
	if (stopped && vcpu->place != VCPU_NOWHERE) {
		withdraw(q, vcpu, VCPU_NOWHERE);
		__atomic_fetch_sub(&q->vcpu_count, 1, __ATOMIC_RELAXED);
	}
	spin_unlock(&q->lock);
	return stopped;
}

static bool is_elsewhere(const struct vcpu *vcpu)
{
	u32 cpu = __atomic_load_n(&vcpu->loaded_on, __ATOMIC_ACQUIRE);

	return cpu != VCPU_UNLOADED && cpu != this_cpu()->id;
}

void run_queue_stop(struct vcpu *vcpu)
{
	u32 kicked = CPU_NONE, home;

	do {
		home = __atomic_load_n(&vcpu->home_cpu, __ATOMIC_SEQ_CST);
		if (kicked != home)
			kick(home);
		kicked = home;
		cpu_relax();
	} while (!try_stop(vcpu, home) || is_elsewhere(vcpu));
}

/* --- Sleepers -------------------------------------------------------------------------------- */

static bool may_go_on(const struct vcpu *vcpu)
{
	return vcpu->state == VCPU_PARKED && __atomic_load_n(&vcpu->memory_came, __ATOMIC_SEQ_CST);
}

/* May a sleeper have reason to run? */
static bool must_look(const struct vcpu *vcpu, u64 now)
{
	if (vm_is_blocked(vcpu->vm))
		return false;
	return may_go_on(vcpu) || __atomic_load_n(&vcpu->attention, __ATOMIC_SEQ_CST) ||
	       now >= vcpu->wake_tsc;
}

static struct vcpu *take_sleeper(struct run_queue *q, u64 now)
{
	struct vcpu *vcpu, *found = NULL;

	spin_lock(&q->lock);
	list_for_each_entry (vcpu, &q->sleeping, queue) {
		if (must_look(vcpu, now)) {
			found = vcpu;
			break;
		}
	}
	if (found)
		withdraw(q, found, VCPU_TAKEN);
	spin_unlock(&q->lock);
	return found;
}

/* What it looks at is under its VM's lock, which is of a lower rank than the queue's. */
void run_queue_wake(void)
{
	struct run_queue *q = queue_here();
	u64 now = time_tsc();
	struct vcpu *vcpu;

	/* Each once: one that sleeps on may have a reason again at once. */
	for (u32 i = q->sleeping_count; i && (vcpu = take_sleeper(q, now)) != NULL; i--) {
		vcpu_wake(vcpu);
		run_queue_put(vcpu);
	}
}

/* --- Running --------------------------------------------------------------------------------- */

/* One of those that were lent what is left of a slice, or NULL. The queue is locked. */
static struct vcpu *borrower(const struct run_queue *q)
{
	struct vcpu *vcpu;

	if (!q->lender || q->lent_until <= time_tsc())
		return NULL;
	list_for_each_entry (vcpu, &q->runnable, queue) {
		if (vcpu->vm == q->lent_to && vcpu != q->lender)
			return vcpu;
	}
	return NULL;
}

static struct vcpu *take_own(struct run_queue *q, u64 *until)
{
	struct vcpu *vcpu;

	spin_lock(&q->lock);
	vcpu = borrower(q);
	if (vcpu)
		*until = min(*until, q->lent_until);
	else if (!list_empty(&q->runnable))
		vcpu = list_entry(q->runnable.next, struct vcpu, queue);
	if (vcpu)
		withdraw(q, vcpu, VCPU_TAKEN);
	spin_unlock(&q->lock);
	q->lender = NULL;
	return vcpu;
}

static struct vcpu *steal_from(struct run_queue *q)
{
	struct vcpu *vcpu, *found = NULL;

	if (__atomic_load_n(&q->runnable_count, __ATOMIC_SEQ_CST) == 0)
		return NULL;
	spin_lock(&q->lock);
	list_for_each_entry (vcpu, &q->runnable, queue) {
		if (__atomic_load_n(&vcpu->loaded_on, __ATOMIC_ACQUIRE) == VCPU_UNLOADED) {
			found = vcpu;
			break;
		}
	}
	if (found) {
		withdraw(q, found, VCPU_TAKEN);
		__atomic_fetch_sub(&q->vcpu_count, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&found->home_cpu, this_cpu()->id, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&q->lock);
	return found;
}

static struct vcpu *steal(void)
{
	u32 here = this_cpu()->id, count = cpu_count();

	for (u32 i = 1; i < count; i++) {
		struct vcpu *vcpu = steal_from(&queues[(here + i) % count]);

		if (vcpu) {
			__atomic_fetch_add(&queue_here()->vcpu_count, 1, __ATOMIC_RELAXED);
			this_cpu()->steals++;
			return vcpu;
		}
	}
	return NULL;
}

struct vcpu *run_queue_take(u64 *until)
{
	struct vcpu *vcpu = take_own(queue_here(), until);

	return vcpu ? vcpu : steal();
}

void run_queue_lend(const struct vcpu *lender)
{
	struct run_queue *q = queue_here();

	q->lender = lender;
	q->lent_to = lender->vm;
	q->lent_until = lender->run_until;
}

bool run_queue_has_waiting(void)
{
	return __atomic_load_n(&queue_here()->runnable_count, __ATOMIC_SEQ_CST) != 0;
}

void run_queue_invite(void)
{
	u32 here = this_cpu()->id, count = cpu_count();

	if (!run_queue_has_waiting())
		return;
	for (u32 i = 1; i < count; i++) {
		u32 cpu = (here + i) % count;

		/* Only once: it is no longer idle then, whenever it gets there. */
		if (__atomic_exchange_n(&queues[cpu].is_idle, false, __ATOMIC_SEQ_CST)) {
			irq_send_kick(cpu);
			return;
		}
	}
}

void run_queue_put(struct vcpu *vcpu)
{
	struct run_queue *q = queue_here();

	spin_lock(&q->lock);
	if (vm_is_ending(vcpu->vm)) {
		vcpu->place = VCPU_NOWHERE;
		__atomic_fetch_sub(&q->vcpu_count, 1, __ATOMIC_RELAXED);
	} else {
		insert(q, vcpu);
	}
	spin_unlock(&q->lock);
}

/* --- Idle ------------------------------------------------------------------------------------ */

/* When this CPU must look again; 0: now. */
static u64 earliest_wake(struct run_queue *q, u64 until)
{
	u64 now = time_tsc(), earliest = until;
	struct vcpu *vcpu;

	spin_lock(&q->lock);
	list_for_each_entry (vcpu, &q->sleeping, queue) {
		if (must_look(vcpu, now))
			earliest = 0;
		else if (!vm_is_blocked(vcpu->vm))
			earliest = min(earliest, vcpu->wake_tsc);
	}
	if (!list_empty(&q->runnable))
		earliest = 0;
	spin_unlock(&q->lock);
	return earliest;
}

void run_queue_idle(u64 until)
{
	struct run_queue *q = queue_here();
	struct vcpu *vcpu;

	__atomic_store_n(&q->is_idle, true, __ATOMIC_SEQ_CST);
	vcpu = steal();
	if (vcpu)
		run_queue_put(vcpu);
	until = earliest_wake(q, until);
	if (until > time_tsc()) {
		time_arm(until);
		cpu_idle();
	}
	__atomic_store_n(&q->is_idle, false, __ATOMIC_SEQ_CST);
}
