/*
 * The scheduler. A vCPU is in one of two queues of its CPU: runnable, or sleeping (halted or
 * parked), where its timers are looked at whenever the loop comes round. With nothing runnable the
 * CPU halts until the earliest timer or the console's turn.
 */
#include "hv/sched.h"
#include "hv/boot_files.h"
#include "hv/boot_times.h"
#include "hv/console.h"
#include "hv/disks.h"
#include "hv/hv_ops.h"
#include "hv/large_pages.h"
#include "hv/memsched_host.h"
#include "hv/monitor.h"
#include "hv/reclaim.h"
#include "hv/share.h"
#include "hv/terminal.h"
#include "hv/verdict.h"
#include "hv/vm_disk.h"
#include "hv/vm_swap.h"
#include "hv/watch.h"
#include "hv/x86/cpu.h"
#include "hv/x86/irq.h"
#include "hv/x86/panic.h"
#include "hv/x86/paging.h"
#include "hv/x86/power.h"
#include "hv/x86/time.h"
#include "mm/frame.h"
#include "mm/memsched.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/reclaim_choice.h"
#include "mm/swap_volume.h"

/*
 * What a parked vCPU waits for wakes it. It tries again by itself all the same: frames also come
 * free by ways that tell nobody, such as a balloon.
 */
#define PARK_RETRY_NS 10000000ull

/* Work in root mode comes in slices of this length; VMs that end or start get so much between two
 * guests' slices. */
#define WORK_SLICE_NS 100000ull
#define START_TURN_NS 2000000ull

/* A VM resets itself at most so often; until then it stands still. */
#define RESET_INTERVAL_NS 1000000000ull

struct sched_cpu {
	struct spinlock lock; /* rank VCPU */
	struct list runnable, sleeping;
};

static struct sched_cpu *cpus;
static struct list vms;
static struct config config;
static u64 slice_ticks, console_ticks, park_ticks, send_ticks, monitor_ticks, work_ticks,
	start_turn_ticks;

const struct config *sched_config(void)
{
	return &config;
}

struct config *sched_config_to_change(void)
{
	return &config;
}

struct list *sched_vms(void)
{
	return &vms;
}

struct vm *sched_find_vm(const char *name)
{
	struct vm *vm;

	list_for_each_entry (vm, &vms, all) {
		if (strcmp(vm_name(vm), name) == 0)
			return vm;
	}
	return NULL;
}

void sched_add(struct vcpu *vcpu)
{
	struct sched_cpu *sc = &cpus[vcpu->home_cpu];

	spin_lock(&sc->lock);
	list_remove(&vcpu->queue);
	list_add_tail(vcpu->state == VCPU_RUNNABLE ? &sc->runnable : &sc->sleeping, &vcpu->queue);
	spin_unlock(&sc->lock);
}

void sched_remove(struct vcpu *vcpu)
{
	struct sched_cpu *sc = &cpus[vcpu->home_cpu];

	spin_lock(&sc->lock);
	list_remove(&vcpu->queue);
	spin_unlock(&sc->lock);
}

static struct vcpu *take_runnable(struct sched_cpu *sc)
{
	struct vcpu *vcpu = NULL;

	spin_lock(&sc->lock);
	if (!list_empty(&sc->runnable)) {
		vcpu = list_entry(sc->runnable.next, struct vcpu, queue);
		list_remove(&vcpu->queue);
	}
	spin_unlock(&sc->lock);
	return vcpu;
}

static bool may_go_on(const struct vcpu *vcpu)
{
	return vcpu->state == VCPU_PARKED && __atomic_load_n(&vcpu->memory_came, __ATOMIC_ACQUIRE);
}

/* Has a sleeper reason to run? */
static bool should_wake(struct vcpu *vcpu, u64 now)
{
	if (vcpu->vm->memory.blocked)
		return false;
	if (may_go_on(vcpu))
		return true;
	if (!__atomic_load_n(&vcpu->attention, __ATOMIC_ACQUIRE) && now < vcpu->wake_tsc)
		return false;
	return vcpu->state == VCPU_PARKED || vcpu_has_event(vcpu);
}

void sched_wake(const struct space *space)
{
	struct vm *vm;

	list_for_each_entry (vm, &vms, all) {
		for (u32 i = 0; vm->space == space && vm->vcpus && i < vm->vcpu_count; i++) {
			__atomic_store_n(&vm->vcpus[i].memory_came, true, __ATOMIC_RELEASE);
			if (vm->vcpus[i].home_cpu != this_cpu()->id)
				irq_send_kick(vm->vcpus[i].home_cpu);
		}
	}
}

/* Only this CPU takes vCPUs out of its sleeping queue, so the walk needs the lock for no longer
 * than a step. */
static void wake_sleepers(struct sched_cpu *sc)
{
	struct vcpu *vcpu, *next;
	u64 now = time_tsc();

	list_for_each_entry_safe(vcpu, next, &sc->sleeping, queue)
	{
		if (should_wake(vcpu, now)) {
			if (vcpu->state == VCPU_PARKED)
				vcpu->parked_tsc += now - vcpu->parked_at;
			vcpu->state = VCPU_RUNNABLE;
			sched_add(vcpu);
		}
	}
}

/* A guest that resets itself in a loop shall not cost its neighbours more than its slices do. */
static void reset_when_due(struct vm *vm)
{
	if (time_now_ns() - vm->origin_ns >= RESET_INTERVAL_NS)
		vm_reset(vm);
}

/* Do what VMs asked for, or what must be done to them. */
static void carry_out_requests(void)
{
	struct vm *vm;

	list_for_each_entry (vm, &vms, all) {
		char why[VM_WHY_BYTES];

		switch (__atomic_load_n(&vm->request, __ATOMIC_ACQUIRE)) {
		case VM_REQUEST_POWER_OFF:
			vm_end(vm, VM_OFF, "powered off");
			break;
		case VM_REQUEST_RESET:
			reset_when_due(vm);
			break;
		case VM_REQUEST_STOP:
			memcpy(why, vm->why, sizeof(why));
			vm_end(vm, VM_STOPPED, why);
			break;
		}
	}
}

/* When swap volumes are ready, or known not to be: the console works meanwhile. */
static void start_vms(void)
{
	struct vm *vm;

	list_for_each_entry (vm, &vms, all) {
		/* What goes wrong is logged, and kept in vm->why. */
		if (vm->config->autostart && vm_start(vm) != 0)
			continue;
	}
}

/*
 * The memory of VMs that have ended is freed; then those start that were to meanwhile, and may need
 * it. Returns whether there is more to be freed.
 */
static bool continue_releases(void)
{
	struct vm *vm;

	list_for_each_entry (vm, &vms, all) {
		if (vm_is_releasing(vm)) {
			vm_release_some(vm, time_tsc() + work_ticks);
			return true;
		}
	}
	list_for_each_entry (vm, &vms, all) {
		/* What goes wrong is logged, and kept in vm->why. */
		if (vm->start_wanted && vm_start(vm) != 0)
			continue;
	}
	return false;
}

/*
 * One VM at a time is started, the others that are to be wait: so the first one runs soon. Returns
 * whether there is one.
 */
static bool continue_start(void)
{
	struct vm *vm;

	list_for_each_entry (vm, &vms, all) {
		if (vm->state == VM_STARTING) {
			vm_continue_start(vm, time_tsc() + work_ticks);
			return true;
		}
	}
	return false;
}

/* When the loop must come round at the latest. Serial lines have no interrupt: they are fed, and
 * heard, in time. */
static u64 turn_end(u64 otherwise)
{
	if (monitor_is_busy())
		otherwise = min(otherwise, time_tsc() + monitor_ticks);
	return terminal_is_sending() ? min(otherwise, time_tsc() + send_ticks) : otherwise;
}

static void run_one(struct vcpu *vcpu)
{
	if (vcpu->vm->memory.blocked) {
		vcpu->state = VCPU_PARKED;
		sched_add(vcpu);
		return;
	}
	boot_times_guest_entry();
	if (!vm_is_ending(vcpu->vm))
		vcpu_run(vcpu, turn_end(time_tsc() + slice_ticks));
	if (vm_is_ending(vcpu->vm))
		return; /* in no queue: its VM's end or reset follows */
	if (vcpu->state == VCPU_PARKED) {
		vcpu->parked_at = time_tsc();
		vcpu->wake_tsc = vcpu->parked_at + park_ticks;
		vcpu->parks++;
	}
	sched_add(vcpu);
}

static void idle(struct sched_cpu *sc, u64 console_due)
{
	u64 earliest = turn_end(console_due);
	struct vcpu *vcpu;

	list_for_each_entry (vcpu, &sc->sleeping, queue) {
		if (vcpu->vm->memory.blocked)
			continue;
		if (__atomic_load_n(&vcpu->attention, __ATOMIC_ACQUIRE) || may_go_on(vcpu))
			return;
		earliest = min(earliest, vcpu->wake_tsc);
	}
	if (earliest <= time_tsc() || disks_must_poll() || vm_disks_are_urgent())
		return;
	time_arm(earliest);
	cpu_idle();
}

static bool all_ended(void)
{
	struct vm *vm;

	list_for_each_entry (vm, &vms, all) {
		if (vm->start_wanted || (!vm->ended && (vm_is_on(vm) || vm->config->autostart)))
			return false;
	}
	return true;
}

noreturn_fn static void finish(void)
{
	verdict_print(&vms, config.problem_count == 0);
	power_off();
}

noreturn_fn static void loop(void)
{
	struct sched_cpu *sc = &cpus[this_cpu()->id];
	u64 console_due = 0, start_turn_end = 0;
	bool have_begun = false;

	for (;;) {
		bool is_busy; /* with VMs that end or start */
		struct vcpu *vcpu;

		cpu_take_pending();
		disks_poll();
		swap_volumes_poll();
		vm_disks_work();
		if (time_tsc() >= console_due) {
			console_poll();
			console_due = time_tsc() + console_ticks;
		}
		terminal_send();
		monitor_work();
		watch_turn();
		carry_out_requests();
		memsched_turn();
		balloon_work();
		if (config.host.autostop && all_ended())
			finish();
		if (!have_begun && vm_swap_is_settled()) {
			start_vms();
			have_begun = true;
		}
		wake_sleepers(sc);
		is_busy = continue_releases() || continue_start();
		if (is_busy && time_tsc() < start_turn_end)
			continue;
		vcpu = take_runnable(sc);
		if (vcpu) {
			run_one(vcpu);
			monitor_work();
			start_turn_end = time_tsc() + start_turn_ticks;
			reclaim_turn();
			if (!fetch_turn(false) && !share_work(false))
				large_pages_work(false);
		} else if (!is_busy && !reclaim_turn() && !fetch_turn(true) && !share_work(true) &&
			   !large_pages_work(true)) {
			idle(sc, console_due);
		}
	}
}

/* --- Set-up ---------------------------------------------------------------------------------- */

static void report(void *context, u32 line, const char *message)
{
	log_error("%s:%u: %s", (const char *)context, line, message);
}

static void read_config(const struct boot_info *info)
{
	const char *why = "";
	const char *text = boot_files_data(&info->config, &why);
	size_t bytes = info->config.bytes;
	err_t err;

	if (!text) {
		log_error("%s: %s", info->config.name, why);
		text = "";
		bytes = 0;
		config.problem_count = 1;
	}
	config.vm_capacity = config_count_vms(text, bytes);
	if (config.vm_capacity) {
		config.vms = kmem_alloc(config.vm_capacity * sizeof(struct vm_config));
		if (!config.vms)
			panic("no memory for the configuration of %u VMs", config.vm_capacity);
	}
	err = config_parse(text, bytes, &config, report, (void *)info->config.name);
	config_check_reservations(
		&config, frame_total_count() << PAGE_SHIFT, report, (void *)info->config.name);
	memsched_set_levels(config.host.min_free_pct, config.host.states == CONFIG_STATES_FIXED);
	if (err || config.problem_count)
		log_warn("the configuration has %u problem%s; VMs concerned do not start",
			config.problem_count, config.problem_count == 1 ? "" : "s");
}

static void create_vms(void)
{
	for (u32 i = 0; i < config.vm_count; i++) {
		struct vm *vm = vm_create(&config.vms[i]);

		if (!vm) {
			log_error("%s: no memory even to list it", config.vms[i].name);
			config.problem_count++;
			continue;
		}
		list_add_tail(&vms, &vm->all);
	}
}

static void init_queues(void)
{
	cpus = kmem_alloc(cpu_count() * sizeof(*cpus));
	if (!cpus)
		panic("no memory for run queues");
	for (u32 i = 0; i < cpu_count(); i++) {
		spin_init(&cpus[i].lock, LOCK_RANK_VCPU);
		list_init(&cpus[i].runnable);
		list_init(&cpus[i].sleeping);
	}
	slice_ticks = time_tsc_from_ns(SCHED_SLICE_NS);
	console_ticks = time_tsc_from_ns(SCHED_CONSOLE_NS);
	park_ticks = time_tsc_from_ns(PARK_RETRY_NS);
	work_ticks = time_tsc_from_ns(WORK_SLICE_NS);
	start_turn_ticks = time_tsc_from_ns(START_TURN_NS);
	monitor_ticks = time_tsc_from_ns(MONITOR_TURN_NS);
	send_ticks = time_tsc_from_ns(TERMINAL_SEND_NS);
}

noreturn_fn void sched_run(const struct boot_info *info)
{
	list_init(&vms);
	boot_files_init(info);
	init_queues();
	read_config(info);
	reclaim_choose_randomly(config.host.victims == CONFIG_VICTIMS_RANDOM);
	console_start();
	if (memsched_host_init(config.vm_count))
		panic("no memory for the memory scheduler");
	create_vms();
	share_start();
	loop();
}
