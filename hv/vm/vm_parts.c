/*
 * Each part is taken after those that it stands on; where one is not to be had, labels give back
 * those before it by name. What the end gives back is the same, but for the disk the other way
 * round.
 */
#include "hv/vm/vm_parts.h"
#include "hv/console/console.h"
#include "hv/disk/guest_disk.h"
#include "hv/hv_ops.h"
#include "hv/memory/share.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm_boot.h"
#include "hv/vm/vm_disk.h"
#include "hv/vm/vm_promise.h"
#include "hv/vm/vm_swap.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/swap/swap.h"

#define CPUID_7_EDX_ARCH_CAPABILITIES BIT(29)

static u64 frames_of(u64 bytes)
{
	return (bytes + PAGE_BYTES - 1) >> PAGE_SHIFT;
}

/* --- Memory ---------------------------------------------------------------------------------- */

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
		.promised_bytes = vm_promise_first_bytes(vm),
		.vcpu_count = vm->vcpu_count,
		.zip_most_frames = zip_most_frames(vm),
		.swap = vm->swap,
	};
}

/* What it has before it has memory. */
static u64 held_frames(const struct vm *vm)
{
	return vm_swap_frames(vm) + vm_disk_frames(vm);
}

/* What the hypervisor needs for it besides its memory. */
static u64 overhead_frames(struct vm *vm)
{
	struct space_config space = space_config_of(vm);
	u64 of_vcpu = frames_of(sizeof(struct vcpu)) + frames_of(fpu_area_bytes()) + 4;

	return space_overhead_frames(&space) + held_frames(vm) + vm->vcpu_count * of_vcpu;
}

/* --- vCPUs ----------------------------------------------------------------------------------- */

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

/* --- Devices, and what they want of their VM ------------------------------------------------- */

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

/* --- All of it ------------------------------------------------------------------------------- */

/* There is memory: all that works on it. */
static err_t take_the_rest(struct vm *vm)
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

err_t vm_parts_take(struct vm *vm)
{
	struct space_config space;
	err_t err = vm_disk_find(vm, vm->why, sizeof(vm->why));

	if (err)
		return err;
	err = vm_swap_create(vm, vm->why, sizeof(vm->why));
	if (err)
		goto close_disk;
	err = vm_promise_begin(vm, overhead_frames(vm), held_frames(vm));
	if (err)
		goto abandon_swap;
	space = space_config_of(vm);
	err = space_create(&vm->space, &space);
	if (err) {
		fmt_snprintf(vm->why, sizeof(vm->why), "its memory: %s", err_name(err));
		goto take_back_promise;
	}
	err = take_the_rest(vm);
	if (err)
		goto destroy_space;
	return 0;

destroy_space:
	destroy_space(vm);
take_back_promise:
	vm_promise_end(vm);
abandon_swap:
	if (vm->swap)
		swap_file_abandon(vm->swap);
	vm->swap = NULL;
close_disk:
	vm_disk_close(vm);
	return err;
}

void vm_parts_release(struct vm *vm)
{
	vm_boot_drop(vm);
	/* From now on no request that comes back, on whichever CPU, interrupts a vCPU. */
	vm_disk_close(vm);
	destroy_vcpus(vm, vm->vcpu_count);
	vdev_destroy(vm->vdev);
	vm->vdev = NULL;
}

void vm_parts_free_some(struct vm *vm, u64 for_ns)
{
	if (!space_destroy_some(vm->space, for_ns))
		return;
	vm->space = NULL;
	vm->swap = NULL;
	vm_promise_end(vm);
}
