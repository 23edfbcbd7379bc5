/*
 * Hardware virtualisation behind one table: what hv/ knows of VT-x and SVM. hv/vmx and hv/svm each
 * fill a const struct virt_ops; hv/main.c chooses one at boot. A backend owns its control structure
 * (VMCS, VMCB), turns its exit codes into the vendor-neutral struct vm_exit, and decides no policy.
 *
 * Interrupts are off (IF=0) whenever a function of this table is called, and when it returns.
 */
#ifndef HV_X86_VIRT_H
#define HV_X86_VIRT_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/space/slat.h"
#include "mm/space/space.h"
#include "hv/x86/fpu.h"

/* General registers by instruction encoding. */
enum {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_COUNT = 16
};

/* Event types: the numbers are the same in the VMCS and the VMCB. */
enum virt_event_type {
	EVENT_INTR = 0,
	EVENT_NMI = 2,
	EVENT_EXCEPTION = 3,
	EVENT_SOFT_INTR = 4,
	EVENT_PRIV_SOFT_EXCEPTION = 5, /* VT-x: INT1 */
	EVENT_SOFT_EXCEPTION = 6,      /* VT-x: INT3, INTO */
};

struct virt_event {
	bool valid;
	u8 vector;
	u8 type; /* enum virt_event_type */
	bool has_error;
	u32 error;
	u8 insn_bytes; /* software events: length of the instruction */
};

/* A segment register; attributes in the VMCS "access rights" layout (type, S, DPL, P, AVL, L, D/B,
 * G; bit 16 unusable). */
struct virt_segment {
	u16 selector;
	u32 limit;
	u32 attributes;
	u64 base;
};

enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

/* System state beyond the general registers: for start-up, address translation and dumps. */
struct virt_sregs {
	u64 cr0, cr2, cr3, cr4, efer;
	struct virt_segment seg[SEG_COUNT], tr, ldtr;
	u64 gdtr_base, idtr_base;
	u32 gdtr_limit, idtr_limit;
	u8 cpl;
};

enum vm_exit_kind {
	EXIT_HOST_INTERRUPT, /* a host interrupt, already handled; nothing for the guest */
	EXIT_TIME_UP,        /* run_until_tsc passed */
	EXIT_GPA_FAULT,
	EXIT_IO,
	EXIT_CPUID,
	EXIT_MSR_READ,
	EXIT_MSR_WRITE,
	EXIT_XSETBV,
	EXIT_HLT,
	EXIT_PAUSE,
	EXIT_HYPERCALL, /* VMCALL or VMMCALL */
	EXIT_WINDOW,    /* an interrupt (or NMI) can now be delivered, or TPR fell */
	EXIT_UNDEFINED, /* an instruction we don't offer (VMX/SVM, MONITOR, RDPMC..): inject #UD */
	EXIT_GP,        /* ... inject #GP(0) */
	EXIT_WBINVD,    /* or INVD: skip it */
	EXIT_INVLPG,    /* never on hardware with nested paging; skip */
	EXIT_EXCEPTION, /* intercepted: .exception; reflect it (#AC, #DB loops are counted) */
	EXIT_TRIPLE_FAULT,
	EXIT_INIT,
	EXIT_SIPI,
	EXIT_AGAIN,        /* the backend dealt with it: run again */
	EXIT_ENTRY_FAILED, /* the CPU refused the guest state; the backend has printed why */
	EXIT_UNKNOWN,      /* .raw */
	EXIT_KIND_COUNT
};

struct vm_exit {
	enum vm_exit_kind kind;
	u8 insn_bytes;    /* length of the exiting instruction where known, else 0 */
	bool in_delivery; /* EXIT_EXCEPTION: it came while another exception was being delivered */
	u64 raw_reason, raw_info; /* vendor's numbers, for dumps */
	union {
		struct {
			gpa_t gpa;
			u32 access; /* SLAT_*, FAULT_WALK */
			u64 linear; /* guest linear address, if known */
			bool linear_valid;
		} fault;
		struct {
			u16 port;
			u8 bytes; /* 1, 2, 4 */
			bool in, string, rep;
			u8 address_bytes; /* of string instructions, if known (2, 4, 8), else 0 */
			u8 segment;       /* of OUTS, SEG_*; valid if address_bytes is */
		} io;
		struct {
			u32 index;
			u64 value; /* of a write: EDX:EAX */
		} msr;
		struct virt_event exception;
	};
};

/* One virtual CPU as a backend sees it; hv/'s struct vcpu embeds it. */
struct virt_vcpu {
	u64 gpr[GPR_COUNT];
	u64 rip, rflags;  /* valid between run() and run(); set rip_dirty after changing either */
	bool state_dirty; /* rip, rflags or gpr[RSP] were changed by hv since the exit */
	u64 cr2;
	u8 tpr;            /* in and out: the guest's task priority class, CR8 (0..15) */
	bool started;      /* vcpu_set_sregs() was called since vcpu_init/reset */
	u64 run_until_tsc; /* run() returns EXIT_TIME_UP about then, on this CPU's TSC */
	u64 tsc_offset;    /* added to the host's TSC; set tsc_dirty after a change */
	bool tsc_dirty;
	/*
	 * What was being delivered when the last exit came (IDT-vectoring information,
	 * EXITINTINFO): saved by run(), delivered by the next run() before anything newer. hv
	 * clears it only on a reset.
	 */
	struct virt_event reinject;
	bool reinject_nmi_unblock; /* VT-x: the fault hit an IRET: NMI blocking must be set again */
	struct fpu_state fpu;
	struct space *space;
	const char *name; /* of the VM, for messages */
	u32 last_cpu;     /* CPU whose hardware may hold parts of this vCPU; ~0 if none */
	void *backend;    /* struct vmx_vcpu / struct svm_vcpu */
};

struct virt_ops {
	const char *name; /* "VT-x", "SVM" */
	const struct slat_format *slat;

	/*
	 * Can this CPU do it? Checks every capability that the design needs. Returns 0, or
	 * E_UNSUPPORTED with a sentence in @why naming what is missing and, where firmware can mend
	 * it, what to switch on.
	 */
	err_t (*probe)(char *why, size_t why_bytes);
	/* Once, on the boot CPU, after mm: shared bitmaps and such. */
	err_t (*init)(void);
	/* Does the CPU set dirty bits in second-level entries? After probe(). */
	bool (*has_dirty_bits)(void);
	/* Switch virtualisation on (VMXON; EFER.SVME and host save area), on this CPU. */
	err_t (*cpu_on)(void);
	void (*cpu_off)(void);

	/* Allocate the control structure; registers as after INIT/RESET until set_sregs(). E_NOMEM,
	 * E_LIMIT. */
	err_t (*vcpu_init)(struct virt_vcpu *vcpu);
	void (*vcpu_destroy)(struct virt_vcpu *vcpu);
	/* Power-on state again (real mode, CS:IP F000:FFF0, all events forgotten). */
	void (*vcpu_reset)(struct virt_vcpu *vcpu);

	/* Make it this CPU's current vCPU (VMPTRLD, MSRs that hardware leaves alone); undo that. */
	void (*load)(struct virt_vcpu *vcpu);
	void (*unload)(struct virt_vcpu *vcpu);

	/*
	 * Enter the guest once and come back. Loaded before. Delivers reinject or what inject()
	 * set. Host interrupts that ended it have been handled when it returns. Calls
	 * tlb_enter()/tlb_leave().
	 */
	void (*run)(struct virt_vcpu *vcpu, struct vm_exit *exit);

	/* All below: vCPU loaded (get/set_sregs and msr_* too). */

	/* Deliver @event with the next run(); nothing else may be set, nor reinject be valid. */
	void (*inject)(struct virt_vcpu *vcpu, const struct virt_event *event);
	/* Could an external interrupt be injected now (RFLAGS.IF, no shadow, nothing pending)? Same
	 * for NMI. */
	bool (*interrupt_allowed)(struct virt_vcpu *vcpu);
	bool (*nmi_allowed)(struct virt_vcpu *vcpu);
	/*
	 * Exit with EXIT_WINDOW as soon as an interrupt of that priority class (vector >> 4) could
	 * be delivered: IF set, no shadow, TPR below. 0 withdraws the request. nmi: as soon as NMIs
	 * are not blocked.
	 */
	void (*request_window)(struct virt_vcpu *vcpu, u8 priority_class, bool nmi);
	/* Step over an emulated instruction: RIP += bytes, interrupt shadow gone, #DB if TF. */
	void (*skip)(struct virt_vcpu *vcpu, u8 bytes);

	void (*get_sregs)(struct virt_vcpu *vcpu, struct virt_sregs *out);
	void (*set_sregs)(struct virt_vcpu *vcpu, const struct virt_sregs *in);
	/* CR4 alone, as the guest reads it: CPUID shows bits of it, and is asked often. */
	u64 (*get_cr4)(struct virt_vcpu *vcpu);
	/* The privilege level alone: 0 .. 3. */
	u8 (*get_cpl)(struct virt_vcpu *vcpu);

	/*
	 * MSRs that live in the control structure or in the CPU while loaded (EFER, PAT, FS/GS
	 * bases, STAR family, SYSENTER family, TSC_AUX ...). E_NOTFOUND: not one of these; E_INVAL:
	 * bad value, inject #GP.
	 */
	err_t (*msr_read)(struct virt_vcpu *vcpu, u32 index, u64 *value);
	err_t (*msr_write)(struct virt_vcpu *vcpu, u32 index, u64 value);

	/* The next run() begins with nothing that was translated by the guest's own page tables. */
	void (*flush_tlb)(struct virt_vcpu *vcpu);

	/* Print the whole guest state through the log. */
	void (*dump)(struct virt_vcpu *vcpu);
};

extern const struct virt_ops vmx_ops, svm_ops;

#endif
