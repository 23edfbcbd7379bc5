/*
 * Virtual-processor identifiers: which tag a vCPU's translations carry in every CPU's TLB, and when
 * they must go.
 *
 * A vCPU has one tag for its life, and the next vCPU has it then. What the one before left behind
 * on some CPU is flushed as what a vCPU itself left there is: a tag holds good on the CPU that ran
 * its vCPU last, and on any other it is flushed first. SDM vol. 3C, "Virtual-Processor Identifiers
 * (VPIDs)", "Cached Translation Information".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/cpu.h"
#include "mm/base/check.h"
#include "mm/space/tlb.h"

#define VPID_COUNT 65536u

static u64 used[VPID_COUNT / 64] = {1}; /* [a] VPID 0 is the host's */

u16 vmx_vpid_alloc(void)
{
	u32 i, bit;

	for (i = 0; i < ARRAY_COUNT(used); i++) {
		u64 word = __atomic_load_n(&used[i], __ATOMIC_RELAXED);

		while (~word) {
			bit = (u32)__builtin_ctzll(~word);
			if (__atomic_compare_exchange_n(&used[i], &word, word | BIT(bit), false,
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
				return (u16)(i * 64 + bit);
		}
	}
	return 0;
}

void vmx_vpid_free(u16 vpid)
{
	__atomic_fetch_and(&used[vpid / 64], ~BIT(vpid % 64), __ATOMIC_RELEASE);
}

void vmx_vpid_loaded(struct virt_vcpu *vcpu)
{
	u32 id = this_cpu()->id;

	if (vcpu->last_cpu == id)
		return;
	vcpu->last_cpu = id;
	vmx_of(vcpu)->flush_all = true;
}

void vmx_flush_stale(struct virt_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	bool narrowed = tlb_enter(&vcpu->space->tlb);

	if (narrowed || vmx->flush_all)
		CHECK(insn_invept(INVEPT_SINGLE, vmx->eptp));
	if (vmx->flush_all) {
		vmx_flush_linear(vmx);
		vmx->flush_all = false;
	}
}
