/*
 * The vCPU's loop: bring events to it, enter, answer the exit. Events go in one order: what was
 * being delivered when the last exit came (the backend does that by itself), then an exception that
 * the hypervisor raised, then NMI, then the local APIC's interrupt; what cannot go now gets a
 * window.
 */
#include "hv/vm/vcpu.h"
#include "hv/exit/exit.h"
#include "hv/hv_ops.h"
#include "hv/sched/run_queue.h"
#include "hv/vm/vcpu_halt.h"
#include "hv/vm/vm.h"
#include "hv/x86/cpu.h"
#include "hv/x86/irq.h"
#include "hv/x86/msr.h"
#include "hv/x86/time.h"

#define VECTOR_NMI 2
#define VECTOR_UD  6
#define VECTOR_GP  13

#define RESET_SELECTOR 0xf000
#define RESET_IP       0xfff0

void vcpu_queue_exception(struct vcpu *vcpu, u8 vector, bool has_error, u32 error)
{
	vcpu->pending = (struct virt_event){
		.valid = true,
		.vector = vector,
		.type = EVENT_EXCEPTION,
		.has_error = has_error,
		.error = error,
	};
	vcpu->attention = true;
}

void vcpu_inject_gp(struct vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, VECTOR_GP, true, 0);
}

void vcpu_inject_ud(struct vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, VECTOR_UD, false, 0);
}

void vcpu_kick(struct vcpu *vcpu)
{
	struct vcpu *here;
	u32 home;

	__atomic_store_n(&vcpu->attention, true, __ATOMIC_SEQ_CST);
	home = __atomic_load_n(&vcpu->home_cpu, __ATOMIC_SEQ_CST);
	if (home != this_cpu()->id) {
		irq_send_kick(home);
		return;
	}
	if (!this_cpu()->running || !this_cpu()->loaded || this_cpu()->loaded == &vcpu->virt)
		return;
	/* The slice of the one that runs here is over: it may wait for the other. */
	here = vcpu_of(this_cpu()->loaded);
	if (here->vm == vcpu->vm && here->run_until)
		run_queue_lend(here);
	here->run_until = 0;
}

/* Host TSC of the earlier of two guest times, one in guest TSC and one in ns; ~0: there is none. */
static u64 wake_time(const struct vcpu *vcpu, u64 tsc_guest, u64 ns, u64 now_tsc, u64 now_ns)
{
	u64 now_guest = now_tsc + vcpu->virt.tsc_offset;
	u64 wake = ~0ull;

	if (tsc_guest != ~0ull) {
		u64 ahead = tsc_guest > now_guest ? tsc_guest - now_guest : 0;

		wake = now_tsc + ahead < now_tsc ? ~0ull : now_tsc + ahead;
	}
	if (ns != ~0ull) {
		u64 ahead = ns > now_ns ? time_tsc_from_ns(ns - now_ns) + 1 : 0;

		wake = min(wake, now_tsc + ahead);
	}
	return wake;
}

/* Timers that are due, and when the next one is. VM's lock held. */
static void update_timers(struct vcpu *vcpu)
{
	struct vdev *vdev = vcpu->vm->vdev;
	u64 now_tsc = time_tsc();
	u64 now_ns = time_now_ns();
	u64 tsc_guest, ns;

	vdev_tick(vdev, vcpu->index, now_tsc + vcpu->virt.tsc_offset, now_ns);
	vdev_next_event(vdev, vcpu->index, &tsc_guest, &ns);
	vcpu->wake_tsc = wake_time(vcpu, tsc_guest, ns, now_tsc, now_ns);
	vcpu->virt.run_until_tsc = min(vcpu->run_until, vcpu->wake_tsc);
}

/* --- INIT and SIPI. The VM's lock is held, the vCPU this CPU's. ------------------------------- */

void vcpu_init_registers(struct vcpu *vcpu)
{
	vcpu_release(vcpu);
	hv_ops->vcpu_reset(&vcpu->virt);
	vcpu->state = VCPU_OFF;
	vcpu->wake_tsc = ~0ull;
	__atomic_store_n(&vcpu->parked_at, 0, __ATOMIC_RELAXED);
	vcpu->pending.valid = false;
	vcpu->nmi_pending = false;
	vcpu->is_stuck = false;
	__atomic_store_n(&vcpu->unhalted, false, __ATOMIC_RELAXED);
	steal_time_init(vcpu);
}

static void start_at(struct vcpu *vcpu, u16 selector, u16 ip)
{
	struct virt_sregs sregs;

	vcpu_attach(vcpu);
	hv_ops->get_sregs(&vcpu->virt, &sregs);
	sregs.seg[SEG_CS].selector = selector;
	sregs.seg[SEG_CS].base = (u64)selector << 4;
	vcpu->virt.rip = ip;
	vcpu->virt.state_dirty = true;
	hv_ops->set_sregs(&vcpu->virt, &sregs);
	vcpu->state = VCPU_RUNNABLE;
}

/* After INIT the first starts again at the reset vector (vm_boot.c), the others wait for a SIPI,
 * which names a page below 1 MiB. */
static void take_messages(struct vcpu *vcpu)
{
	enum vdev_start message;
	u8 page = 0;

	while ((message = vdev_start_take(vcpu->vm->vdev, vcpu->index, &page)) != VDEV_START_NONE) {
		if (message == VDEV_START_INIT)
			vcpu_init_registers(vcpu);
		if (message == VDEV_START_INIT && vcpu->index == 0)
			start_at(vcpu, RESET_SELECTOR, RESET_IP);
		else if (message == VDEV_START_SIPI && vcpu->state == VCPU_OFF)
			start_at(vcpu, (u16)(page << 8), 0);
	}
	if (vcpu->state == VCPU_OFF)
		vcpu_halt_look(vcpu->vm);
}

/* --- Before an entry, or instead of one ------------------------------------------------------- */

/* Runs the timers that are due, too. */
static bool has_event(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	u8 blocked;
	bool event;

	spin_lock(&vm->lock);
	update_timers(vcpu);
	__atomic_store_n(&vcpu->attention, false, __ATOMIC_SEQ_CST);
	event = __atomic_exchange_n(&vcpu->unhalted, false, __ATOMIC_SEQ_CST) ||
		vcpu_halt_is_over(vcpu) ||
		((vcpu->virt.rflags & RFLAGS_IF) &&
			vdev_interrupt_peek(vm->vdev, vcpu->index, &blocked) >= 0) ||
		vcpu->pending.valid || vcpu->virt.reinject.valid;
	if (event)
		vcpu->is_stuck = false;
	spin_unlock(&vm->lock);
	if (event)
		vcpu->attention = true;
	return event;
}

bool vcpu_halt(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vcpu->nmi_blocked = !hv_ops->nmi_allowed(&vcpu->virt);
	/* A guest that steps itself gets its #DB behind the HLT, which wakes it at once. */
	if (has_event(vcpu) || (vcpu->virt.rflags & RFLAGS_TF))
		return true;
	vcpu->state = VCPU_HALTED;
	if (vcpu->virt.rflags & RFLAGS_IF)
		return false;
	spin_lock(&vm->lock);
	vcpu->is_stuck = true;
	vcpu_halt_look(vm);
	spin_unlock(&vm->lock);
	return false;
}

void vcpu_wake(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	if (vcpu->state == VCPU_OFF) {
		spin_lock(&vm->lock);
		__atomic_store_n(&vcpu->attention, false, __ATOMIC_SEQ_CST);
		take_messages(vcpu);
		spin_unlock(&vm->lock);
		return;
	}
	if (vcpu->state == VCPU_PARKED) {
		vcpu->parked_tsc += time_tsc() - vcpu->parked_at;
		__atomic_store_n(&vcpu->parked_at, 0, __ATOMIC_RELAXED);
	}
	if (vcpu->state == VCPU_PARKED || has_event(vcpu)) {
		vcpu->state = VCPU_RUNNABLE;
		steal_time_ready(vcpu);
	}
}

/* Deliver at most one event with the next entry. Returns the priority class that waits for a
 * window, or 0. */
static u8 deliver(struct vcpu *vcpu)
{
	struct vdev *vdev = vcpu->vm->vdev;
	struct virt_vcpu *virt = &vcpu->virt;
	bool busy = virt->reinject.valid;
	u8 blocked = 0;
	int vector;

	if (!busy && vcpu->pending.valid) {
		hv_ops->inject(virt, &vcpu->pending);
		vcpu->pending.valid = false;
		busy = true;
	}
	vcpu->nmi_pending |= vdev_nmi_take(vdev, vcpu->index);
	if (vcpu->nmi_pending && !busy && hv_ops->nmi_allowed(virt)) {
		struct virt_event nmi = {.valid = true, .vector = VECTOR_NMI, .type = EVENT_NMI};

		hv_ops->inject(virt, &nmi);
		vcpu->nmi_pending = false;
		busy = true;
	}
	vector = vdev_interrupt_peek(vdev, vcpu->index, &blocked);
	if (vector >= 0 && !busy && hv_ops->interrupt_allowed(virt)) {
		struct virt_event interrupt = {
			.valid = true, .vector = (u8)vector, .type = EVENT_INTR};

		vdev_interrupt_take(vdev, vcpu->index, (u8)vector);
		hv_ops->inject(virt, &interrupt);
		vector = vdev_interrupt_peek(vdev, vcpu->index, &blocked);
	}
	if (vector >= 0)
		return (u8)vector >> 4;
	/* What an interrupt in service blocks shows by the EOI's exit; CR8's write has none. */
	return blocked && virt->tpr >= blocked ? blocked : 0;
}

/* Before an entry, when something may have changed. False: another vCPU switched it off. */
static bool attend(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	u8 window;

	spin_lock(&vm->lock);
	update_timers(vcpu);
	__atomic_store_n(&vcpu->attention, false, __ATOMIC_SEQ_CST);
	take_messages(vcpu);
	if (vcpu->state == VCPU_OFF) {
		spin_unlock(&vm->lock);
		return false;
	}
	vcpu->tpr_class = vcpu->virt.tpr = vdev_tpr_get(vm->vdev, vcpu->index);
	window = deliver(vcpu);
	hv_ops->request_window(&vcpu->virt, window, vcpu->nmi_pending);
	spin_unlock(&vm->lock);
	/* Still to come: an exception behind a re-injected event. */
	if (vcpu->pending.valid)
		vcpu->attention = true;
	return true;
}

/* The guest moved its task priority by CR8, which causes no exit. */
static void sync_tpr(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	spin_lock(&vm->lock);
	vdev_tpr_set(vm->vdev, vcpu->index, vcpu->virt.tpr);
	vcpu->tpr_class = vcpu->virt.tpr;
	spin_unlock(&vm->lock);
	vcpu->attention = true;
}

/* From then on another CPU may load it, or the boot CPU free it. */
static void unload(struct cpu *cpu)
{
	struct vcpu *vcpu = vcpu_of(cpu->loaded);

	hv_ops->unload(&vcpu->virt);
	cpu->loaded = NULL;
	__atomic_store_n(&vcpu->loaded_on, VCPU_UNLOADED, __ATOMIC_RELEASE);
}

void vcpu_release(struct vcpu *vcpu)
{
	struct cpu *cpu = this_cpu();

	if (cpu->loaded != &vcpu->virt)
		return;
	if (cpu->fpu_owner)
		fpu_save(&vcpu->virt.fpu);
	cpu->fpu_owner = NULL;
	unload(cpu);
}

void vcpu_attach(struct vcpu *vcpu)
{
	struct cpu *cpu = this_cpu();

	if (cpu->loaded == &vcpu->virt)
		return;
	if (cpu->loaded)
		vcpu_release(vcpu_of(cpu->loaded));
	__atomic_store_n(&vcpu->loaded_on, cpu->id, __ATOMIC_RELAXED);
	hv_ops->load(&vcpu->virt);
	cpu->loaded = &vcpu->virt;
}

/* Also after an exit: a library may have used the registers. */
static void attach_fpu(struct virt_vcpu *virt, struct cpu *cpu)
{
	if (cpu->fpu_owner == virt)
		return;
	fpu_load(&virt->fpu);
	cpu->fpu_owner = virt;
}

void vcpu_detach(struct vcpu *vcpu)
{
	struct cpu *cpu = this_cpu();

	if (cpu->loaded != &vcpu->virt)
		return;
	/* Its registers are of no more use to anybody. */
	cpu->fpu_owner = NULL;
	unload(cpu);
}

void vcpu_detach_ending(void)
{
	struct virt_vcpu *loaded = this_cpu()->loaded;

	if (loaded && vm_is_ending(vcpu_of(loaded)->vm))
		vcpu_detach(vcpu_of(loaded));
}

/*
 * Pages that were brought in for an instruction stay until another one exits: this one needs no
 * more.
 */
static void move_guard(struct vcpu *vcpu)
{
	if (vcpu->virt.rip == vcpu->guarded_rip)
		return;
	vcpu->guarded_rip = vcpu->virt.rip;
	fault_guard_moved_on();
}

/* A host interrupt or the timer ended the entry. Returns whether the slice goes on. */
static bool go_on(struct vcpu *vcpu, struct cpu *cpu)
{
	u64 now = time_tsc();

	if (now >= vcpu->wake_tsc)
		vcpu->attention = true;
	if (__atomic_load_n(&cpu->pending, __ATOMIC_RELAXED) & ~CPU_PENDING_TIMER)
		return false;
	cpu_take_pending();
	return now < vcpu->run_until;
}

/* Before it looks whether it must wait: what comes after that wakes it. */
static void may_wait(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->memory_came, false, __ATOMIC_SEQ_CST);
}

static bool begin(struct vcpu *vcpu)
{
	may_wait(vcpu);
	err_t err = steal_time_enter(vcpu);

	return !err || exit_not_done(vcpu, err);
}

void vcpu_run(struct vcpu *vcpu, u64 slice_end)
{
	struct cpu *cpu = this_cpu();
	u64 start = time_tsc(), ticks;
	struct vm_exit exit;
	bool running;

	vcpu->run_until = slice_end;
	vcpu_attach(vcpu);
	cpu->running = vm_name(vcpu->vm);
	fault_guard_use(vcpu->virt.space, vcpu->index);
	vcpu->attention = true;
	running = begin(vcpu);
	while (running) {
		if (vcpu->attention && !attend(vcpu))
			break;
		attach_fpu(&vcpu->virt, cpu);
		hv_ops->run(&vcpu->virt, &exit);
		vcpu->exits[exit.kind]++;
		if (vcpu->virt.tpr != vcpu->tpr_class)
			sync_tpr(vcpu);
		move_guard(vcpu);
		may_wait(vcpu);
		running = exit_handle(vcpu, &exit) && !vm_is_ending(vcpu->vm);
		if (exit.kind <= EXIT_TIME_UP)
			running = go_on(vcpu, cpu) && running;
		if (vcpu->vm->hide_every)
			vm_debug_hide(vcpu->vm);
		if (vcpu->vm->reclaim_every)
			vm_debug_reclaim(vcpu->vm);
	}
	if (vcpu->state == VCPU_RUNNABLE || vcpu->state == VCPU_PARKED)
		steal_time_leave(vcpu);
	cpu->running = NULL;
	fault_guard_use(NULL, 0);
	ticks = time_tsc() - start;
	vcpu->run_tsc += ticks;
	cpu->vcpu_ns += time_ns_from_tsc(ticks);
}
