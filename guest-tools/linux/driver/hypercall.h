/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is this a Bellows virtual machine, and calling its hypervisor: see hv/abi/hypercall.h.
 */
#ifndef GUEST_TOOLS_LINUX_DRIVER_HYPERCALL_H
#define GUEST_TOOLS_LINUX_DRIVER_HYPERCALL_H

#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

#include "hv/abi/hypercall.h"

static inline bool hypercall_is_bellows(void)
{
	u32 highest, signature[3];

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return false;
	cpuid(BELLOWS_CPUID_LEAF, &highest, &signature[0], &signature[1], &signature[2]);
	return highest >= BELLOWS_CPUID_LEAF &&
	       memcmp(signature, BELLOWS_CPUID_SIGNATURE, sizeof(signature)) == 0;
}

/* The answer, or one of BELLOWS_HC_E_*. Any context. */
static inline s64 hypercall(u64 number, u64 rbx, u64 rcx, u64 rdx, u64 rsi)
{
	s64 answer = (s64)number;

	/* Linux sets this feature on AMD's CPUs and their like, for this very purpose. */
	if (boot_cpu_has(X86_FEATURE_VMMCALL))
		asm volatile("vmmcall"
			     : "+a"(answer)
			     : "b"(rbx), "c"(rcx), "d"(rdx), "S"(rsi)
			     : "memory");
	else
		asm volatile("vmcall"
			     : "+a"(answer)
			     : "b"(rbx), "c"(rcx), "d"(rdx), "S"(rsi)
			     : "memory");
	return answer;
}

#endif
