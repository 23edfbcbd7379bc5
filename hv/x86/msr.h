/*
 * Model-specific registers and their bits, by the manuals' names: Intel SDM vol. 4 "Architectural MSRs",
 * AMD APM vol. 2 appendix "MSR Cross-Reference". Only what somebody here uses, or shows a guest.
 */
#ifndef HV_X86_MSR_H
#define HV_X86_MSR_H

#include "mm/base/types.h"

#define MSR_IA32_TSC		  0x10
#define MSR_IA32_PLATFORM_ID	  0x17
#define MSR_IA32_APIC_BASE	  0x1b
#define MSR_IA32_FEATURE_CONTROL  0x3a
#define MSR_IA32_TSC_ADJUST	  0x3b
#define MSR_IA32_SPEC_CTRL	  0x48
#define MSR_IA32_PRED_CMD	  0x49
#define MSR_IA32_BIOS_SIGN_ID	  0x8b
#define MSR_MTRRCAP		  0xfe
#define MSR_IA32_ARCH_CAPABILITIES 0x10a
#define MSR_IA32_FLUSH_CMD	  0x10b
#define MSR_PLATFORM_INFO	  0xce
#define MSR_IA32_SYSENTER_CS	  0x174
#define MSR_IA32_SYSENTER_ESP	  0x175
#define MSR_IA32_SYSENTER_EIP	  0x176
#define MSR_IA32_MCG_CAP	  0x179
#define MSR_IA32_MCG_STATUS	  0x17a
#define MSR_IA32_MCG_CTL	  0x17b
#define MSR_IA32_MISC_ENABLE	  0x1a0
#define MSR_IA32_DEBUGCTL	  0x1d9
#define MSR_MTRR_PHYSBASE0	  0x200 /* base and mask pairs up to 0x20f */
#define MSR_MTRR_FIX64K_00000	  0x250
#define MSR_IA32_PAT		  0x277
#define MSR_MTRR_DEF_TYPE	  0x2ff
#define MSR_IA32_PERF_GLOBAL_CTRL 0x38f
#define MSR_IA32_MC0_CTL	  0x400 /* four a bank: CTL, STATUS, ADDR, MISC */
#define MSR_IA32_MC0_STATUS	  0x401

#define MSR_IA32_VMX_BASIC		   0x480
#define MSR_IA32_VMX_PINBASED_CTLS	   0x481
#define MSR_IA32_VMX_PROCBASED_CTLS	   0x482
#define MSR_IA32_VMX_EXIT_CTLS		   0x483
#define MSR_IA32_VMX_ENTRY_CTLS		   0x484
#define MSR_IA32_VMX_MISC		   0x485
#define MSR_IA32_VMX_CR0_FIXED0		   0x486
#define MSR_IA32_VMX_CR0_FIXED1		   0x487
#define MSR_IA32_VMX_CR4_FIXED0		   0x488
#define MSR_IA32_VMX_CR4_FIXED1		   0x489
#define MSR_IA32_VMX_PROCBASED_CTLS2	   0x48b
#define MSR_IA32_VMX_EPT_VPID_CAP	   0x48c
#define MSR_IA32_VMX_TRUE_PINBASED_CTLS	   0x48d
#define MSR_IA32_VMX_TRUE_PROCBASED_CTLS   0x48e
#define MSR_IA32_VMX_TRUE_EXIT_CTLS	   0x48f
#define MSR_IA32_VMX_TRUE_ENTRY_CTLS	   0x490

#define MSR_IA32_TSC_DEADLINE	  0x6e0
#define MSR_IA32_X2APIC_BASE	  0x800 /* + register offset / 16 */
#define MSR_IA32_XSS		  0xda0

#define MSR_IA32_EFER		  0xc0000080
#define MSR_IA32_STAR		  0xc0000081
#define MSR_IA32_LSTAR		  0xc0000082
#define MSR_IA32_CSTAR		  0xc0000083
#define MSR_IA32_FMASK		  0xc0000084
#define MSR_IA32_FS_BASE	  0xc0000100
#define MSR_IA32_GS_BASE	  0xc0000101
#define MSR_IA32_KERNEL_GS_BASE	  0xc0000102
#define MSR_IA32_TSC_AUX	  0xc0000103

#define MSR_AMD_TSC_RATIO	  0xc0000104
#define MSR_AMD_SYSCFG		  0xc0010010
#define MSR_AMD_HWCR		  0xc0010015
#define MSR_AMD_PATCH_LEVEL	  0x8b
#define MSR_AMD_DE_CFG		  0xc0011029
#define MSR_AMD_VM_CR		  0xc0010114
#define MSR_AMD_IGNNE		  0xc0010115
#define MSR_AMD_VM_HSAVE_PA	  0xc0010117

/* IA32_APIC_BASE */
#define APIC_BASE_BSP	 BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

/* IA32_FEATURE_CONTROL */
#define FEATURE_CONTROL_LOCKED		 BIT(0)
#define FEATURE_CONTROL_VMX_INSIDE_SMX	 BIT(1)
#define FEATURE_CONTROL_VMX_OUTSIDE_SMX	 BIT(2)

/* IA32_EFER */
#define EFER_SCE  BIT(0)
#define EFER_LME  BIT(8)
#define EFER_LMA  BIT(10)
#define EFER_NXE  BIT(11)
#define EFER_SVME BIT(12)
#define EFER_LMSLE BIT(13)
#define EFER_FFXSR BIT(14)

/* VM_CR (AMD) */
#define VM_CR_LOCK   BIT(3)
#define VM_CR_SVMDIS BIT(4)

/* IA32_ARCH_CAPABILITIES */
#define ARCH_CAP_RDCL_NO	     BIT(0)
#define ARCH_CAP_IBRS_ALL	     BIT(1)
#define ARCH_CAP_RSBA		     BIT(2)
#define ARCH_CAP_SKIP_L1DFL_VMENTRY  BIT(3)
#define ARCH_CAP_SSB_NO		     BIT(4)
#define ARCH_CAP_MDS_NO		     BIT(5)
#define ARCH_CAP_PSCHANGE_MC_NO	     BIT(6)
#define ARCH_CAP_TAA_NO		     BIT(8)

#define PRED_CMD_IBPB	 BIT(0)
#define FLUSH_CMD_L1D	 BIT(0)

/* CR0, CR4 and RFLAGS have no other home. */
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME	       BIT(0)
#define CR4_PVI	       BIT(1)
#define CR4_TSD	       BIT(2)
#define CR4_DE	       BIT(3)
#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_PCE	       BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE	       BIT(22)
#define CR4_CET	       BIT(23)
#define CR4_PKS	       BIT(24)

#define RFLAGS_FIXED BIT(1)
#define RFLAGS_CF    BIT(0)
#define RFLAGS_ZF    BIT(6)
#define RFLAGS_TF    BIT(8)
#define RFLAGS_IF    BIT(9)
#define RFLAGS_DF    BIT(10)
#define RFLAGS_RF    BIT(16)
#define RFLAGS_VM    BIT(17)

/* Those that a guest reads and writes without an exit, by either vendor's bitmap: they hold its own
 * values while it runs. */
#define MSRS_OF_A_GUEST                                                                            \
	MSR_IA32_FS_BASE, MSR_IA32_GS_BASE, MSR_IA32_KERNEL_GS_BASE, MSR_IA32_STAR,                \
		MSR_IA32_LSTAR, MSR_IA32_CSTAR, MSR_IA32_FMASK, MSR_IA32_SYSENTER_CS,              \
		MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP

#endif
