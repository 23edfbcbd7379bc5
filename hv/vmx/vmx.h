/*
 * What the files of hv/vmx share: the capabilities of this kind of CPU, the per-CPU and per-vCPU
 * records, the VMX instructions, and who offers what to whom. Nothing outside hv/vmx includes it;
 * hv/ sees vmx_ops.
 */
#ifndef HV_VMX_VMX_H
#define HV_VMX_VMX_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/platform.h"
#include "hv/x86/virt.h"
#include "hv/vmx/insn.h"
#include "hv/vmx/vmcs.h"

/* The same on every CPU of the machine; read by vmx_caps_read() on the boot CPU, [I] after that. */
struct vmx_caps {
	u64 basic;
	u64 ept_vpid;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u32 pin, proc, proc2, exit, entry; /* controls as we set them, capability MSRs applied */
	u8 timer_shift;
	bool timer; /* preemption timer */
	bool accessed_dirty;
	bool string_io_info;
	bool xsaves;
	bool ibpb;
	bool verw;           /* clear CPU buffers on entry */
	bool l1d_flush_msr;  /* flush L1D on entry with IA32_FLUSH_CMD */
	bool l1d_flush_loop; /* no such MSR: by reading a buffer, when another vCPU is loaded */
	u8 physical_bits;
	u64 cr4_forced;        /* set in the CPU whatever the guest wants */
	u64 cr4_guest_allowed; /* a guest that sets another bit gets #GP */
};

extern struct vmx_caps vmx_caps;

/* cpu.virt of a CPU. */
struct vmx_cpu {
	void *vmxon;               /* VMXON region */
	struct virt_vcpu *current; /* whose VMCS is current, or NULL */
	u64 last_serial; /* vCPU that ran last: branch predictors are flushed when it changes */
};

/* virt_vcpu.backend. */
struct vmx_vcpu {
	void *vmcs;
	u8 *apic_page; /* virtual-APIC page; byte 0x80 is the TPR */
	u64 serial;    /* unique for ever */
	u64 eptp;
	u64 host_rsp; /* what VMCS_HOST_RSP holds: vmx_enter() keeps it */
	bool launched;
	bool flush_all; /* the tags may be stale on this CPU: flush before the next entry */
	bool event_set; /* VMCS_ENTRY_EVENT is valid and not delivered yet */
	bool window_nmi;
	bool debug_live;    /* the guest's DR0-3 and DR6 are in the CPU */
	u8 window_class;    /* request_window(): priority class, 0 = none */
	u8 tpr_threshold;   /* what the VMCS holds */
	u8 tpr_at_exit;     /* what the virtual-APIC page holds */
	bool windows_dirty; /* what set_windows() looks at has changed */
	u16 vpid;
	u32 proc;     /* what VMCS_PROC_CONTROLS holds */
	u32 host_cpu; /* whose host state the VMCS holds; ~0 if none */
	/* Not switched by hardware: here while the vCPU is not loaded. */
	u64 star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
	u64 dr[4], dr6;
};

static inline struct vmx_vcpu *vmx_of(const struct virt_vcpu *vcpu)
{
	return vcpu->backend;
}

/* Physical address of a page in the frame window. */
static inline u64 vmx_pa(const void *page)
{
	return pfn_to_hpa(platform_va_frame(page)).v;
}

static inline bool is_canonical(u64 address)
{
	return (u64)(((s64)(address << 16)) >> 16) == address;
}

/* caps.c */
err_t vmx_probe(char *why, size_t why_bytes);
/* This CPU against the boot CPU's capabilities. E_UNSUPPORTED with the reason logged. */
must_check err_t vmx_caps_check_cpu(void);

/* mitigate.c: what speculation needs. */
void vmx_mitigate_probe(void);
must_check err_t vmx_mitigate_init(void);
void vmx_mitigate_vcpu_loaded(struct vmx_cpu *cpu, const struct vmx_vcpu *vmx);
extern u16 vmx_verw_selector;

/* setup.c: a VMCS from nothing. The VMCS is current. */
must_check err_t vmx_setup_init(void);
void vmx_setup_controls(struct virt_vcpu *vcpu);
void vmx_setup_power_on(struct virt_vcpu *vcpu);
void vmx_setup_host(struct vmx_vcpu *vmx);

/* entry.S. Returns 0 after an exit, 1 if the instruction failed (VMfail). */
#define VMX_ENTER_LAUNCHED 0x80u
#define VMX_ENTER_VERW     0x40u
int vmx_enter(struct virt_vcpu *vcpu, u32 flags, u64 *host_rsp);
void vmx_exit_point(void);

/* exit.c: after an exit, fill @exit and take what was being delivered into vcpu->reinject. */
void vmx_exit_translate(struct virt_vcpu *vcpu, struct vm_exit *exit);

/* event.c */
void vmx_event_set(struct virt_vcpu *vcpu, const struct virt_event *event);
/* What was being delivered at the exit. @reason: basic; @info: IDT-vectoring information. */
void vmx_event_recover(struct virt_vcpu *vcpu, u32 reason, u32 info);
/* Before an entry: reinject, windows, TPR. */
void vmx_event_prepare(struct virt_vcpu *vcpu);
void vmx_inject(struct virt_vcpu *vcpu, const struct virt_event *event);
bool vmx_interrupt_allowed(struct virt_vcpu *vcpu);
bool vmx_nmi_allowed(struct virt_vcpu *vcpu);
void vmx_request_window(struct virt_vcpu *vcpu, u8 priority_class, bool nmi);
void vmx_skip(struct virt_vcpu *vcpu, u8 bytes);

/* vpid.c: tags of translations. 0: all are in use. Before a load has been followed by a run, and
 * before each entry: what is stale on this CPU goes. */
u16 vmx_vpid_alloc(void);
void vmx_vpid_free(u16 vpid);
void vmx_vpid_loaded(struct virt_vcpu *vcpu);
void vmx_flush_stale(struct virt_vcpu *vcpu);

/* cr.c */
void vmx_cr_set(struct virt_vcpu *vcpu, u64 cr0, u64 cr4, u64 efer);
u64 vmx_cr0_get(void);
u64 vmx_cr4_get(void);
u64 vmx_cr0_mask(void);
u64 vmx_cr4_mask(void);
void vmx_cr_exit(struct virt_vcpu *vcpu, struct vm_exit *exit);
void vmx_efer_set(u64 efer);
/* Forget this vCPU's linear and combined mappings on this CPU, as a new paging mode does. */
void vmx_flush_linear(const struct vmx_vcpu *vmx);
/*
 * Load the four PDPTEs that CR3 names, as MOV to CR0, CR3 or CR4 does with PAE paging. E_INVAL:
 * reserved bits, #GP; E_NOTFOUND: the guest's page isn't there, *@gpa is to be faulted in and the
 * instruction done again.
 */
must_check err_t vmx_pdptes_load(struct virt_vcpu *vcpu, gpa_t *gpa);

/* debug.c */
void vmx_debug_load(struct vmx_vcpu *vmx);
void vmx_debug_unload(struct vmx_vcpu *vmx);
void vmx_debug_exit_mov_dr(struct virt_vcpu *vcpu, struct vm_exit *exit);
void vmx_debug_exit_db(struct virt_vcpu *vcpu, u64 qualification);

/* msr.c */
must_check err_t vmx_msr_init(void);
u64 vmx_msr_bitmap_pa(void);
void vmx_msr_load(const struct vmx_vcpu *vmx);
void vmx_msr_unload(struct vmx_vcpu *vmx);
err_t vmx_msr_read(struct virt_vcpu *vcpu, u32 index, u64 *value);
err_t vmx_msr_write(struct virt_vcpu *vcpu, u32 index, u64 value);

/* sregs.c */
void vmx_get_sregs(struct virt_vcpu *vcpu, struct virt_sregs *out);
u8 vmx_get_cpl(struct virt_vcpu *vcpu);
void vmx_set_sregs(struct virt_vcpu *vcpu, const struct virt_sregs *in);

/* entry_check.c: say why the CPU refused to enter. */
void vmx_report_vmfail(struct virt_vcpu *vcpu);
void vmx_report_entry_failure(struct virt_vcpu *vcpu, u32 reason, u64 qualification);

/* dump.c */
void vmx_dump(struct virt_vcpu *vcpu);
const char *vmx_reason_name(u32 reason);

/* Make @vcpu's VMCS current for a moment whoever's is now, and back. For init, reset, destroy. */
struct virt_vcpu *vmx_borrow(struct virt_vcpu *vcpu);
void vmx_give_back(struct virt_vcpu *vcpu, struct virt_vcpu *before);

#endif
