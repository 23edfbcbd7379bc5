/*
 * Platform MSRs. Those of one vendor are there only where CPUID shows that vendor. Memory types are
 * the nested tables' business, so MTRRs say: everything write-back, no ranges (which also makes
 * Linux use PAT).
 */
#include "hv/vdev/msr.h"

enum {
	MSR_PLATFORM_ID = 0x17,
	MSR_UCODE_REVISION = 0x8b, /* AMD: patch level */
	MSR_MTRRCAP = 0xfe,
	MSR_ARCH_CAPABILITIES_ = 0x10a,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_DEBUGCTL = 0x1d9,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MSR_AMD_SYSCFG = 0xc0010010,
	MSR_AMD_HWCR = 0xc0010015,
	MSR_AMD_TOP_MEM = 0xc001001a,
	MSR_AMD_TOP_MEM2 = 0xc001001d,
	MSR_AMD_NB_CFG = 0xc001001f,
	MSR_AMD_INT_PENDING = 0xc0010055,
	MSR_AMD_LS_CFG = 0xc0011020,
	MSR_AMD_DC_CFG = 0xc0011022,
	MSR_AMD_DE_CFG = 0xc0011029,
	MSR_AMD_BU_CFG2 = 0xc001102a,
};

#define UCODE_REVISION        (1ull << 32) /* on Intel the revision stands in the upper half */
#define MTRRCAP_WRITE_COMBINE BIT(10)
#define MTRR_ENABLED          BIT(11)
#define MTRR_FIXED_ENABLED    BIT(10)
#define MTRR_WRITE_BACK       6u
#define MISC_FAST_STRINGS     BIT(0)
#define MISC_BTS_UNAVAILABLE  BIT(11)
#define MISC_PEBS_UNAVAILABLE BIT(12)
#define MISC_LIMIT_CPUID      BIT(22)
#define MISC_XD_DISABLE       BIT(34)
#define MISC_CONSTANT         (MISC_BTS_UNAVAILABLE | MISC_PEBS_UNAVAILABLE)
#define HWCR_TSC_AT_P0        BIT(24)
#define DE_CFG_LFENCE_SERIAL  BIT(1)
#define DEBUGCTL_LBR_BTF      3u

void platform_msrs_reset(struct platform_msrs *m)
{
	m->misc_enable = MISC_FAST_STRINGS | MISC_CONSTANT;
	m->mtrr_def_type = MTRR_ENABLED | MTRR_WRITE_BACK;
	m->hwcr = HWCR_TSC_AT_P0;
}

static err_t read_intel(
	const struct platform_msrs *m, const struct cpuid_policy *policy, u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_PLATFORM_ID:
		*value = 0;
		return 0;
	case MSR_MISC_ENABLE:
		*value = m->misc_enable;
		return 0;
	case MSR_ARCH_CAPABILITIES_:
		*value = cpuid_arch_capabilities(policy);
		return *value ? 0 : E_NOTFOUND;
	}
	return E_NOTFOUND;
}

static err_t read_amd(const struct platform_msrs *m, u32 msr, u64 *value)
{
	*value = 0;
	switch (msr) {
	case MSR_AMD_HWCR:
		*value = m->hwcr;
		return 0;
	case MSR_AMD_DE_CFG:
		*value = DE_CFG_LFENCE_SERIAL;
		return 0;
	case MSR_AMD_SYSCFG:
	case MSR_AMD_TOP_MEM:
	case MSR_AMD_TOP_MEM2:
	case MSR_AMD_NB_CFG:
	case MSR_AMD_INT_PENDING:
	case MSR_AMD_LS_CFG:
	case MSR_AMD_DC_CFG:
	case MSR_AMD_BU_CFG2:
		return 0;
	}
	return E_NOTFOUND;
}

err_t platform_msr_read(
	const struct platform_msrs *m, const struct cpuid_policy *policy, u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_UCODE_REVISION:
		*value = policy->intel ? UCODE_REVISION : 0;
		return 0;
	case MSR_MTRRCAP:
		*value = MTRRCAP_WRITE_COMBINE;
		return 0;
	case MSR_MTRR_DEF_TYPE:
		*value = m->mtrr_def_type;
		return 0;
	case MSR_DEBUGCTL:
		*value = 0;
		return 0;
	}
	return policy->intel ? read_intel(m, policy, msr, value) : read_amd(m, msr, value);
}

static err_t write_mtrr_def_type(struct platform_msrs *m, u64 value)
{
	u32 type = value & 0xff;

	if ((value & ~(MTRR_ENABLED | MTRR_FIXED_ENABLED | 0xff)) || type == 2 || type == 3 ||
		type > 6)
		return E_INVAL;
	m->mtrr_def_type = value;
	return 0;
}

static err_t write_intel(struct platform_msrs *m, u32 msr, u64 value)
{
	u64 free = MISC_FAST_STRINGS | MISC_LIMIT_CPUID;

	if (msr != MSR_MISC_ENABLE)
		return msr == MSR_PLATFORM_ID || msr == MSR_ARCH_CAPABILITIES_ ? E_INVAL
									       : E_NOTFOUND;
	/* XD cannot be taken away here: EFER.NXE is the backend's, and CPUID shows NX. */
	if (value & MISC_XD_DISABLE)
		return E_INVAL;
	m->misc_enable = (value & free) | MISC_CONSTANT;
	return 0;
}

/* Erratum switches: what kernels set there takes no effect on a virtual CPU, and needs none. */
static err_t write_amd(struct platform_msrs *m, u32 msr, u64 value)
{
	u64 ignored;

	if (msr == MSR_AMD_HWCR) {
		m->hwcr = value | HWCR_TSC_AT_P0;
		return 0;
	}
	return read_amd(m, msr, &ignored);
}

err_t platform_msr_write(
	struct platform_msrs *m, const struct cpuid_policy *policy, u32 msr, u64 value)
{
	switch (msr) {
	case MSR_UCODE_REVISION:
		return 0; /* writing 0 precedes reading the revision */
	case MSR_MTRRCAP:
		return E_INVAL;
	case MSR_MTRR_DEF_TYPE:
		return write_mtrr_def_type(m, value);
	case MSR_DEBUGCTL:
		return value & ~(u64)DEBUGCTL_LBR_BTF ? E_INVAL : 0;
	}
	return policy->intel ? write_intel(m, msr, value) : write_amd(m, msr, value);
}
