/*
 * The machine that the CPUID policy starts from: this CPU. The backends set the VMCS controls for
 * RDTSCP, RDPID and INVPCID wherever the CPU has the instructions, and SVM intercepts none of them.
 */
#include "hv/vdev/cpuid.h"
#include "hv/x86/fpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"

#define LEAF_7_EDX_ARCH_CAPABILITIES BIT(29)

static void read_leaf(u32 leaf, u32 subleaf, u32 out[4])
{
	struct cpuid r = cpuid_or_zero(leaf, subleaf);

	out[CPUID_EAX] = r.eax;
	out[CPUID_EBX] = r.ebx;
	out[CPUID_ECX] = r.ecx;
	out[CPUID_EDX] = r.edx;
}

void cpuid_host_get(struct cpuid_host *out)
{
	*out = (struct cpuid_host){
		.read = read_leaf,
		.xcr0_mask = fpu_guest_xcr0_mask(),
		.rdtscp_works = true,
		.invpcid_works = true,
	};
	if ((cpuid_or_zero(7, 0).edx & LEAF_7_EDX_ARCH_CAPABILITIES) &&
		rdmsr_safe(MSR_IA32_ARCH_CAPABILITIES, &out->arch_capabilities) != 0)
		out->arch_capabilities = 0;
}
