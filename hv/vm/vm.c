/*
 * A VM's life. Power-on takes what it needs one thing after the other and names what it has to give
 * back; the end gives everything back and keeps the figures.
 */
#include "hv/vm/vm.h"
#include "hv/console/console.h"
#include "hv/disk/guest_disk.h"
#include "hv/hv_ops.h"
#include "hv/sched/run_queue.h"
#include "hv/sched/sched.h"
#include "hv/memory/share.h"
#include "hv/vm/vm_boot.h"
#include "hv/vm/vm_disk.h"
#include "hv/vm/vm_swap.h"
#include "hv/vm/vm_wait.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/balloon/balloon.h"
#include "mm/space/promise.h"
#include "mm/reclaim/reclaim.h"
#include "mm/share/share.h"
#include "mm/swap/swap.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define CPUID_7_EDX_ARCH_CAPABILITIES BIT(29)

static u64 frames_of(u64 bytes)
{
	return (bytes + PAGE_BYTES - 1) >> PAGE_SHIFT;
}

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

/* --- What devices want of their VM ----------------------------------------------------------- */

static void on_kick(void *context, u32 index)
{
	struct vm *vm = context;

	if (index < vm->vcpu_count)
		vcpu_kick(&vm->vcpus[index]);
}

static void on_serial_out(void *context, u8 byte)
{
	struct vm *vm = context;
	bool line = output_put(&vm->output, byte);

	console_guest_byte(vm, byte);
	if (line)
		console_guest_line(vm);
}

static void on_end(void *context, enum vdev_end how)
{
	vm_request_end(context, how == VDEV_RESET ? VM_REQUEST_RESET : VM_REQUEST_POWER_OFF);
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

/*
 * Intel parts without PSCHANGE_MC_NO can be hung by a guest that changes the page size of code:
 * there large leaves must not be executable. Intel, "Machine Check Error on Page Size Change".
 */
static bool large_pages_no_exec(void)
{
	u64 capabilities = 0;

	if (hv_ops->slat != &slat_ept)
		return false;
	if (cpuid(0).eax >= 7 && (cpuid(7).edx & CPUID_7_EDX_ARCH_CAPABILITIES))
		capabilities = rdmsr(MSR_IA32_ARCH_CAPABILITIES);
	return !(capabilities & ARCH_CAP_PSCHANGE_MC_NO);
}

static u64 promised_bytes(const struct vm *vm)
{
	const struct vm_config *config = vm->config;

	return vm_is_promised_all(vm) ? min(config->limit_bytes, config->startup_bytes)
				      : config->reservation_bytes;
}

/* Mem.MemZipMaxPct of its memory, in frames. */
static u64 zip_most_frames(const struct vm *vm)
{
	const struct host_config *host = &sched_config()->host;

	return host->zip_enable ? frames_of(vm->config->memory_bytes) * host->zip_max_pct / 100 : 0;
}

static struct space_config space_config_of(struct vm *vm)
{
	return (struct space_config){
		.name = vm_name(vm),
		.user = vm,
		.memory_bytes = vm->config->memory_bytes,
		.format = hv_ops->slat,
		.large_pages = sched_config()->host.large_pages,
		.large_pages_no_exec = large_pages_no_exec(),
		.no_dirty_bits = !hv_ops->has_dirty_bits(),
		.share_salt = share_salt_of(vm),
		.promised_bytes = promised_bytes(vm),
		.vcpu_count = vm->vcpu_count,
		.zip_most_frames = zip_most_frames(vm),
		.swap = vm->swap,
	};
}

/* memsched's record of promises: vCPUs' words change it on any CPU, and starts and ends. */
static struct spinlock promises = SPINLOCK(LOCK_RANK_PROMISES);

u64 vm_promise(struct vm *vm, u64 pages)
{
	u64 promised;

	spin_lock(&promises);
	promised = promise_move(vm->space, &vm->admitted, pages);
	spin_unlock(&promises);
	return promised;
}

u64 vm_promise_most(const struct vm *vm)
{
	u64 most;

	spin_lock(&promises);
	most = promise_most(vm->space, &vm->admitted);
	spin_unlock(&promises);
	return most;
}

static void take_promise_back(struct vm *vm)
{
	spin_lock(&promises);
	memsched_power_off(&vm->admitted);
	spin_unlock(&promises);
}

static err_t admit(struct vm *vm)
{
	struct space_config space = space_config_of(vm);
	const struct vm_config *config = vm->config;
	err_t err;

	vm->admitted = (struct memsched_request){
		.memory_frames = frames_of(config->memory_bytes),
		.promised_frames = frames_of(promised_bytes(vm)),
		.overhead_frames =
			space_overhead_frames(&space) + vm_swap_frames(vm) + vm_disk_frames(vm) +
			vm->vcpu_count *
				(frames_of(sizeof(struct vcpu)) + frames_of(fpu_area_bytes()) + 4),
	};
	spin_lock(&promises);
	err = memsched_power_on(&vm->admitted, vm->why, sizeof(vm->why));
	spin_unlock(&promises);
	return err;
}

static err_t create_vcpu(struct vm *vm, u32 index)
{
	struct vcpu *vcpu = &vm->vcpus[index];
	err_t err;

	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->state = VCPU_OFF;
	vcpu->loaded_on = VCPU_UNLOADED;
	vcpu->wake_tsc = ~0ull;
	list_init(&vcpu->queue);
	vcpu->virt.space = vm->space;
	vcpu->virt.name = vm_name(vm);
	vcpu->virt.last_cpu = ~0u;
	err = fpu_state_init(&vcpu->virt.fpu);
	if (err)
		return err;
	err = hv_ops->vcpu_init(&vcpu->virt);
	if (err)
		fpu_state_destroy(&vcpu->virt.fpu);
	return err;
}

static void destroy_vcpus(struct vm *vm, u32 count)
{
	struct vcpu *vcpus = vm->vcpus;

	sched_set_vcpus(vm, NULL);
	for (u32 i = 0; i < count; i++) {
		vcpu_detach(&vcpus[i]);
		hv_ops->vcpu_destroy(&vcpus[i].virt);
		fpu_state_destroy(&vcpus[i].virt.fpu);
	}
	kmem_free(vcpus, vm->vcpu_count * sizeof(struct vcpu));
}

static err_t create_vcpus(struct vm *vm)
{
	struct vcpu *vcpus = kmem_alloc(vm->vcpu_count * sizeof(struct vcpu));

	if (!vcpus)
		return E_NOMEM;
	sched_set_vcpus(vm, vcpus);
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		err_t err = create_vcpu(vm, i);

		if (err) {
			destroy_vcpus(vm, i);
			return err;
		}
	}
	return 0;
}

static err_t create_devices(struct vm *vm)
{
	struct vdev_config config = {
		.vcpu_count = vm->vcpu_count,
		.memory_bytes = vm->config->memory_bytes,
		.tsc_khz = time_tsc_khz(),
		.boot_epoch_s = time_boot_epoch(),
		.disk = vm->disk ? guest_disk_mmio(vm->disk) : NULL,
		.host =
			{
				.context = vm,
				.kick = on_kick,
				.serial_out = on_serial_out,
				.end = on_end,
			},
	};

	err_t err = vdev_create(&vm->vdev, &config);

	if (!err)
		vm_disk_open(vm);
	return err;
}

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

/* Admission and memory done: the rest of power-on. */
static err_t power_on(struct vm *vm)
{
	err_t err = create_devices(vm);

	if (err)
		goto no_devices;
	err = create_vcpus(vm);
	if (err)
		goto destroy_devices;
	err = vm_boot_begin(vm, vm->why, sizeof(vm->why));
	if (err)
		goto destroy_cpus;
	return 0;

destroy_cpus:
	destroy_vcpus(vm, vm->vcpu_count);
destroy_devices:
	vm_disk_close(vm);
	vdev_destroy(vm->vdev);
	vm->vdev = NULL;
no_devices:
	if (!vm->why[0])
		fmt_snprintf(vm->why, sizeof(vm->why), "%s", err_name(err));
	return err;
}

/* The swap file goes with it. Nothing of it was touched. */
static void destroy_space(struct vm *vm)
{
	space_destroy(vm->space);
	vm->space = NULL;
	vm->swap = NULL;
}

static err_t try_start(struct vm *vm)
{
	struct space_config space;
	err_t err;

	vm->why[0] = '\0';
	if (!vm->config->startable) {
		fmt_snprintf(vm->why, sizeof(vm->why), "%s", vm->config->problem);
		return E_INVAL;
	}
	err = vm_disk_find(vm, vm->why, sizeof(vm->why));
	if (err)
		return err;
	err = vm_swap_create(vm, vm->why, sizeof(vm->why));
	if (err)
		goto close_disk;
	err = admit(vm);
	if (err)
		goto abandon_swap;
	space = space_config_of(vm);
	err = space_create(&vm->space, &space);
	if (err) {
		fmt_snprintf(vm->why, sizeof(vm->why), "its memory: %s", err_name(err));
		goto take_back_promise;
	}
	err = power_on(vm);
	if (err)
		goto destroy_space;
	return 0;

destroy_space:
	destroy_space(vm);
take_back_promise:
	take_promise_back(vm);
abandon_swap:
	if (vm->swap)
		swap_file_abandon(vm->swap);
	vm->swap = NULL;
close_disk:
	vm_disk_close(vm);
	return err;
}

err_t vm_start(struct vm *vm)
{
	err_t err;

	if (vm_is_on(vm))
		return E_BUSY;
	vm->start_wanted = vm->config->startable && vm_wait_must(vm);
	if (vm->start_wanted)
		return E_WAIT;
	output_new_run(&vm->output);
	memset(&vm->last, 0, sizeof(vm->last));
	vm->verdict = VM_VERDICT_NONE;
	vm->state = VM_OFF;
	vm->hide_every = vm->hide_countdown = vm->config->debug_hide_every;
	vm->reclaim_every = vm->reclaim_countdown = vm->config->debug_reclaim_every;
	vm->balloon.asked_pages = 0;
	memset(&vm->join, 0, sizeof(vm->join));
	err = try_start(vm);
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

/* Everything that power-on allocated; but its memory may be much, and is freed by and by. */
static void release(struct vm *vm)
{
	vm_boot_drop(vm);
	/* From now on no request that comes back, on whichever CPU, interrupts a vCPU. */
	vm_disk_close(vm);
	destroy_vcpus(vm, vm->vcpu_count);
	vdev_destroy(vm->vdev);
	vm->vdev = NULL;
}

static u64 ns_until(u64 until)
{
	u64 now = time_tsc();

	return until > now ? time_ns_from_tsc(until - now) : 0;
}

void vm_release_some(struct vm *vm, u64 until)
{
	if (!space_destroy_some(vm->space, ns_until(until)))
		return;
	vm->space = NULL;
	vm->swap = NULL;
	take_promise_back(vm);
}

static void not_started(struct vm *vm, const char *why)
{
	if (vm->is_reset) {
		vm_end(vm, VM_STOPPED, why);
		return;
	}
	fmt_snprintf(vm->why, sizeof(vm->why), "%s", why);
	log_error("%s: not started: %s", vm_name(vm), why);
	release(vm);
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
	release(vm);
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
