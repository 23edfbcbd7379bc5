/* Hypercalls: who may call, and the table of calls. */
#include "hv/exit/hypercall.h"
#include "hv/abi/hypercall.h"
#include "hv/hv_ops.h"
#include "hv/exit/kvm_calls.h"
#include "hv/vm/vm.h"

static s64 call_version(struct vcpu *vcpu, u64 highest)
{
	if (highest < 1)
		return BELLOWS_HC_E_VERSION;
	vcpu->vm->abi_version = (u32)min(highest, (u64)BELLOWS_ABI_VERSION);
	return vcpu->vm->abi_version;
}

static s64 call_hide(struct vcpu *vcpu, u64 gfn)
{
	if (!space_is_ram(vcpu->vm->space, GFN(gfn)))
		return BELLOWS_HC_E_INVALID;
	return space_hide(vcpu->vm->space, GFN(gfn)) ? 1 : 0;
}

static s64 call(struct vcpu *vcpu, u64 number)
{
	const u64 *gpr = vcpu->virt.gpr;

	if (number < BELLOWS_HC_FIRST || number > BELLOWS_HC_LAST)
		return kvm_call(vcpu, number);
	if (hv_ops->get_cpl(&vcpu->virt) != 0)
		return BELLOWS_HC_E_PERM;
	if (number == BELLOWS_HC_VERSION)
		return call_version(vcpu, gpr[GPR_RBX]);
	if (vcpu->vm->abi_version == 0)
		return BELLOWS_HC_E_VERSION;
	switch (number) {
	case BELLOWS_HC_BALLOON_HELLO:
	case BELLOWS_HC_BALLOON_TARGET:
	case BELLOWS_HC_BALLOON_INFLATE:
	case BELLOWS_HC_BALLOON_DEFLATE:
	case BELLOWS_HC_BALLOON_STATS:
	case BELLOWS_HC_BALLOON_GOODBYE:
		return balloon_call(vcpu->vm, number, gpr);
	case BELLOWS_HC_DEBUG_HIDE:
		if (!vcpu->vm->config->debug_hypercalls)
			return BELLOWS_HC_E_PERM;
		return call_hide(vcpu, gpr[GPR_RBX]);
	case BELLOWS_HC_DEBUG_HIDE_ALL:
		if (!vcpu->vm->config->debug_hypercalls)
			return BELLOWS_HC_E_PERM;
		return (s64)space_hide_all(vcpu->vm->space);
	default:
		return BELLOWS_HC_E_UNKNOWN;
	}
}

void hypercall_handle(struct vcpu *vcpu)
{
	vcpu->virt.gpr[GPR_RAX] = (u64)call(vcpu, vcpu->virt.gpr[GPR_RAX]);
}
