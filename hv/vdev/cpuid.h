/*
 * What CPUID says to a guest: for each leaf, the host's answer cut down to a list of what works in
 * a guest, with what the hypervisor makes itself put in. Whatever is not listed is not shown, so a
 * new CPU's new feature stays hidden until somebody adds it here. Pure: the host's CPUID comes
 * through a struct.
 */
#ifndef HV_VDEV_CPUID_H
#define HV_VDEV_CPUID_H

#include "mm/base/types.h"

enum { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

#define CPUID_MAX_VCPU_COUNT 255u

/* What the policy asks of the machine below. cpuid_host.c fills one in; tests make others. */
struct cpuid_host {
	/* CPUID as the CPU answers it; leaves beyond its highest give zeros. */
	void (*read)(u32 leaf, u32 subleaf, u32 out[4]);
	u64 xcr0_mask;         /* state components that are switched; 0: no XSAVE */
	u64 arch_capabilities; /* IA32_ARCH_CAPABILITIES, 0 where there is none */
	/*
	 * Instructions that need a control of the backend's: shown only where it sets that control.
	 * (RDTSCP and RDPID, INVPCID; SVM and its plain intercepts allow them all.)
	 */
	bool rdtscp_works, invpcid_works;
};

struct cpuid_policy {
	struct cpuid_host host;
	u32 vcpu_count;
	u64 tsc_khz; /* the guest's */
	bool intel;
	u32 max_leaf, max_extended_leaf; /* that are shown */
	u32 xsave_bytes;                 /* area that holds all of xcr0_mask */
};

/* The state of the asking vCPU that some leaves show. */
struct cpuid_state {
	u32 apic_id;
	u64 cr4, xcr0;
	bool apic_enabled;
};

void cpuid_policy_init(
	struct cpuid_policy *policy, const struct cpuid_host *host, u32 vcpu_count, u64 tsc_khz);
void cpuid_answer(const struct cpuid_policy *policy, const struct cpuid_state *state, u32 leaf,
	u32 subleaf, u32 out[4]);

/* IA32_ARCH_CAPABILITIES as guests see it: the immunities only. 0: not shown. */
u64 cpuid_arch_capabilities(const struct cpuid_policy *policy);
/* The machine we run on (hypervisor only). */
void cpuid_host_get(struct cpuid_host *out);

#endif
