/* Nobody is woken from outside but through the IOAPIC: see vcpu_halt.h. */
#include "hv/vm/vcpu_halt.h"
#include "hv/vm/vm.h"

bool vcpu_halt_is_over(struct vcpu *vcpu)
{
	struct vdev *vdev = vcpu->vm->vdev;

	vcpu->nmi_pending |= vdev_nmi_take(vdev, vcpu->index);
	return (vcpu->nmi_pending && !vcpu->nmi_blocked) ||
	       vdev_start_is_pending(vdev, vcpu->index) ||
	       __atomic_load_n(&vcpu->unhalted, __ATOMIC_SEQ_CST);
}

/*
 * An INIT counts also where it leaves the vCPU off: that is looked at when it has been taken.
 * Another CPU's vCPU may change its state meanwhile, but VCPU_OFF is entered and left with the VM's
 * lock held, or while none of the VM's vCPUs is queued.
 */
static bool may_go_on(struct vcpu *vcpu)
{
	if (__atomic_load_n(&vcpu->state, __ATOMIC_RELAXED) == VCPU_OFF)
		return vdev_start_is_pending(vcpu->vm->vdev, vcpu->index);
	return !vcpu->is_stuck || vcpu_halt_is_over(vcpu);
}

void vcpu_halt_look(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		if (may_go_on(&vm->vcpus[i]))
			return;
	}
	if (vdev_device_may_wake(vm->vdev))
		return;
	/* The first is never off: INIT starts it again. */
	vm_break(vm, "halted for good: HLT with interrupts off, rip %#llx",
		(unsigned long long)vm->vcpus[0].virt.rip);
}
