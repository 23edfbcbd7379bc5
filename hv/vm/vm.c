/*
 * A VM's life: who may ask for what becomes of it, and each step from one state to the next. What
 * it is made of while it is on, vm_parts.c takes and gives back; the end keeps the figures.
 */
#include "hv/vm/vm.h"
#include "hv/console/console.h"
#include "hv/sched/run_queue.h"
#include "hv/sched/sched.h"
#include "hv/memory/share.h"
#include "hv/vm/vm_boot.h"
#include "hv/vm/vm_disk.h"
#include "hv/vm/vm_parts.h"
#include "hv/vm/vm_wait.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/reclaim/reclaim.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

struct vm *vm_create(const struct vm_config *config)
{
	struct vm *vm = kmem_alloc(sizeof(*vm));
	u8 *ring = kmem_alloc(OUTPUT_RING_BYTES);

	if (!vm || !ring) {
		if (vm)
			kmem_free(vm, sizeof(*vm));
		if (ring)
			kmem_free(ring, OUTPUT_RING_BYTES);
		return NULL;
	}
	memset(vm, 0, sizeof(*vm));
	list_init(&vm->all);
	spin_init(&vm->lock, LOCK_RANK_VM);
	spin_init(&vm->vcpus_lock, LOCK_RANK_VM_VCPUS);
	vm->config = config;
	vm->vcpu_count = config->vcpus;
	output_init(&vm->output, ring);
	return vm;
}

void vm_request_end(struct vm *vm, enum vm_request how)
{
	u32 none = VM_REQUEST_NONE;

	__atomic_compare_exchange_n(
		&vm->request, &none, how, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	sched_call_boot_cpu();
}

void vm_break(struct vm *vm, const char *fmt, ...)
{
	va_list args;

	if (__atomic_exchange_n(&vm->is_broken, true, __ATOMIC_SEQ_CST))
		return;
	va_start(args, fmt);
	fmt_vsnprintf(vm->why, sizeof(vm->why), fmt, args);
	va_end(args);
	__atomic_store_n(&vm->request, VM_REQUEST_STOP, __ATOMIC_SEQ_CST);
	sched_call_boot_cpu();
}

/* From here on no vCPU of it runs, and none is in the hardware of another CPU. */
static void halt(struct vm *vm)
{
	vm_request_end(vm, VM_REQUEST_POWER_OFF);
	for (u32 i = 0; i < vm->vcpu_count; i++)
		run_queue_stop(&vm->vcpus[i]);
}

static void forget_requests(struct vm *vm)
{
	__atomic_store_n(&vm->is_broken, false, __ATOMIC_RELAXED);
	__atomic_store_n(&vm->request, VM_REQUEST_NONE, __ATOMIC_SEQ_CST);
}

/* --- Power-on -------------------------------------------------------------------------------- */

/* When all is in place: the guest's clocks start at 0, its devices at their power-on state. */
static void start_time(struct vm *vm)
{
	vm->tsc_origin = time_tsc();
	vm->origin_ns = time_now_ns();
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		vm->vcpus[i].virt.tsc_offset = -vm->tsc_origin;
		vm->vcpus[i].virt.tsc_dirty = true;
	}
	vdev_reset(vm->vdev, vm->origin_ns);
	vm->abi_version = 0;
	balloon_began(vm);
	forget_requests(vm);
}

/* All but the first are off, and wait for it to start them. */
static void schedule(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++)
		run_queue_start(&vm->vcpus[i]);
}

static err_t try_start(struct vm *vm)
{
	vm->why[0] = '\0';
	if (!vm->config->startable) {
		fmt_snprintf(vm->why, sizeof(vm->why), "%s", vm->config->problem);
		return E_INVAL;
	}
	return vm_parts_take(vm);
}

/* Its last run is over, also for who asks. */
static void forget_last_run(struct vm *vm)
{
	output_new_run(&vm->output);
	memset(&vm->last, 0, sizeof(vm->last));
	vm->verdict = VM_VERDICT_NONE;
	vm->state = VM_OFF;
	vm->hide_every = vm->hide_countdown = vm->config->debug_hide_every;
	vm->reclaim_every = vm->reclaim_countdown = vm->config->debug_reclaim_every;
	vm->balloon.asked_pages = 0;
	memset(&vm->join, 0, sizeof(vm->join));
}

err_t vm_start(struct vm *vm)
{
	char last_why[VM_WHY_BYTES];
	err_t err;

	if (vm_is_on(vm))
		return E_BUSY;
	vm->start_wanted = vm->config->startable && vm_wait_must(vm);
	if (vm->start_wanted)
		return E_WAIT;
	memcpy(last_why, vm->why, sizeof(last_why));
	err = try_start(vm);
	vm->start_wanted = vm_wait_again(vm, err);
	if (vm->start_wanted) {
		memcpy(vm->why, last_why, sizeof(vm->why));
		return E_WAIT;
	}
	forget_last_run(vm);
	if (err) {
		vm->ended = true;
		log_error("%s: not started: %s", vm_name(vm), vm->why);
		return err;
	}
	vm->ended = false;
	vm->is_reset = false;
	forget_requests(vm);
	vm->state = VM_STARTING;
	return 0;
}

static u64 ns_until(u64 until)
{
	u64 now = time_tsc();

	return until > now ? time_ns_from_tsc(until - now) : 0;
}

void vm_release_some(struct vm *vm, u64 until)
{
	vm_parts_free_some(vm, ns_until(until));
}

static void not_started(struct vm *vm, const char *why)
{
	if (vm->is_reset) {
		vm_end(vm, VM_STOPPED, why);
		return;
	}
	fmt_snprintf(vm->why, sizeof(vm->why), "%s", why);
	log_error("%s: not started: %s", vm_name(vm), why);
	vm_parts_release(vm);
	vm->state = VM_OFF;
	vm->ended = true;
	console_guest_ended(vm);
}

/* Before its kernel is loaded again, all that it had written goes. */
static err_t reset_some(struct vm *vm, u64 until, char *why, size_t why_bytes)
{
	err_t err = E_WAIT;

	if (space_clear_some(vm->space, ns_until(until)))
		err = vm_boot_begin(vm, why, why_bytes);
	return err ? err : E_WAIT;
}

void vm_continue_start(struct vm *vm, u64 until)
{
	char why[VM_WHY_BYTES];
	err_t err = vm->boot ? vm_boot_some(vm, until, why, sizeof(why))
			     : reset_some(vm, until, why, sizeof(why));

	if (err == E_WAIT)
		return;
	if (err) {
		not_started(vm, why);
		return;
	}
	start_time(vm);
	share_vm_began(vm);
	memsched_vm_began(vm);
	watch_vm_began(vm);
	vm->state = VM_RUNNING;
	if (vm->is_reset) {
		vm->resets++;
	} else {
		vm->starts++;
		log_info("%s: started, %llu MiB, %u vCPU%s", vm_name(vm),
			(unsigned long long)(vm->config->memory_bytes >> 20), vm->vcpu_count,
			vm->vcpu_count == 1 ? "" : "s");
	}
	schedule(vm);
}

/* --- The end --------------------------------------------------------------------------------- */

static enum vm_verdict judge(const struct vm *vm)
{
	if (vm->output.reported_fail)
		return VM_VERDICT_FAILED;
	if (vm->state == VM_STOPPED)
		return VM_VERDICT_STOPPED;
	return vm->output.reported_ok ? VM_VERDICT_OK : VM_VERDICT_NONE;
}

void vm_end(struct vm *vm, enum vm_state state, const char *why)
{
	halt(vm);
	vm_figures_keep(vm);
	fmt_snprintf(vm->why, sizeof(vm->why), "%s", why);
	if (state == VM_STOPPED)
		log_error("%s: stopped: %s", vm_name(vm), why);
	else
		log_info("%s: %s", vm_name(vm), why);
	vm_parts_release(vm);
	forget_requests(vm);
	vm->state = state;
	vm->verdict = judge(vm);
	vm->ended = true;
	console_guest_ended(vm);
}

static void reset_vcpu(struct vcpu *vcpu)
{
	vcpu_detach(vcpu);
	vcpu_init_registers(vcpu);
	fpu_state_reset(&vcpu->virt.fpu);
	vcpu->wall_clock_msr = vcpu->system_time_msr = 0;
	vcpu->steal.ticks = 0;
}

void vm_reset(struct vm *vm)
{
	halt(vm);
	log_info("%s: reset", vm_name(vm));
	for (u32 i = 0; i < vm->vcpu_count; i++)
		reset_vcpu(&vm->vcpus[i]);
	vm_disk_reset(vm);
	forget_requests(vm);
	vm->output.reported_ok = false;
	vm->is_reset = true;
	vm->state = VM_STARTING;
}

/* --- Debug --------------------------------------------------------------------------------- */

void vm_debug_reclaim(struct vm *vm)
{
	if (--vm->reclaim_countdown > 0)
		return;
	vm->reclaim_countdown = vm->reclaim_every;
	reclaim_everything(vm->space);
}

void vm_debug_hide(struct vm *vm)
{
	if (--vm->hide_countdown > 0)
		return;
	vm->hide_countdown = vm->hide_every;
	space_hide_all(vm->space);
}

const char *vm_state_name(const struct vm *vm)
{
	if (vm->start_wanted)
		return "waiting";
	switch (vm->state) {
	case VM_STARTING:
		return "starting";
	case VM_RUNNING:
		return "running";
	case VM_STOPPED:
		return "stopped";
	default:
		return "off";
	}
}
