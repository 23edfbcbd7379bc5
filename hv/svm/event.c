/*
 * Events into the guest: injection, what was under way when an exit came, and the moments at which
 * the guest can take an interrupt or an NMI.
 *
 * An event that an exit cut short is in EXITINTINFO, whose low bits are stale unless V is set. It
 * goes into vcpu->reinject, to be delivered first next time, except INT n, INT3 and INTO: RIP still
 * points at those, so they are simply executed again. The interrupt window is a virtual interrupt
 * whose acceptance is intercepted. Hardware without virtual NMIs does not tell when NMIs are
 * unmasked: after an NMI was injected IRET is intercepted, and since that exit comes *before* the
 * IRET, NMIs stay closed until RIP or RSP has moved on; if an NMI waits for that, the IRET is
 * single-stepped. APM vol. 2, "Event Injection", "Virtual Interrupts".
 *
 * An interrupt shadow is in the VMCB. QEMU 7.2 stores it at #VMEXIT but does not load it at VMRUN,
 * and an interrupt between STI and HLT is one whose wake-up is lost. So a shadow that has gone,
 * while RIP has not moved, is put back, and the guest runs without V_IRQ for a moment, in which
 * that one instruction ends; for twice as long each time that it has not, for on a busy machine an
 * emulator's moment can pass with nothing done. The guest may also jump on the spot: then it ends
 * all the same.
 */
#include "hv/svm/svm.h"
#include "hv/x86/msr.h"
#include "hv/x86/time.h"
#include "mm/base/check.h"

#define VECTOR_DB 1
#define VECTOR_BP 3
#define VECTOR_OF 4
#define DR6_BS    BIT(14)

#define SHADOW_LOSSES_MAX 12
#define SHADOW_NS         25000ull /* doubled with the first loss */

/*
 * Some emulators let a virtual interrupt in whose priority *equals* the TPR. Learnt when that is
 * seen once; then one class less is asked for, which is right there.
 */
static bool priority_off_by_one;

static bool shadow(const struct svm_vcpu *svm)
{
	return svm->vmcb->control.intr_shadow & VMCB_SHADOW;
}

/* Nor to be had by VMRUN. */
static bool shadow_is_lost(const struct svm_vcpu *svm)
{
	return shadow(svm) && svm->shadow_losses;
}

bool svm_event_pending(struct virt_vcpu *vcpu)
{
	return vcpu->reinject.valid || (svm_of(vcpu)->vmcb->control.event_inj & VMCB_EVENT_VALID);
}

void svm_event_reset(struct svm_vcpu *svm)
{
	svm->nmi = SVM_NMI_OPEN;
	svm->nmi_window = false;
	svm->stepping = svm->step_done = false;
	svm->window_class = 0;
	svm->in_shadow = false;
	svm->shadow_losses = 0;
}

static void event_set(struct svm_vcpu *svm, const struct virt_event *event)
{
	/* SVM has no types of its own for INT1 and INT3: they are exceptions. */
	u64 type = event->type == EVENT_PRIV_SOFT_EXCEPTION || event->type == EVENT_SOFT_EXCEPTION
			   ? EVENT_EXCEPTION
			   : event->type;
	u64 value = VMCB_EVENT_VALID | type << VMCB_EVENT_TYPE_SHIFT | event->vector;

	if (event->has_error)
		value |= VMCB_EVENT_ERROR | (u64)event->error << VMCB_EVENT_CODE_SHIFT;
	svm->vmcb->control.event_inj = value;
	if (event->type == EVENT_NMI) {
		svm->nmi = SVM_NMI_BLOCKED;
		svm_intercept(svm->vmcb, VMCB_INTERCEPT_IRET, true);
	}
}

void svm_inject(struct virt_vcpu *vcpu, const struct virt_event *event)
{
	CHECK(!svm_event_pending(vcpu));
	event_set(svm_of(vcpu), event);
}

bool svm_interrupt_allowed(struct virt_vcpu *vcpu)
{
	return (vcpu->rflags & RFLAGS_IF) && !shadow(svm_of(vcpu)) && !svm_event_pending(vcpu);
}

bool svm_nmi_allowed(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	return svm->nmi == SVM_NMI_OPEN && !shadow(svm) && !svm_event_pending(vcpu);
}

void svm_request_window(struct virt_vcpu *vcpu, u8 priority_class, bool nmi)
{
	svm_of(vcpu)->window_class = priority_class & 0xf;
	svm_of(vcpu)->nmi_window = nmi;
}

void svm_advance(struct virt_vcpu *vcpu, u8 bytes)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	const struct vmcb_save *save = &svm->vmcb->save;
	bool long_code = (save->efer & EFER_LMA) && (save->cs.attributes & VMCB_ATTR_L);

	vcpu->rip += bytes;
	if (!long_code)
		vcpu->rip &= 0xffffffffull;
	vcpu->rflags &= ~RFLAGS_RF;
	vcpu->state_dirty = true;
	svm->vmcb->control.intr_shadow &= ~VMCB_SHADOW;
}

void svm_skip(struct virt_vcpu *vcpu, u8 bytes)
{
	svm_advance(vcpu, bytes);
	if (!(vcpu->rflags & RFLAGS_TF) || svm_event_pending(vcpu))
		return;
	/* Where hv looks before it halts the vCPU or injects something else. */
	svm_of(vcpu)->vmcb->save.dr6 |= DR6_BS;
	vcpu->reinject =
		(struct virt_event){.valid = true, .vector = VECTOR_DB, .type = EVENT_EXCEPTION};
}

/* V_TPR always; V_IRQ while a window is wanted. */
static void virtual_interrupt_set(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	u64 value = VMCB_V_INTR_MASKING | (vcpu->tpr & VMCB_V_TPR);

	if (svm->window_class && !shadow_is_lost(svm))
		value |= VMCB_V_IRQ | (u64)(svm->window_class - priority_off_by_one)
					      << VMCB_V_PRIO_SHIFT;
	svm->vmcb->control.virtual_intr = value;
	svm_intercept(svm->vmcb, VMCB_INTERCEPT_VINTR, svm->window_class != 0);
}

bool svm_event_before(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;

	if (svm->nmi_window && svm_nmi_allowed(vcpu)) {
		svm->nmi_window = false;
		return false;
	}
	if (vcpu->reinject.valid) {
		event_set(svm, &vcpu->reinject);
		vcpu->reinject.valid = false;
	}
	virtual_interrupt_set(vcpu);
	svm->in_shadow = shadow(svm) && !svm_event_pending(vcpu);
	svm->shadow_rip = vmcb->save.rip;

	/* Step over what keeps an NMI out; where the guest steps itself #DB comes anyway. */
	bool closing = svm->nmi == SVM_NMI_AT_IRET || (svm->nmi == SVM_NMI_OPEN && shadow(svm));

	svm->step_done = false;
	svm->stepping = svm->nmi_window && closing && !svm_event_pending(vcpu) &&
			!(vmcb->save.rflags & RFLAGS_TF);
	if (svm->stepping)
		vmcb->save.rflags |= RFLAGS_TF;
	return true;
}

u64 svm_event_deadline(const struct virt_vcpu *vcpu)
{
	const struct svm_vcpu *svm = vcpu->backend;

	if (!svm->window_class || !shadow_is_lost(svm))
		return vcpu->run_until_tsc;
	return min(vcpu->run_until_tsc,
		time_tsc() + time_tsc_from_ns(SHADOW_NS << svm->shadow_losses));
}

/* EXITINTINFO into vcpu->reinject. */
static void event_save(struct virt_vcpu *vcpu)
{
	u64 info = svm_of(vcpu)->vmcb->control.exit_int_info;
	u8 vector = info & VMCB_EVENT_VECTOR;
	u8 type = (info & VMCB_EVENT_TYPE) >> VMCB_EVENT_TYPE_SHIFT;

	if (!(info & VMCB_EVENT_VALID) || type == EVENT_SOFT_INTR)
		return;
	if (type == EVENT_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF))
		return;
	vcpu->reinject = (struct virt_event){
		.valid = true,
		.vector = vector,
		.type = type,
		.has_error = info & VMCB_EVENT_ERROR,
		.error = info >> VMCB_EVENT_CODE_SHIFT,
	};
}

static void step_end(struct svm_vcpu *svm, bool moved)
{
	struct vmcb *vmcb = svm->vmcb;

	/* An IRET that was executed has loaded the guest's own flags. */
	if (svm->nmi != SVM_NMI_AT_IRET || !moved)
		vmcb->save.rflags &= ~RFLAGS_TF;
	if (vmcb->control.exit_code == VMEXIT_EXCP0 + VECTOR_DB && (vmcb->save.dr6 & DR6_BS)) {
		vmcb->save.dr6 &= ~DR6_BS;
		svm->step_done = true;
	}
	svm->stepping = false;
}

static void shadow_keep(struct svm_vcpu *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	if (svm->in_shadow && !shadow(svm) && vmcb->save.rip == svm->shadow_rip &&
		!svm->step_done && svm->shadow_losses < SHADOW_LOSSES_MAX) {
		/* A fault says that the instruction has not ended: it may come again and again. */
		if (!svm->shadow_losses || vmcb->control.exit_code == VMEXIT_INTR)
			svm->shadow_losses++;
		vmcb->control.intr_shadow |= VMCB_SHADOW;
	} else {
		svm->shadow_losses = 0;
	}
}

void svm_event_after(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	const struct vmcb_save *save = &svm->vmcb->save;
	bool moved = save->rip != svm->iret_rip || save->rsp != svm->iret_rsp;

	svm->vmcb->control.event_inj = 0;
	if (svm->stepping)
		step_end(svm, moved);
	if (svm->nmi == SVM_NMI_AT_IRET && moved)
		svm->nmi = SVM_NMI_OPEN;
	shadow_keep(svm);
	event_save(vcpu);
}

enum vm_exit_kind svm_event_iret(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm_intercept(svm->vmcb, VMCB_INTERCEPT_IRET, false);
	svm->nmi = SVM_NMI_AT_IRET;
	svm->iret_rip = svm->vmcb->save.rip;
	svm->iret_rsp = svm->vmcb->save.rsp;
	return EXIT_AGAIN;
}

enum vm_exit_kind svm_event_vintr(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (svm->window_class && svm->window_class <= vcpu->tpr && !priority_off_by_one) {
		priority_off_by_one = true;
		return EXIT_AGAIN;
	}
	if (shadow(svm))
		return EXIT_AGAIN;
	svm->window_class = 0;
	return EXIT_WINDOW;
}

bool svm_event_stepped(struct virt_vcpu *vcpu, enum vm_exit_kind *kind)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (!svm->step_done)
		return false;
	svm->step_done = false;
	*kind = EXIT_AGAIN;
	if (svm->nmi_window && svm_nmi_allowed(vcpu)) {
		svm->nmi_window = false;
		*kind = EXIT_WINDOW;
	}
	return true;
}
