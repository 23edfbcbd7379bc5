/*
 * Model-specific registers of the platform that are neither the backend's (those live in the
 * control structure) nor the local APIC's: constants that kernels read without asking whether they
 * are there, and the few that they write and expect to read back. Locks: the VM's.
 */
#ifndef HV_VDEV_MSR_H
#define HV_VDEV_MSR_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "hv/vdev/cpuid.h"

/* One vCPU's. */
struct platform_msrs {
	u64 misc_enable, mtrr_def_type, hwcr;
};

void platform_msrs_reset(struct platform_msrs *msrs);
/* E_NOTFOUND: no such MSR; E_INVAL: read-only or a bad value. Both deserve #GP. */
err_t platform_msr_read(
	const struct platform_msrs *msrs, const struct cpuid_policy *policy, u32 msr, u64 *value);
err_t platform_msr_write(
	struct platform_msrs *msrs, const struct cpuid_policy *policy, u32 msr, u64 value);

#endif
