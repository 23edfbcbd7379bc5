/* The paravirtual clock's two records. */
#include "hv/vm/pvclock.h"
#include "hv/abi/pvclock.h"
#include "hv/memory/guest_mem.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"

bool pvclock_is_msr(u32 index)
{
	return index == PVCLOCK_MSR_WALL_CLOCK || index == PVCLOCK_MSR_SYSTEM_TIME ||
	       index == PVCLOCK_MSR_WALL_CLOCK_OLD || index == PVCLOCK_MSR_SYSTEM_TIME_OLD;
}

static bool is_wall(u32 index)
{
	return index == PVCLOCK_MSR_WALL_CLOCK || index == PVCLOCK_MSR_WALL_CLOCK_OLD;
}

static err_t put(struct vcpu *vcpu, u64 gpa, const void *record, size_t bytes)
{
	err_t err = guest_mem_write(vcpu->virt.space, GPA(gpa), record, bytes);

	return err == E_RANGE ? E_INVAL : err;
}

static err_t put_wall(struct vcpu *vcpu, u64 gpa)
{
	u64 ns = vcpu->vm->origin_ns;
	struct pvclock_wall record = {
		.version = 2,
		.seconds = (u32)(time_boot_epoch() + ns / 1000000000ull),
		.nanoseconds = (u32)(ns % 1000000000ull),
	};

	return put(vcpu, gpa, &record, sizeof(record));
}

static err_t put_time(struct vcpu *vcpu, u64 gpa)
{
	/* What this vCPU's TSC showed at the VM's power-on: 0, unless the guest moved it. */
	struct pvclock_time record = {
		.version = 2,
		.tsc_timestamp = vcpu->vm->tsc_origin + vcpu->virt.tsc_offset,
		.system_time = 0,
		.flags = PVCLOCK_FLAG_TSC_STABLE,
	};

	pvclock_scale(time_tsc_khz(), &record.tsc_to_system_mul, &record.tsc_shift);
	return put(vcpu, gpa, &record, sizeof(record));
}

err_t pvclock_msr_write(struct vcpu *vcpu, u32 index, u64 value)
{
	err_t err = 0;

	if (is_wall(index)) {
		err = put_wall(vcpu, value);
		if (!err)
			vcpu->wall_clock_msr = value;
		return err;
	}
	if (value & PVCLOCK_ENABLE)
		err = put_time(vcpu, value & ~PVCLOCK_ENABLE);
	if (!err)
		vcpu->system_time_msr = value;
	return err;
}

u64 pvclock_msr_read(const struct vcpu *vcpu, u32 index)
{
	return is_wall(index) ? vcpu->wall_clock_msr : vcpu->system_time_msr;
}

err_t pvclock_update(struct vcpu *vcpu)
{
	if (!(vcpu->system_time_msr & PVCLOCK_ENABLE))
		return 0;
	return put_time(vcpu, vcpu->system_time_msr & ~PVCLOCK_ENABLE);
}
