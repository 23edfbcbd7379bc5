/*
 * Whether a CPU has what Bellows needs: VT-x with EPT and unrestricted guests, or SVM with nested
 * paging, and not switched off by the firmware. The hypervisor asks again, of every CPU and for
 * more; here it is asked while there is a screen and a way back into firmware set-up.
 */
#include "boot/bootcpu.h"

/* Intel SDM volume 3, "Enabling and Entering VMX Operation". */
#define FEATURE_CONTROL_LOCKED BIT(0)
#define FEATURE_CONTROL_VMX    BIT(2) /* outside SMX */
/* Intel SDM volume 3, "VMX Capability Reporting Facility": the high half says what may be 1. */
#define PROC_MAY_USE_SECONDARY    BIT(32 + 31)
#define PROC2_MAY_USE_EPT         BIT(32 + 1)
#define PROC2_MAY_BE_UNRESTRICTED BIT(32 + 7)
#define EPT_WALK_4                BIT(6)
#define EPT_WRITE_BACK            BIT(14)
#define EPT_INVEPT                BIT(20)
/* AMD APM volume 2, "Enabling SVM"; "VM_CR MSR". */
#define VM_CR_SVM_DISABLED BIT(4)
#define SVM_NESTED_PAGING  BIT(0)

#define IN_SETUP "turn it on in the firmware's set-up"

bool bootcpu_has_proc2(const struct bootcpu_facts *facts)
{
	return facts->vmx && (facts->proc_controls & PROC_MAY_USE_SECONDARY);
}

bool bootcpu_has_ept(const struct bootcpu_facts *facts)
{
	return bootcpu_has_proc2(facts) && (facts->proc2_controls & PROC2_MAY_USE_EPT);
}

static struct bootcpu_verdict refuse(const char *problem, const char *remedy)
{
	return (struct bootcpu_verdict){.problem = problem, .remedy = remedy};
}

static struct bootcpu_verdict judge_vmx(const struct bootcpu_facts *f)
{
	const u64 ept_needs = EPT_WALK_4 | EPT_WRITE_BACK | EPT_INVEPT;

	if ((f->feature_control & FEATURE_CONTROL_LOCKED) &&
		!(f->feature_control & FEATURE_CONTROL_VMX))
		return refuse("VT-x is switched off and locked by the firmware",
			IN_SETUP " (CPU settings: \"Intel Virtualization Technology\", \"VMX\"), "
				 "then switch the machine off and on");
	if (!bootcpu_has_ept(f) || (f->ept_capabilities & ept_needs) != ept_needs)
		return refuse("this CPU has VT-x, but no extended page tables (EPT)",
			"a newer CPU is needed (Westmere, 2010, or later)");
	if (!(f->proc2_controls & PROC2_MAY_BE_UNRESTRICTED))
		return refuse("this CPU has VT-x, but no unrestricted guests",
			"a newer CPU is needed (Westmere, 2010, or later)");
	return (struct bootcpu_verdict){.uses = "VT-x with EPT"};
}

static struct bootcpu_verdict judge_svm(const struct bootcpu_facts *f)
{
	if (f->vm_cr & VM_CR_SVM_DISABLED)
		return refuse("AMD-V (SVM) is switched off by the firmware",
			IN_SETUP " (CPU settings: \"SVM Mode\", \"Virtualization\")");
	if (!(f->svm_features & SVM_NESTED_PAGING))
		return refuse("this CPU has AMD-V, but no nested paging",
			"a newer CPU is needed (Barcelona, 2007, or later)");
	return (struct bootcpu_verdict){.uses = "AMD-V with nested paging"};
}

struct bootcpu_verdict bootcpu_judge(const struct bootcpu_facts *facts)
{
	if (facts->vmx)
		return judge_vmx(facts);
	if (facts->svm)
		return judge_svm(facts);
	if (facts->hypervisor_present)
		return refuse("this virtual machine has neither VT-x nor AMD-V (SVM)",
			"turn on nested virtualisation for it in the hypervisor it runs under");
	return refuse("this CPU shows neither VT-x nor AMD-V (SVM)",
		IN_SETUP " if it is listed there; otherwise this CPU cannot run Bellows");
}
