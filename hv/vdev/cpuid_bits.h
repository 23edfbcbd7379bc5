/*
 * CPUID's feature bits that a guest may see. (Intel SDM 2A, CPUID; AMD APM 3, Obtaining Processor
 * Information Via the CPUID Instruction.) Each list names what is let through from the host; left
 * out with intent: VMX, SVM, MONITOR, PMU, debug store, machine check, thermal, SGX, TSX, MPX, CET,
 * AMX, PT, LA57, XSAVES, speculation controls (no guest MSRs for them yet), WAITPKG, bus lock,
 * topology extensions.
 */
#ifndef HV_VDEV_CPUID_BITS_H
#define HV_VDEV_CPUID_BITS_H

#include "mm/base/types.h"

#define C32(n) (1u << (n))

/* Leaf 1 */
#define L1_ECX_SSE3       C32(0)
#define L1_ECX_PCLMUL     C32(1)
#define L1_ECX_SSSE3      C32(9)
#define L1_ECX_FMA        C32(12)
#define L1_ECX_CX16       C32(13)
#define L1_ECX_PCID       C32(17)
#define L1_ECX_SSE41      C32(19)
#define L1_ECX_SSE42      C32(20)
#define L1_ECX_X2APIC     C32(21)
#define L1_ECX_MOVBE      C32(22)
#define L1_ECX_POPCNT     C32(23)
#define L1_ECX_DEADLINE   C32(24)
#define L1_ECX_AES        C32(25)
#define L1_ECX_XSAVE      C32(26)
#define L1_ECX_OSXSAVE    C32(27)
#define L1_ECX_AVX        C32(28)
#define L1_ECX_F16C       C32(29)
#define L1_ECX_RDRAND     C32(30)
#define L1_ECX_HYPERVISOR C32(31)
#define L1_ECX_SHOWN                                                                               \
	(L1_ECX_SSE3 | L1_ECX_PCLMUL | L1_ECX_SSSE3 | L1_ECX_CX16 | L1_ECX_PCID | L1_ECX_SSE41 |   \
		L1_ECX_SSE42 | L1_ECX_MOVBE | L1_ECX_POPCNT | L1_ECX_AES | L1_ECX_RDRAND)
#define L1_ECX_WITH_YMM (L1_ECX_FMA | L1_ECX_AVX | L1_ECX_F16C)

#define L1_EDX_APIC C32(9)
#define L1_EDX_HTT  C32(28)
/* FPU VME DE PSE TSC MSR PAE, CX8, SEP MTRR PGE, CMOV PAT PSE36, CLFSH, MMX FXSR SSE SSE2 SS */
#define L1_EDX_SHOWN (0x7fu | C32(8) | 0x3800u | 0x38000u | C32(19) | 0x0f800000u)

/* Leaf 7, subleaf 0 */
#define L7_EBX_INVPCID C32(10)
/* FSGSBASE, BMI1, FDP_EXCPTN_ONLY, SMEP, BMI2, ERMS, no-CS/DS, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB,
 * SHA */
#define L7_EBX_SHOWN                                                                               \
	(C32(0) | C32(3) | C32(6) | C32(7) | C32(8) | C32(9) | L7_EBX_INVPCID | C32(13) |          \
		C32(18) | C32(19) | C32(20) | C32(23) | C32(24) | C32(29))
#define L7_EBX_WITH_YMM C32(5) /* AVX2 */
/* AVX-512 F DQ IFMA PF ER CD BW VL */
#define L7_EBX_WITH_ZMM                                                                            \
	(C32(16) | C32(17) | C32(21) | C32(26) | C32(27) | C32(28) | C32(30) | C32(31))

#define L7_ECX_PKU   C32(3)
#define L7_ECX_OSPKE C32(4)
#define L7_ECX_RDPID C32(22)
/* PREFETCHWT1, UMIP, GFNI, RDPID, CLDEMOTE, MOVDIRI, MOVDIR64B */
#define L7_ECX_SHOWN    (C32(0) | C32(2) | C32(8) | L7_ECX_RDPID | C32(25) | C32(27) | C32(28))
#define L7_ECX_WITH_YMM (C32(9) | C32(10)) /* VAES, VPCLMULQDQ */
/* VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
#define L7_ECX_WITH_ZMM (C32(1) | C32(6) | C32(11) | C32(12) | C32(14))

#define L7_EDX_ARCH_CAPABILITIES C32(29)
#define L7_EDX_SHOWN             (C32(4) | C32(10) | C32(14)) /* FSRM, MD_CLEAR, SERIALIZE */
/* 4VNNIW, 4FMAPS, VP2INTERSECT, FP16 */
#define L7_EDX_WITH_ZMM (C32(2) | C32(3) | C32(8) | C32(23))

/* Leaf 7, subleaf 1, EAX: fast short REP; AVX-VNNI; AVX512-BF16 */
#define L7_1_EAX_SHOWN    (C32(10) | C32(11) | C32(12))
#define L7_1_EAX_WITH_YMM C32(4)
#define L7_1_EAX_WITH_ZMM C32(5)

/* Leaf DH, subleaf 1, EAX: XSAVEOPT, XSAVEC, XGETBV(1) */
#define LD_1_EAX_SHOWN  0x7u
#define LD_1_EAX_XSAVEC C32(1)

/* Leaf 80000001H */
#define LX1_EDX_RDTSCP C32(27)
#define LX1_EDX_APIC   C32(9)
/* SYSCALL, NX, 1 GiB pages, RDTSCP, long mode; on AMD also copies of leaf 1 and MMXEXT */
#define LX1_EDX_SHOWN (C32(11) | C32(20) | C32(26) | LX1_EDX_RDTSCP | C32(29))
/* FPU VME DE PSE TSC MSR PAE, CX8, MTRR PGE, CMOV PAT PSE36, MMXEXT MMX FXSR */
#define LX1_EDX_AMD_SHOWN (0x7fu | C32(8) | 0x3000u | 0x38000u | C32(22) | C32(23) | C32(24))
/* LAHF, CR8 in legacy modes, LZCNT, SSE4A, misaligned SSE, PREFETCHW, TBM */
#define LX1_ECX_SHOWN    (C32(0) | C32(4) | C32(5) | C32(6) | C32(7) | C32(8) | C32(21))
#define LX1_ECX_WITH_YMM (C32(11) | C32(16)) /* XOP, FMA4 */

#define LX7_EDX_INVARIANT_TSC C32(8)
#define LX8_EBX_SHOWN         (C32(0) | C32(2)) /* CLZERO, error pointers always saved */

#define XCR0_YMM  BIT(2)
#define XCR0_ZMM  (BIT(5) | BIT(6) | BIT(7))
#define XCR0_PKRU BIT(9)

#define CR4_OSXSAVE BIT(18)
#define CR4_PKE     BIT(22)

/* IA32_ARCH_CAPABILITIES: RDCL, L1D-flush, SSB, MDS, PSCHANGE, TAA, the MMIO three, BHI, PBRSB,
 * GDS, RFDS: NO. */
#define ARCH_CAPABILITIES_SHOWN                                                                    \
	(BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(13) | BIT(14) | BIT(15) |       \
		BIT(20) | BIT(24) | BIT(26) | BIT(27))

/* KVM's paravirtual leaf (Linux, Documentation/virt/kvm/x86/cpuid.rst). */
#define LEAF_KVM               0x40000000u
#define KVM_CLOCKSOURCE        C32(0)
#define KVM_NOP_IO_DELAY       C32(1)
#define KVM_CLOCKSOURCE2       C32(3)
#define KVM_STEAL_TIME         C32(5)
#define KVM_PV_UNHALT          C32(7)
#define KVM_PV_TLB_FLUSH       C32(9)
#define KVM_PV_SEND_IPI        C32(11)
#define KVM_CLOCKSOURCE_STABLE C32(24)
#define LEAF_TIMING            0x40000010u /* as VMware and QEMU: EAX TSC kHz, EBX APIC bus kHz */

#endif
