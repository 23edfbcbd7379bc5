/*
 * The VMCB as hardware reads it: control area, state-save area, exit codes and the bits in them.
 * AMD APM vol. 2, appendix "Layout of VMCB" and appendix "SVM Intercept Exit Codes". Nothing here
 * but the format.
 */
#ifndef HV_SVM_VMCB_H
#define HV_SVM_VMCB_H

#include "mm/base/types.h"

/* A segment register, APM "Layout of VMCB": attributes are descriptor bits 55:52 and 47:40. */
struct vmcb_segment {
	u16 selector;
	u16 attributes;
	u32 limit;
	u64 base;
};
_Static_assert(sizeof(struct vmcb_segment) == 16, "APM, VMCB state-save area: segment");

#define VMCB_ATTR_TYPE    0x00fu
#define VMCB_ATTR_S       0x010u
#define VMCB_ATTR_DPL     0x060u
#define VMCB_ATTR_P       0x080u
#define VMCB_ATTR_L       0x200u
#define VMCB_ATTR_DB      0x400u
#define VMCB_ATTR_G       0x800u
#define VMCB_ATTR_TR_BUSY 0x002u

struct vmcb_control {
	u16 cr_reads, cr_writes;
	u16 dr_reads, dr_writes;
	u32 exceptions;
	u32 intercepts[3]; /* VMCB_INTERCEPT_*: word << 5 | bit */
	u8 reserved_018[0x3c - 0x18];
	u16 pause_threshold;
	u16 pause_count;
	u64 iopm_pa;
	u64 msrpm_pa;
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control; /* VMCB_TLB_* */
	u8 reserved_05d[3];
	u64 virtual_intr; /* VMCB_V_* */
	u64 intr_shadow;  /* VMCB_SHADOW */
	u64 exit_code;
	u64 exit_info1;
	u64 exit_info2;
	u64 exit_int_info;  /* VMCB_EVENT_* */
	u64 nested_control; /* VMCB_NESTED_PAGING */
	u64 avic_bar;
	u64 ghcb_pa;
	u64 event_inj; /* VMCB_EVENT_* */
	u64 nested_cr3;
	u64 lbr_control;
	u64 clean;       /* 0: hardware reads everything again */
	u64 next_rip;    /* with nRIP save */
	u8 insn_fetched; /* with decode assists */
	u8 insn_bytes[15];
	u8 reserved_0e0[0x400 - 0xe0];
};
_Static_assert(sizeof(struct vmcb_control) == 0x400, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, exceptions) == 0x08, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, intercepts) == 0x0c, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, pause_threshold) == 0x3c, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, iopm_pa) == 0x40, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, asid) == 0x58, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, virtual_intr) == 0x60, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, exit_code) == 0x70, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, exit_int_info) == 0x88, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, event_inj) == 0xa8, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, nested_cr3) == 0xb0, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, next_rip) == 0xc8, "APM, VMCB control area");
_Static_assert(offsetof(struct vmcb_control, insn_bytes) == 0xd1, "APM, VMCB control area");

struct vmcb_save {
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved_0a0[0xcb - 0xa0];
	u8 cpl;
	u8 reserved_0cc[4];
	u64 efer;
	u8 reserved_0d8[0x148 - 0xd8];
	u64 cr4, cr3, cr0;
	u64 dr7, dr6;
	u64 rflags, rip;
	u8 reserved_180[0x1d8 - 0x180];
	u64 rsp;
	u64 s_cet, ssp, isst_addr;
	u64 rax;
	u64 star, lstar, cstar, sfmask;
	u64 kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 reserved_248[0x268 - 0x248];
	u64 g_pat;
	u64 debugctl;
	u8 reserved_278[0xc00 - 0x278];
};
_Static_assert(sizeof(struct vmcb_save) == 0xc00, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, tr) == 0x90, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, cpl) == 0xcb, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, efer) == 0xd0, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, cr4) == 0x148, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, rip) == 0x178, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, rsp) == 0x1d8, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, rax) == 0x1f8, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, cr2) == 0x240, "APM, VMCB state-save area");
_Static_assert(offsetof(struct vmcb_save, g_pat) == 0x268, "APM, VMCB state-save area");

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
};
_Static_assert(sizeof(struct vmcb) == PAGE_BYTES, "APM, a VMCB is one page");

/* Intercepts, as word * 32 + bit. */
enum {
	VMCB_INTERCEPT_INTR = 0,
	VMCB_INTERCEPT_NMI = 1,
	VMCB_INTERCEPT_SMI = 2,
	VMCB_INTERCEPT_INIT = 3,
	VMCB_INTERCEPT_VINTR = 4,
	VMCB_INTERCEPT_RDPMC = 15,
	VMCB_INTERCEPT_CPUID = 18,
	VMCB_INTERCEPT_IRET = 20,
	VMCB_INTERCEPT_INVD = 22,
	VMCB_INTERCEPT_PAUSE = 23,
	VMCB_INTERCEPT_HLT = 24,
	VMCB_INTERCEPT_INVLPGA = 26,
	VMCB_INTERCEPT_IOIO = 27,
	VMCB_INTERCEPT_MSR = 28,
	VMCB_INTERCEPT_TASK_SWITCH = 29,
	VMCB_INTERCEPT_FERR = 30,
	VMCB_INTERCEPT_SHUTDOWN = 31,
	VMCB_INTERCEPT_VMRUN = 32,
	VMCB_INTERCEPT_VMMCALL = 33,
	VMCB_INTERCEPT_VMLOAD = 34,
	VMCB_INTERCEPT_VMSAVE = 35,
	VMCB_INTERCEPT_STGI = 36,
	VMCB_INTERCEPT_CLGI = 37,
	VMCB_INTERCEPT_SKINIT = 38,
	VMCB_INTERCEPT_ICEBP = 40,
	VMCB_INTERCEPT_WBINVD = 41,
	VMCB_INTERCEPT_MONITOR = 42,
	VMCB_INTERCEPT_MWAIT = 43,
	VMCB_INTERCEPT_XSETBV = 45,
	VMCB_INTERCEPT_RDPRU = 46,
	VMCB_INTERCEPT_MCOMMIT = 67,
};

#define VMCB_TLB_KEEP       0
#define VMCB_TLB_FLUSH_ALL  1
#define VMCB_TLB_FLUSH_ASID 3

/* virtual_intr */
#define VMCB_V_TPR          BITS(3, 0)
#define VMCB_V_IRQ          BIT(8)
#define VMCB_V_PRIO_SHIFT   16
#define VMCB_V_PRIO         BITS(19, 16)
#define VMCB_V_IGN_TPR      BIT(20)
#define VMCB_V_INTR_MASKING BIT(24)
#define VMCB_V_VECTOR       BITS(39, 32)

#define VMCB_SHADOW BIT(0)

#define VMCB_NESTED_PAGING BIT(0)

/* exit_int_info and event_inj: APM, "Event Injection". */
#define VMCB_EVENT_VECTOR     BITS(7, 0)
#define VMCB_EVENT_TYPE_SHIFT 8
#define VMCB_EVENT_TYPE       BITS(10, 8)
#define VMCB_EVENT_ERROR      BIT(11)
#define VMCB_EVENT_VALID      BIT(31)
#define VMCB_EVENT_CODE_SHIFT 32

/* Exit codes. */
enum {
	VMEXIT_READ_CR0 = 0x00,
	VMEXIT_READ_DR0 = 0x20,
	VMEXIT_WRITE_DR15 = 0x3f,
	VMEXIT_EXCP0 = 0x40,
	VMEXIT_EXCP31 = 0x5f,
	VMEXIT_INTR = 0x60,
	VMEXIT_NMI = 0x61,
	VMEXIT_SMI = 0x62,
	VMEXIT_INIT = 0x63,
	VMEXIT_VINTR = 0x64,
	VMEXIT_RDPMC = 0x6f,
	VMEXIT_CPUID = 0x72,
	VMEXIT_IRET = 0x74,
	VMEXIT_INVD = 0x76,
	VMEXIT_PAUSE = 0x77,
	VMEXIT_HLT = 0x78,
	VMEXIT_INVLPGA = 0x7a,
	VMEXIT_IOIO = 0x7b,
	VMEXIT_MSR = 0x7c,
	VMEXIT_TASK_SWITCH = 0x7d,
	VMEXIT_FERR_FREEZE = 0x7e,
	VMEXIT_SHUTDOWN = 0x7f,
	VMEXIT_VMRUN = 0x80,
	VMEXIT_VMMCALL = 0x81,
	VMEXIT_VMLOAD = 0x82,
	VMEXIT_VMSAVE = 0x83,
	VMEXIT_STGI = 0x84,
	VMEXIT_CLGI = 0x85,
	VMEXIT_SKINIT = 0x86,
	VMEXIT_ICEBP = 0x88,
	VMEXIT_WBINVD = 0x89,
	VMEXIT_MONITOR = 0x8a,
	VMEXIT_MWAIT = 0x8b,
	VMEXIT_MWAIT_CONDITIONAL = 0x8c,
	VMEXIT_XSETBV = 0x8d,
	VMEXIT_RDPRU = 0x8e,
	VMEXIT_MCOMMIT = 0xa3,
	VMEXIT_NPF = 0x400,
};
/* -1; emulators store only the lower half of it. */
#define VMEXIT_INVALID (~0u)

/* exit_info1 of IOIO: APM, "IOIO Intercept". */
#define VMCB_IO_IN            BIT(0)
#define VMCB_IO_STRING        BIT(2)
#define VMCB_IO_REP           BIT(3)
#define VMCB_IO_SIZE_SHIFT    4 /* one of three bits: 1, 2, 4 bytes */
#define VMCB_IO_ADDRESS_SHIFT 7 /* one of three bits: 16, 32, 64 bits */
#define VMCB_IO_SEGMENT_SHIFT 10
#define VMCB_IO_PORT_SHIFT    16

/* exit_info1 of NPF: APM, "Nested versus Guest Page Faults, Fault Ordering". */
#define VMCB_NPF_PRESENT  BIT(0)
#define VMCB_NPF_WRITE    BIT(1)
#define VMCB_NPF_RESERVED BIT(3)
#define VMCB_NPF_FETCH    BIT(4)
#define VMCB_NPF_FINAL    BIT(32)
#define VMCB_NPF_WALK     BIT(33)

#endif
