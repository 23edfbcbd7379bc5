/*
 * The scheduler's loops. Every CPU's runs vCPUs from its run queue, serves the disks' requests that
 * come back to it, and works on memory in the background; the boot CPU's does all else that is to
 * be done in root mode besides. With nothing to run a CPU halts until the earliest timer, or, the
 * boot CPU, the console's turn.
 */
#include "hv/sched/sched.h"
#include "hv/config/boot_files.h"
#include "hv/boot_times.h"
#include "hv/console/console.h"
#include "hv/disk/disks.h"
#include "hv/memory/large_pages.h"
#include "hv/memory/memsched_host.h"
#include "hv/monitor/monitor.h"
#include "hv/memory/reclaim.h"
#include "hv/sched/run_queue.h"
#include "hv/memory/share.h"
#include "hv/console/terminal.h"
#include "hv/vm/verdict.h"
#include "hv/vm/vm_disk.h"
#include "hv/vm/vm_lives.h"
#include "hv/vm/vm_swap.h"
#include "hv/console/watch.h"
#include "hv/x86/cpu.h"
#include "hv/x86/irq.h"
#include "hv/x86/panic.h"
#include "hv/x86/paging.h"
#include "hv/x86/power.h"
#include "hv/x86/time.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/reclaim/reclaim_choice.h"
#include "mm/swap/swap_volume.h"

/*
 * What a parked vCPU waits for wakes it. It tries again by itself all the same: frames also come
 * free by ways that tell nobody, such as a balloon.
 */
#define PARK_RETRY_NS 10000000ull

/* Work in root mode comes in slices; VMs that end or start have a turn between guests' slices. */
#define WORK_SLICE_NS 100000ull
#define START_TURN_NS 2000000ull

/* Background work gets a slice of each kind so often where the CPU is never idle: 1% each. */
#define BUSY_EVERY_NS 10000000ull

static struct list vms;      /* [I] after create_vms() */
static struct config config; /* [I], but for values that settings.c changes, under lives_lock */
/* [I] */
static u64 slice_ticks, console_ticks, park_ticks, send_ticks, monitor_ticks, work_ticks,
	start_turn_ticks;
static bool is_open; /* [a] the other CPUs may begin */

/*
 * Whoever works on VMs' memory in the background, one CPU at a time, holds this, and so does the
 * boot CPU while VMs' lives may change.
 */
static struct spinlock lives_lock = SPINLOCK(LOCK_RANK_LIVES);

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

void sched_set_vcpus(struct vm *vm, struct vcpu *vcpus)
{
	spin_lock(&vm->vcpus_lock);
	vm->vcpus = vcpus;
	spin_unlock(&vm->vcpus_lock);
}

/* Returns whether more than its vCPUs wait. */
static bool wake(struct vm *vm)
{
	for (u32 i = 0; vm->vcpus && i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];
		u32 home;

		__atomic_store_n(&vcpu->memory_came, true, __ATOMIC_SEQ_CST);
		home = __atomic_load_n(&vcpu->home_cpu, __ATOMIC_SEQ_CST);
		if (home != this_cpu()->id)
			irq_send_kick(home);
	}
	return vm_disk_waits(vm);
}

void sched_wake(struct vm *vm)
{
	spin_lock(&vm->vcpus_lock);
	bool disk_waits = wake(vm);

	spin_unlock(&vm->vcpus_lock);
	if (disk_waits)
		sched_call_boot_cpu();
}

void sched_call_boot_cpu(void)
{
	if (this_cpu()->id != 0)
		irq_send_kick(0);
}

/* When the loop must come round at the latest. Serial lines have no interrupt: they are fed, and
 * heard, in time. */
static u64 turn_end(u64 otherwise)
{
	if (monitor_is_busy())
		otherwise = min(otherwise, time_tsc() + monitor_ticks);
	return terminal_is_sending() ? min(otherwise, time_tsc() + send_ticks) : otherwise;
}

static void note_parked(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->parked_at, time_tsc(), __ATOMIC_RELAXED);
}

static void run_one(struct vcpu *vcpu, u64 until)
{
	if (vm_is_blocked(vcpu->vm)) {
		vcpu->state = VCPU_PARKED;
		note_parked(vcpu);
		run_queue_put(vcpu);
		return;
	}
	boot_times_guest_entry();
	if (!vm_is_ending(vcpu->vm)) {
		vcpu_attach(vcpu);
		run_queue_invite();
		vcpu_run(vcpu, until);
	}
	if (vcpu->state == VCPU_PARKED) {
		note_parked(vcpu);
		vcpu->wake_tsc = vcpu->parked_at + park_ticks;
		vcpu->parks++;
	}
	if (vm_disk_is_urgent(vcpu->vm))
		sched_call_boot_cpu();
	/* Those that it may be waiting for go first. */
	if (vcpu->vm->vcpu_count > 1)
		run_queue_wake();
	run_queue_put(vcpu);
}

/* Where nothing else is to be done, one kind of work is finished before the next is begun. */
static bool background_slices(u64 now, bool idle)
{
	bool worked = fetch_slice();

	if (!worked || !idle)
		worked = share_slice() || worked;
	if (!worked || !idle)
		worked = large_pages_slice(now) || worked;
	return worked;
}

/*
 * In the background: memory that must come free, pages to fetch and to share, regions to join.
 * Whether there is more. @idle: nothing else is to be done here.
 */
static bool work_on_memory(bool idle)
{
	static u64 busy_due_ns; /* [lives_lock] */
	bool more;

	if (!spin_trylock(&lives_lock))
		return false;
	u64 now = time_now_ns();

	more = reclaim_turn();
	if (idle ? !more : now >= busy_due_ns) {
		more = background_slices(now, idle);
		/* What idle CPUs do, a kind at a time, is not counted for all kinds. */
		if (!idle)
			busy_due_ns = now + BUSY_EVERY_NS;
	}
	spin_unlock(&lives_lock);
	return more;
}

noreturn_fn static void finish(void)
{
	verdict_print(&vms, config.problem_count == 0);
	power_off();
}

/* What may change VMs' lives. Returns whether there are some that end or start. */
static bool look_after_vms(u64 now, u64 *console_due)
{
	static bool have_begun; /* the console works before swap volumes do */
	struct vm_lives lives;
	bool is_busy;

	spin_lock(&lives_lock);
	if (time_tsc() >= *console_due) {
		console_poll();
		vm_disks_drop_ended();
		*console_due = time_tsc() + console_ticks;
	}
	terminal_send();
	monitor_work(now);
	watch_turn(now);
	if (!have_begun && vm_swap_is_settled()) {
		vm_lives_begin();
		have_begun = true;
	}
	vm_lives_look(&lives);
	memsched_turn(now);
	balloon_work(now);
	if (config.host.autostop && lives.all_ended)
		finish();
	is_busy = vm_lives_continue(&lives, work_ticks);
	spin_unlock(&lives_lock);
	return is_busy;
}

static void serve_monitor(void)
{
	spin_lock(&lives_lock);
	monitor_work(time_now_ns());
	spin_unlock(&lives_lock);
}

/* What disks have done for this CPU, and what that lets go on. */
static void serve_disks(u64 now)
{
	if (!disks_turn(now))
		return;
	swap_volumes_poll();
	vm_disks_work();
	if (vm_disks_are_urgent())
		sched_call_boot_cpu();
}

noreturn_fn static void loop(void)
{
	u64 console_due = 0, start_turn_end = 0;

	for (;;) {
		u64 now = time_now_ns(), until;
		bool is_busy; /* with VMs that end or start */
		struct vcpu *vcpu;

		cpu_take_pending();
		disks_turn(now);
		swap_volumes_poll();
		vm_disks_work();
		is_busy = look_after_vms(now, &console_due);
		run_queue_wake();
		if (is_busy && time_tsc() < start_turn_end)
			continue;
		until = time_tsc() + slice_ticks;
		vcpu = run_queue_take(&until);
		if (vcpu) {
			run_one(vcpu, turn_end(until));
			serve_monitor();
			start_turn_end = time_tsc() + start_turn_ticks;
			work_on_memory(false);
		} else if (!is_busy && !work_on_memory(true) && !disks_must_poll() &&
			   !vm_disks_are_urgent()) {
			run_queue_idle(turn_end(console_due));
		}
	}
}

noreturn_fn void sched_work(void)
{
	while (!__atomic_load_n(&is_open, __ATOMIC_ACQUIRE)) {
		cpu_idle();
		cpu_take_pending();
	}
	for (;;) {
		struct vcpu *vcpu;
		u64 until;

		cpu_take_pending();
		vcpu_detach_ending();
		serve_disks(time_now_ns());
		/* Where no interrupt tells what is done the boot CPU looks. */
		if (disks_must_poll())
			sched_call_boot_cpu();
		run_queue_wake();
		until = time_tsc() + slice_ticks;
		vcpu = run_queue_take(&until);
		if (vcpu) {
			run_one(vcpu, until);
			work_on_memory(false);
		} else if (!work_on_memory(true)) {
			run_queue_idle(time_tsc() + console_ticks);
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

static void init_times(void)
{
	slice_ticks = time_tsc_from_ns(SCHED_SLICE_NS);
	console_ticks = time_tsc_from_ns(SCHED_CONSOLE_NS);
	park_ticks = time_tsc_from_ns(PARK_RETRY_NS);
	work_ticks = time_tsc_from_ns(WORK_SLICE_NS);
	start_turn_ticks = time_tsc_from_ns(START_TURN_NS);
	monitor_ticks = time_tsc_from_ns(MONITOR_TURN_NS);
	send_ticks = time_tsc_from_ns(TERMINAL_SEND_NS);
}

static void open_for_others(void)
{
	__atomic_store_n(&is_open, true, __ATOMIC_RELEASE);
	for (u32 id = 1; id < cpu_count(); id++)
		irq_send_kick(id);
}

noreturn_fn void sched_run(const struct boot_info *info)
{
	list_init(&vms);
	boot_files_init(info);
	init_times();
	if (run_queues_init())
		panic("no memory for run queues");
	read_config(info);
	reclaim_choose_randomly(config.host.victims == CONFIG_VICTIMS_RANDOM);
	console_start();
	if (memsched_host_init(config.vm_count))
		panic("no memory for the memory scheduler");
	create_vms();
	share_start();
	open_for_others();
	loop();
}
