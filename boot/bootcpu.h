/* Can this CPU run Bellows? The decision alone, without the asking. Pure. */
#ifndef BOOT_BOOTCPU_H
#define BOOT_BOOTCPU_H

#include "mm/base/types.h"

/* What the CPU says; MSRs are 0 where the CPU does not have them. */
struct bootcpu_facts {
	bool hypervisor_present; /* CPUID: Bellows itself is in a virtual machine */

	bool vmx;
	u64 feature_control;  /* IA32_FEATURE_CONTROL */
	u64 proc_controls;    /* IA32_VMX_PROCBASED_CTLS */
	u64 proc2_controls;   /* IA32_VMX_PROCBASED_CTLS2 */
	u64 ept_capabilities; /* IA32_VMX_EPT_VPID_CAP */

	bool svm;
	u64 vm_cr;        /* VM_CR */
	u32 svm_features; /* CPUID 8000000A EDX */
};

struct bootcpu_verdict {
	const char *problem; /* NULL: this CPU will do */
	const char *remedy;  /* what a person can do about it; NULL with problem NULL */
	const char *uses;    /* "VT-x with EPT" ...; NULL if there is a problem */
};

/* Which MSRs may be read, in the order in which the CPU's answers allow it. */
bool bootcpu_has_proc2(const struct bootcpu_facts *facts); /* needs proc_controls */
bool bootcpu_has_ept(const struct bootcpu_facts *facts);   /* needs proc2_controls */

struct bootcpu_verdict bootcpu_judge(const struct bootcpu_facts *facts);

#endif
