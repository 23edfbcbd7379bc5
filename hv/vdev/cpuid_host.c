/*
 * The machine that the CPUID policy starts from: the CPU that starts the first VM. Its answers are
 * read once and kept, so that a guest's CPUID costs no CPUID here (below another hypervisor each is
 * an exit), and every CPU gives a guest the same answers. The backends set the VMCS controls for
 * RDTSCP, RDPID and INVPCID wherever the CPU has the instructions, and SVM intercepts none of them.
 */
#include "hv/vdev/cpuid.h"
#include "hv/x86/fpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"

#define LEAF_7_EDX_ARCH_CAPABILITIES BIT(29)

/* What the policy may ask for, in one array: ranges of leaves and of subleaves. */
static const struct {
	u32 leaf, subleaf, count;
	bool subleaves; /* count runs over them, else over leaves */
} ranges[] = {
	{0, 0, 0x20, false},
	{4, 1, 7, true},
	{7, 1, 1, true},
	{0xd, 1, 62, true},
	{0x80000000u, 0, 9, false},
};

#define KEPT_COUNT (0x20 + 7 + 1 + 62 + 9)

static struct cpuid kept[KEPT_COUNT];
static bool kept_valid;

static void read_all(void)
{
	u32 n = 0;

	for (u32 i = 0; i < ARRAY_COUNT(ranges); i++) {
		for (u32 j = 0; j < ranges[i].count; j++) {
			u32 leaf = ranges[i].leaf + (ranges[i].subleaves ? 0 : j);
			u32 subleaf = ranges[i].subleaf + (ranges[i].subleaves ? j : 0);

			kept[n++] = cpuid_or_zero(leaf, subleaf);
		}
	}
}

static const struct cpuid *find(u32 leaf, u32 subleaf)
{
	u32 n = 0;

	for (u32 i = 0; i < ARRAY_COUNT(ranges); i++) {
		u32 at = ranges[i].subleaves ? subleaf - ranges[i].subleaf : leaf - ranges[i].leaf;
		bool other = ranges[i].subleaves ? leaf != ranges[i].leaf : subleaf != 0;

		if (!other && at < ranges[i].count)
			return &kept[n + at];
		n += ranges[i].count;
	}
	return NULL;
}

/* Leaves without subleaves answer alike whatever ECX holds. */
static bool has_subleaves(u32 leaf)
{
	return leaf == 4 || leaf == 7 || leaf == 0xd;
}

static void read_leaf(u32 leaf, u32 subleaf, u32 out[4])
{
	static const struct cpuid nothing;
	const struct cpuid *r = find(leaf, has_subleaves(leaf) ? subleaf : 0);

	if (!r)
		r = &nothing;
	out[CPUID_EAX] = r->eax;
	out[CPUID_EBX] = r->ebx;
	out[CPUID_ECX] = r->ecx;
	out[CPUID_EDX] = r->edx;
}

/* VMs are started by one CPU at a time: sched.c's loop. */
void cpuid_host_get(struct cpuid_host *out)
{
	if (!kept_valid)
		read_all();
	kept_valid = true;
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
