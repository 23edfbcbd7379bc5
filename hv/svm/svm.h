/*
 * What the files of this folder share: one vCPU's backend state, one CPU's, what this CPU model
 * offers, and who does what. Nobody outside hv/svm includes it; the way in is svm_ops
 * (hv/x86/virt.h).
 */
#ifndef HV_SVM_SVM_H
#define HV_SVM_SVM_H

#include "hv/x86/virt.h"
#include "hv/svm/vmcb.h"

/* CPUID Fn8000_000A and friends, the same on all CPUs; fixed by probe. */
struct svm_features {
	u32 asid_count;
	bool next_rip;
	bool decode_assists;
	bool flush_by_asid;
	bool pause_filter;
	bool pause_threshold;
	bool ibpb;
	bool tsc_aux; /* RDTSCP or RDPID */
	bool rdpru;
	bool mcommit;
	u8 pa_bits;
};
extern struct svm_features svm_features;

/* How far the guest is from accepting another NMI; hardware without vNMI does not tell. */
enum svm_nmi_state {
	SVM_NMI_OPEN,
	SVM_NMI_BLOCKED, /* one was injected; IRET is intercepted */
	SVM_NMI_AT_IRET, /* its IRET is next: over as soon as RIP or RSP has moved */
};

struct svm_vcpu {
	struct vmcb *vmcb;
	u64 vmcb_pa;
	enum svm_nmi_state nmi;
	u64 iret_rip, iret_rsp;
	bool nmi_window;  /* EXIT_WINDOW is wanted once an NMI can be taken */
	bool stepping;    /* TF was set by us for this entry */
	bool step_done;   /* ... and the #DB that ended it is ours */
	u8 window_class;  /* EXIT_WINDOW is wanted for an interrupt of this class; 0: no */
	bool in_shadow;   /* this entry began in an interrupt shadow, at shadow_rip */
	u8 shadow_losses; /* times in a row that it was gone and RIP had not moved: event.c */
	u64 shadow_rip;
	bool dr_loaded; /* DR0-3 of the CPU are the guest's, accesses not intercepted */
	u64 dr[4];
	u64 tsc_aux;

	/* asid.c */
	u32 asid;
	u32 asid_cpu;        /* CPU on which it is valid */
	u64 asid_generation; /* that CPU's, when it was given */
	u64 tlb_seen;        /* domain generation for which this ASID was last flushed */
};

struct svm_cpu {
	u64 hsave_pa; /* hardware's own: host state across VMRUN */
	u64 host_pa;  /* a VMCB with what VMSAVE saved of the host at cpu_on() */
	void *hsave, *host;
	const void *last_vm; /* space of the vCPU that was loaded last, for IBPB */
	u32 asid_next;
	u64 asid_generation;
};

static inline struct svm_vcpu *svm_of(struct virt_vcpu *vcpu)
{
	return vcpu->backend;
}

static inline void svm_intercept(struct vmcb *vmcb, u32 which, bool on)
{
	u32 bit = 1u << (which & 31);

	if (on)
		vmcb->control.intercepts[which >> 5] |= bit;
	else
		vmcb->control.intercepts[which >> 5] &= ~bit;
}

/*
 * entry.S: load the guest's registers, VMRUN, save them, with interrupts held (GIF) on both sides.
 * RAX and RSP of the guest are in the VMCB. @host_pa: what VMLOAD restores. Returns with IF=0,
 * GIF=1, after which a pending NMI has been taken.
 */
void svm_enter(u64 vmcb_pa, u64 *gpr, u64 host_pa);

/* exit.c: the vendor-neutral form of what ended the guest's run. */
void svm_translate_exit(struct virt_vcpu *vcpu, struct vm_exit *exit);

/*
 * event.c: injection, NMI masking, windows. svm_event_before/after enclose each VMRUN; before
 * returns false where there is nothing to run for, since the NMI window that was asked for is open.
 */
must_check bool svm_event_before(struct virt_vcpu *vcpu);
/* When this entry is to end, at the latest: between svm_event_before() and VMRUN. */
u64 svm_event_deadline(const struct virt_vcpu *vcpu);
void svm_event_after(struct virt_vcpu *vcpu);
void svm_event_reset(struct svm_vcpu *svm);
bool svm_event_pending(struct virt_vcpu *vcpu);
/* The exits that serve event.c alone; each gives the kind to report. */
enum vm_exit_kind svm_event_iret(struct virt_vcpu *vcpu);
enum vm_exit_kind svm_event_vintr(struct virt_vcpu *vcpu);
/* Was this #DB the end of a step that event.c made? */
bool svm_event_stepped(struct virt_vcpu *vcpu, enum vm_exit_kind *kind);
void svm_inject(struct virt_vcpu *vcpu, const struct virt_event *event);
bool svm_interrupt_allowed(struct virt_vcpu *vcpu);
bool svm_nmi_allowed(struct virt_vcpu *vcpu);
void svm_request_window(struct virt_vcpu *vcpu, u8 priority_class, bool nmi);
void svm_skip(struct virt_vcpu *vcpu, u8 bytes);
/* As svm_skip(), but without the #DB of a guest that steps itself. */
void svm_advance(struct virt_vcpu *vcpu, u8 bytes);

/* asid.c: give the vCPU a tag that is good on this CPU, and set TLB_CONTROL. */
void svm_asid_prepare(struct svm_cpu *cpu, struct virt_vcpu *vcpu);
/* What is cached under the vCPU's tag must go before it runs again. */
void svm_asid_flush(struct virt_vcpu *vcpu);
/* No tag of this CPU is good any more: at switch-on, and when a VMRUN that was to flush failed. */
void svm_asid_forget(struct svm_cpu *cpu);

/* debug registers DR0-3, which VMRUN does not switch (svm.c) */
void svm_debug_use(struct svm_vcpu *svm);

/* msr.c */
err_t svm_msr_init(void);
u64 svm_msrpm_pa(void);
err_t svm_msr_read(struct virt_vcpu *vcpu, u32 index, u64 *value);
err_t svm_msr_write(struct virt_vcpu *vcpu, u32 index, u64 value);

/* sregs.c */
void svm_sregs_reset(struct vmcb *vmcb);
void svm_get_sregs(struct virt_vcpu *vcpu, struct virt_sregs *out);
void svm_set_sregs(struct virt_vcpu *vcpu, const struct virt_sregs *in);

/* dump.c */
void svm_dump(struct virt_vcpu *vcpu);
/* Log which of the checks that VMRUN makes the VMCB fails. */
void svm_explain_entry_failure(struct virt_vcpu *vcpu);

#endif
