/* KVM's hypercalls: each argument is hostile, and can name vCPUs of the caller's own VM only. */
#include "hv/exit/kvm_calls.h"
#include "hv/abi/kvm.h"
#include "hv/hv_ops.h"
#include "hv/vm/vm.h"

#define ICR_VECTOR   BITS(7, 0)
#define ICR_MODE     BITS(10, 8)
#define ICR_ASSERT   BIT(14)
#define ICR_FIXED    0ull
#define ICR_NMI      BIT(10)
#define FIRST_VECTOR 16u

/* In 32-bit mode the bitmap's two words have 32 bits each. The second has none in 64-bit mode, for
 * there are not so many vCPUs. */
_Static_assert(CONFIG_VCPUS_MAX <= 64, "KVM_HC_SEND_IPI's first word names all");

static s64 send_ipi(struct vcpu *vcpu)
{
	const u64 *gpr = vcpu->virt.gpr;
	u64 icr = gpr[GPR_RSI], mode = icr & ICR_MODE;
	struct vm *vm = vcpu->vm;
	u32 count;

	if (icr & ~(ICR_VECTOR | ICR_MODE | ICR_ASSERT) || (mode != ICR_FIXED && mode != ICR_NMI) ||
		(mode == ICR_FIXED && (icr & ICR_VECTOR) < FIRST_VECTOR))
		return KVM_E_INVAL;
	spin_lock(&vm->lock);
	count = vdev_send_ipi(vm->vdev, gpr[GPR_RBX] | gpr[GPR_RCX] << 32, gpr[GPR_RDX],
		mode == ICR_NMI, (u8)icr);
	spin_unlock(&vm->lock);
	return count;
}

static s64 kick_cpu(struct vcpu *vcpu, u64 id)
{
	if (id >= vcpu->vm->vcpu_count)
		return KVM_E_INVAL;
	__atomic_store_n(&vcpu->vm->vcpus[id].unhalted, true, __ATOMIC_SEQ_CST);
	vcpu_kick(&vcpu->vm->vcpus[id]);
	return 0;
}

s64 kvm_call(struct vcpu *vcpu, u64 number)
{
	if (number != KVM_HC_KICK_CPU && number != KVM_HC_SEND_IPI)
		return KVM_E_NOSYS;
	if (hv_ops->get_cpl(&vcpu->virt) != 0)
		return KVM_E_PERM;
	/* It may be one of those that it sends to, or stand in the way of one. */
	vcpu->attention = true;
	return number == KVM_HC_SEND_IPI ? send_ipi(vcpu) : kick_cpu(vcpu, vcpu->virt.gpr[GPR_RCX]);
}
