/*
 * The virtual-machine control structure as numbers: field encodings, control bits, exit reasons and
 * the layout of what exits report. Intel SDM vol. 3C, appendix "Field Encoding in VMCS", and the
 * chapters "Virtual Machine Control Structures", "VM Entries", "VM Exits" named at each part. Only
 * what hv/vmx uses.
 */
#ifndef HV_VMX_VMCS_H
#define HV_VMX_VMCS_H

/* 16-bit fields. Guest segment fields of a kind lie 2 apart: ES CS SS DS FS GS LDTR TR. */
#define VMCS_VPID                0x0000u
#define VMCS_GUEST_ES_SELECTOR   0x0800u
#define VMCS_GUEST_LDTR_SELECTOR 0x080cu
#define VMCS_GUEST_TR_SELECTOR   0x080eu
#define VMCS_HOST_ES_SELECTOR    0x0c00u
#define VMCS_HOST_CS_SELECTOR    0x0c02u
#define VMCS_HOST_SS_SELECTOR    0x0c04u
#define VMCS_HOST_DS_SELECTOR    0x0c06u
#define VMCS_HOST_FS_SELECTOR    0x0c08u
#define VMCS_HOST_GS_SELECTOR    0x0c0au
#define VMCS_HOST_TR_SELECTOR    0x0c0cu

/* 64-bit fields. */
#define VMCS_IO_BITMAP_A        0x2000u
#define VMCS_IO_BITMAP_B        0x2002u
#define VMCS_MSR_BITMAP         0x2004u
#define VMCS_TSC_OFFSET         0x2010u
#define VMCS_VIRTUAL_APIC_PAGE  0x2012u
#define VMCS_EPT_POINTER        0x201au
#define VMCS_XSS_EXITING_BITMAP 0x202cu
#define VMCS_GUEST_PHYSICAL     0x2400u
#define VMCS_LINK_POINTER       0x2800u
#define VMCS_GUEST_DEBUGCTL     0x2802u
#define VMCS_GUEST_PAT          0x2804u
#define VMCS_GUEST_EFER         0x2806u
#define VMCS_GUEST_PDPTE0       0x280au /* four, 2 apart */
#define VMCS_HOST_PAT           0x2c00u
#define VMCS_HOST_EFER          0x2c02u

/* 32-bit fields. */
#define VMCS_PIN_CONTROLS           0x4000u
#define VMCS_PROC_CONTROLS          0x4002u
#define VMCS_EXCEPTION_BITMAP       0x4004u
#define VMCS_PF_ERROR_MASK          0x4006u
#define VMCS_PF_ERROR_MATCH         0x4008u
#define VMCS_CR3_TARGET_COUNT       0x400au
#define VMCS_EXIT_CONTROLS          0x400cu
#define VMCS_EXIT_MSR_STORE_COUNT   0x400eu
#define VMCS_EXIT_MSR_LOAD_COUNT    0x4010u
#define VMCS_ENTRY_CONTROLS         0x4012u
#define VMCS_ENTRY_MSR_LOAD_COUNT   0x4014u
#define VMCS_ENTRY_EVENT            0x4016u
#define VMCS_ENTRY_EVENT_ERROR      0x4018u
#define VMCS_ENTRY_INSN_BYTES       0x401au
#define VMCS_TPR_THRESHOLD          0x401cu
#define VMCS_PROC2_CONTROLS         0x401eu
#define VMCS_PLE_GAP                0x4020u
#define VMCS_PLE_WINDOW             0x4022u
#define VMCS_INSTRUCTION_ERROR      0x4400u
#define VMCS_EXIT_REASON            0x4402u
#define VMCS_EXIT_EVENT             0x4404u
#define VMCS_EXIT_EVENT_ERROR       0x4406u
#define VMCS_VECTORING_EVENT        0x4408u
#define VMCS_VECTORING_ERROR        0x440au
#define VMCS_EXIT_INSN_BYTES        0x440cu
#define VMCS_EXIT_INSN_INFO         0x440eu
#define VMCS_GUEST_ES_LIMIT         0x4800u
#define VMCS_GUEST_LDTR_LIMIT       0x480cu
#define VMCS_GUEST_TR_LIMIT         0x480eu
#define VMCS_GUEST_GDTR_LIMIT       0x4810u
#define VMCS_GUEST_IDTR_LIMIT       0x4812u
#define VMCS_GUEST_ES_RIGHTS        0x4814u
#define VMCS_GUEST_CS_RIGHTS        0x4816u
#define VMCS_GUEST_SS_RIGHTS        0x4818u
#define VMCS_GUEST_LDTR_RIGHTS      0x4820u
#define VMCS_GUEST_TR_RIGHTS        0x4822u
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824u
#define VMCS_GUEST_ACTIVITY         0x4826u
#define VMCS_GUEST_SYSENTER_CS      0x482au
#define VMCS_PREEMPTION_TIMER       0x482eu
#define VMCS_HOST_SYSENTER_CS       0x4c00u

/* Natural-width fields. */
#define VMCS_CR0_MASK            0x6000u
#define VMCS_CR4_MASK            0x6002u
#define VMCS_CR0_SHADOW          0x6004u
#define VMCS_CR4_SHADOW          0x6006u
#define VMCS_EXIT_QUALIFICATION  0x6400u
#define VMCS_GUEST_LINEAR        0x640au
#define VMCS_GUEST_CR0           0x6800u
#define VMCS_GUEST_CR3           0x6802u
#define VMCS_GUEST_CR4           0x6804u
#define VMCS_GUEST_ES_BASE       0x6806u
#define VMCS_GUEST_FS_BASE       0x680eu
#define VMCS_GUEST_GS_BASE       0x6810u
#define VMCS_GUEST_LDTR_BASE     0x6812u
#define VMCS_GUEST_TR_BASE       0x6814u
#define VMCS_GUEST_GDTR_BASE     0x6816u
#define VMCS_GUEST_IDTR_BASE     0x6818u
#define VMCS_GUEST_DR7           0x681au
#define VMCS_GUEST_RSP           0x681cu
#define VMCS_GUEST_RIP           0x681eu
#define VMCS_GUEST_RFLAGS        0x6820u
#define VMCS_GUEST_PENDING_DEBUG 0x6822u
#define VMCS_GUEST_SYSENTER_ESP  0x6824u
#define VMCS_GUEST_SYSENTER_EIP  0x6826u
#define VMCS_HOST_CR0            0x6c00u
#define VMCS_HOST_CR3            0x6c02u
#define VMCS_HOST_CR4            0x6c04u
#define VMCS_HOST_FS_BASE        0x6c06u
#define VMCS_HOST_GS_BASE        0x6c08u
#define VMCS_HOST_TR_BASE        0x6c0au
#define VMCS_HOST_GDTR_BASE      0x6c0cu
#define VMCS_HOST_IDTR_BASE      0x6c0eu
#define VMCS_HOST_SYSENTER_ESP   0x6c10u
#define VMCS_HOST_SYSENTER_EIP   0x6c12u
#define VMCS_HOST_RSP            0x6c14u
#define VMCS_HOST_RIP            0x6c16u

#ifndef __ASSEMBLER__

#include "mm/base/types.h"

/* "Pin-Based VM-Execution Controls" */
#define PIN_EXTERNAL_INTERRUPT (1u << 0)
#define PIN_NMI                (1u << 3)
#define PIN_VIRTUAL_NMIS       (1u << 5)
#define PIN_PREEMPTION_TIMER   (1u << 6)

/* "Processor-Based VM-Execution Controls": primary */
#define PROC_INTERRUPT_WINDOW (1u << 2)
#define PROC_TSC_OFFSET       (1u << 3)
#define PROC_HLT              (1u << 7)
#define PROC_INVLPG           (1u << 9)
#define PROC_MWAIT            (1u << 10)
#define PROC_RDPMC            (1u << 11)
#define PROC_RDTSC            (1u << 12)
#define PROC_CR3_LOAD         (1u << 15)
#define PROC_CR3_STORE        (1u << 16)
#define PROC_CR8_LOAD         (1u << 19)
#define PROC_CR8_STORE        (1u << 20)
#define PROC_TPR_SHADOW       (1u << 21)
#define PROC_NMI_WINDOW       (1u << 22)
#define PROC_MOV_DR           (1u << 23)
#define PROC_IO               (1u << 24)
#define PROC_IO_BITMAPS       (1u << 25)
#define PROC_MSR_BITMAPS      (1u << 28)
#define PROC_MONITOR          (1u << 29)
#define PROC_PAUSE            (1u << 30)
#define PROC_SECONDARY        (1u << 31)

/* secondary */
#define PROC2_EPT          (1u << 1)
#define PROC2_RDTSCP       (1u << 3)
#define PROC2_VPID         (1u << 5)
#define PROC2_WBINVD       (1u << 6)
#define PROC2_UNRESTRICTED (1u << 7)
#define PROC2_PAUSE_LOOP   (1u << 10)
#define PROC2_INVPCID      (1u << 12)
#define PROC2_XSAVES       (1u << 20)

/* "VM-Exit Controls" */
#define EXITCTL_SAVE_DEBUG    (1u << 2)
#define EXITCTL_HOST_64       (1u << 9)
#define EXITCTL_ACK_INTERRUPT (1u << 15)
#define EXITCTL_SAVE_PAT      (1u << 18)
#define EXITCTL_LOAD_PAT      (1u << 19)
#define EXITCTL_SAVE_EFER     (1u << 20)
#define EXITCTL_LOAD_EFER     (1u << 21)

/* "VM-Entry Controls" */
#define ENTRYCTL_LOAD_DEBUG (1u << 2)
#define ENTRYCTL_IA32E      (1u << 9)
#define ENTRYCTL_LOAD_PAT   (1u << 14)
#define ENTRYCTL_LOAD_EFER  (1u << 15)

/* IA32_VMX_BASIC: appendix "Basic VMX Information" */
#define BASIC_REVISION        0x7fffffffull
#define BASIC_REGION_BYTES(v) (((v) >> 32) & 0x1fff)
#define BASIC_MEMORY_TYPE(v)  (((v) >> 50) & 0xf)
#define BASIC_STRING_IO_INFO  (1ull << 54)
#define BASIC_TRUE_CONTROLS   (1ull << 55)

/* IA32_VMX_MISC: appendix "Miscellaneous Data" */
#define MISC_TIMER_SHIFT(v) ((v)&0x1f)

/* IA32_VMX_EPT_VPID_CAP: appendix "VPID and EPT Capabilities" */
#define EPTCAP_4_LEVEL        (1ull << 6)
#define EPTCAP_WRITE_BACK     (1ull << 14)
#define EPTCAP_2M_PAGES       (1ull << 16)
#define EPTCAP_INVEPT         (1ull << 20)
#define EPTCAP_ACCESSED_DIRTY (1ull << 21)
#define EPTCAP_INVEPT_SINGLE  (1ull << 25)
#define EPTCAP_INVEPT_ALL     (1ull << 26)
#define EPTCAP_INVVPID        (1ull << 32)
#define EPTCAP_INVVPID_SINGLE (1ull << 41)
#define EPTCAP_INVVPID_ALL    (1ull << 42)

/* "Extended-Page-Table Pointer (EPTP)" */
#define EPTP_WRITE_BACK     6ull
#define EPTP_4_LEVEL        (3ull << 3)
#define EPTP_ACCESSED_DIRTY (1ull << 6)

/* INVEPT and INVVPID types: "VMX Instruction Reference" */
#define INVEPT_SINGLE  1ull
#define INVEPT_ALL     2ull
#define INVVPID_SINGLE 1ull
#define INVVPID_ALL    2ull

/* One layout for entry, exit, IDT-vectoring: "VM-Entry Controls for Event Injection" */
#define EVENT_INFO_VECTOR      0xffu
#define EVENT_INFO_TYPE(v)     (((v) >> 8) & 7)
#define EVENT_INFO_ERROR       (1u << 11)
#define EVENT_INFO_NMI_UNBLOCK (1u << 12) /* exits only: "NMI unblocking due to IRET" */
#define EVENT_INFO_VALID       (1u << 31)

/* "Guest Non-Register State" */
#define BLOCKING_STI     (1u << 0)
#define BLOCKING_MOV_SS  (1u << 1)
#define BLOCKING_SMI     (1u << 2)
#define BLOCKING_NMI     (1u << 3)
#define ACTIVITY_ACTIVE  0u
#define PENDING_DEBUG_BS (1ull << 14)

/* Segment access rights: "Guest Register State" */
#define RIGHTS_ACCESSED (1u << 0)
#define RIGHTS_TYPE     0xfu
#define RIGHTS_S        (1u << 4)
#define RIGHTS_DPL(v)   (((v) >> 5) & 3)
#define RIGHTS_PRESENT  (1u << 7)
#define RIGHTS_LONG     (1u << 13)
#define RIGHTS_DB       (1u << 14)
#define RIGHTS_GRANULAR (1u << 15)
#define RIGHTS_UNUSABLE (1u << 16)

/* Exit qualification of an EPT violation: "Exit Qualification" */
#define EPTQ_READ         (1ull << 0)
#define EPTQ_WRITE        (1ull << 1)
#define EPTQ_FETCH        (1ull << 2)
#define EPTQ_LINEAR_VALID (1ull << 7)
#define EPTQ_FINAL        (1ull << 8) /* of the translated address, not of a paging structure */
#define EPTQ_NMI_UNBLOCK  (1ull << 12)

/* Appendix "VMX Basic Exit Reasons" */
#define EXIT_REASON_ENTRY_FAILURE (1u << 31)
enum vmx_exit_reason {
	REASON_EXCEPTION_NMI = 0,
	REASON_EXTERNAL_INTERRUPT = 1,
	REASON_TRIPLE_FAULT = 2,
	REASON_INIT = 3,
	REASON_SIPI = 4,
	REASON_INTERRUPT_WINDOW = 7,
	REASON_NMI_WINDOW = 8,
	REASON_TASK_SWITCH = 9,
	REASON_CPUID = 10,
	REASON_GETSEC = 11,
	REASON_HLT = 12,
	REASON_INVD = 13,
	REASON_INVLPG = 14,
	REASON_RDPMC = 15,
	REASON_VMCALL = 18,
	REASON_VMCLEAR = 19,
	REASON_VMLAUNCH = 20,
	REASON_VMPTRLD = 21,
	REASON_VMPTRST = 22,
	REASON_VMREAD = 23,
	REASON_VMRESUME = 24,
	REASON_VMWRITE = 25,
	REASON_VMXOFF = 26,
	REASON_VMXON = 27,
	REASON_CR_ACCESS = 28,
	REASON_MOV_DR = 29,
	REASON_IO = 30,
	REASON_RDMSR = 31,
	REASON_WRMSR = 32,
	REASON_ENTRY_GUEST_STATE = 33,
	REASON_ENTRY_MSR_LOAD = 34,
	REASON_MWAIT = 36,
	REASON_MONITOR = 39,
	REASON_PAUSE = 40,
	REASON_ENTRY_MACHINE_CHECK = 41,
	REASON_TPR_BELOW = 43,
	REASON_EPT_VIOLATION = 48,
	REASON_EPT_MISCONFIG = 49,
	REASON_INVEPT = 50,
	REASON_PREEMPTION_TIMER = 52,
	REASON_INVVPID = 53,
	REASON_WBINVD = 54,
	REASON_XSETBV = 55,
	REASON_COUNT = 80
};

#endif /* __ASSEMBLER__ */
#endif
