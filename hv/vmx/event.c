/*
 * Events on their way into the guest: what hv injects, what an exit interrupted and must be
 * delivered again first, and the windows that tell when the guest can take something. SDM vol. 3C,
 * "Event Injection", "Information for VM Exits That Occur During Event Delivery", "Interrupt-Window
 * Exiting and Virtual-Interrupt Delivery", "TPR Virtualization".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/msr.h"
#include "mm/base/check.h"

#define APIC_PAGE_TPR 0x80

/* Exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC, #CP. */
#define VECTORS_WITH_ERROR (BITS(14, 10) | BIT(8) | BIT(17) | BIT(21))

/* VMCS fields for @event. "VM-Entry Controls for Event Injection". */
void vmx_event_set(struct virt_vcpu *vcpu, const struct virt_event *event)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	u32 info = event->vector | (u32)event->type << 8 | EVENT_INFO_VALID;

	/* The CPU insists: an error code exactly where a vector has one, and none in real mode. */
	if (event->type == EVENT_EXCEPTION && event->vector < 32 &&
		(BIT(event->vector) & VECTORS_WITH_ERROR) && (vmread(VMCS_CR0_SHADOW) & CR0_PE)) {
		info |= EVENT_INFO_ERROR;
		vmwrite(VMCS_ENTRY_EVENT_ERROR, event->has_error ? event->error & 0x7fff : 0);
	}
	if (event->type >= EVENT_SOFT_INTR)
		vmwrite(VMCS_ENTRY_INSN_BYTES, event->insn_bytes);
	vmwrite(VMCS_ENTRY_EVENT, info);
	vmx->event_set = true;
}

void vmx_inject(struct virt_vcpu *vcpu, const struct virt_event *event)
{
	CHECK(!vmx_of(vcpu)->event_set && !vcpu->reinject.valid);
	vmx_event_set(vcpu, event);
}

/* Did the exit itself hit an IRET that had just unblocked NMIs? "NMI unblocking due to IRET". */
static bool unblocked_by_iret(u32 reason)
{
	u32 info;

	switch (reason) {
	case REASON_EXCEPTION_NMI:
		info = (u32)vmread(VMCS_EXIT_EVENT);
		return (info & EVENT_INFO_NMI_UNBLOCK) && (info & EVENT_INFO_VECTOR) != 8;
	case REASON_EPT_VIOLATION:
		return (vmread(VMCS_EXIT_QUALIFICATION) & EPTQ_NMI_UNBLOCK) != 0;
	default:
		return false;
	}
}

static void set_nmi_blocking(bool blocked)
{
	u32 state = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY);
	u32 want = blocked ? state | BLOCKING_NMI : state & ~BLOCKING_NMI;

	if (want != state)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, want);
}

void vmx_event_recover(struct virt_vcpu *vcpu, u32 reason, u32 info)
{
	struct virt_event *e = &vcpu->reinject;

	if (!(info & EVENT_INFO_VALID)) {
		vcpu->reinject_nmi_unblock = unblocked_by_iret(reason);
		if (vcpu->reinject_nmi_unblock)
			set_nmi_blocking(true);
		return;
	}
	e->valid = true;
	e->vector = (u8)info;
	e->type = (u8)EVENT_INFO_TYPE(info);
	e->has_error = (info & EVENT_INFO_ERROR) != 0;
	e->error = e->has_error ? (u32)vmread(VMCS_VECTORING_ERROR) : 0;
	e->insn_bytes = e->type >= EVENT_SOFT_INTR ? (u8)vmread(VMCS_EXIT_INSN_BYTES) : 0;
	vcpu->reinject_nmi_unblock = false;
	/* The entry that delivers an NMI again needs NMIs unblocked; delivery blocks them. */
	if (e->type == EVENT_NMI)
		set_nmi_blocking(false);
}

/* Controls and the TPR threshold for what is asked for now. */
static void set_windows(struct virt_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	u32 proc = vmx_caps.proc & ~(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW | PROC_MOV_DR);
	u8 threshold = 0;

	if (vmx->window_class) {
		/* Masked by the TPR: wait for that; only then for IF. */
		if (vcpu->tpr >= vmx->window_class)
			threshold = vmx->window_class;
		else
			proc |= PROC_INTERRUPT_WINDOW;
	}
	if (vmx->window_nmi)
		proc |= PROC_NMI_WINDOW;
	if (!vmx->debug_live)
		proc |= PROC_MOV_DR;
	if (proc != vmx->proc) {
		vmx->proc = proc;
		vmwrite(VMCS_PROC_CONTROLS, proc);
	}
	vmx->apic_page[APIC_PAGE_TPR] = (u8)(vcpu->tpr << 4);
	vmx->tpr_at_exit = vcpu->tpr;
	if (threshold != vmx->tpr_threshold) {
		vmx->tpr_threshold = threshold;
		vmwrite(VMCS_TPR_THRESHOLD, threshold);
	}
}

void vmx_event_prepare(struct virt_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vcpu->reinject.valid && !vmx->event_set) {
		vmx_event_set(vcpu, &vcpu->reinject);
		vcpu->reinject.valid = false;
	}
	if (vmx->windows_dirty || vcpu->tpr != vmx->tpr_at_exit) {
		set_windows(vcpu, vmx);
		vmx->windows_dirty = false;
	}
}

/* The #DB that vmx_skip() left comes first: injected over it, an interrupt's handler gets it. */
static bool step_pending(const struct virt_vcpu *vcpu)
{
	return (vcpu->rflags & RFLAGS_TF) && (vmread(VMCS_GUEST_PENDING_DEBUG) & PENDING_DEBUG_BS);
}

bool vmx_interrupt_allowed(struct virt_vcpu *vcpu)
{
	if (!(vcpu->rflags & RFLAGS_IF) || vcpu->reinject.valid || vmx_of(vcpu)->event_set ||
		step_pending(vcpu))
		return false;
	return !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_STI | BLOCKING_MOV_SS));
}

bool vmx_nmi_allowed(struct virt_vcpu *vcpu)
{
	if (vcpu->reinject.valid || vmx_of(vcpu)->event_set || step_pending(vcpu))
		return false;
	/* Some CPUs refuse an NMI in the shadow of STI too. */
	return !(vmread(VMCS_GUEST_INTERRUPTIBILITY) &
		 (BLOCKING_STI | BLOCKING_MOV_SS | BLOCKING_NMI));
}

void vmx_request_window(struct virt_vcpu *vcpu, u8 priority_class, bool nmi)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	priority_class &= 0xf;
	if (vmx->window_class == priority_class && vmx->window_nmi == nmi)
		return;
	vmx->window_class = priority_class;
	vmx->window_nmi = nmi;
	vmx->windows_dirty = true;
}

void vmx_skip(struct virt_vcpu *vcpu, u8 bytes)
{
	u32 state = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY);
	u64 rip = vcpu->rip + bytes;

	/* Outside 64-bit mode EIP wraps; only then can the sum have bit 32 and nothing above. */
	if ((rip ^ vcpu->rip) >> 32 && !(vmread(VMCS_GUEST_CS_RIGHTS) & RIGHTS_LONG))
		rip = (u32)rip;
	vcpu->rip = rip;
	/* Set by an EPT violation; it would keep the next instruction's breakpoint from hitting. */
	vcpu->rflags &= ~RFLAGS_RF;
	vcpu->state_dirty = true;
	if (state & (BLOCKING_STI | BLOCKING_MOV_SS))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, state & ~(BLOCKING_STI | BLOCKING_MOV_SS));
	if (vcpu->rflags & RFLAGS_TF)
		vmwrite(VMCS_GUEST_PENDING_DEBUG,
			vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}
