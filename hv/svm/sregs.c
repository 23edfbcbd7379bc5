/*
 * System registers in and out of the VMCB: power-on values, and struct virt_sregs with its VT-x
 * style segment attributes (type, S, DPL, P in bits 7:0; AVL, L, D/B, G in 15:12; 16 unusable)
 * against the VMCB's, where the upper four follow at once in 11:8 and "unusable" is a segment that
 * is not present.
 */
#include "hv/svm/svm.h"
#include "hv/x86/msr.h"

#define ATTR_UNUSABLE BIT(16)
#define PAT_RESET     0x0007040600070406ull
#define DR6_RESET     0xffff0ff0ull
#define DR7_RESET     0x400ull

static struct vmcb_segment segment_reset(u16 selector, u64 base, u16 attributes)
{
	return (struct vmcb_segment){
		.selector = selector, .attributes = attributes, .limit = 0xffff, .base = base};
}

/* APM vol. 2, "Initial Processor State". */
void svm_sregs_reset(struct vmcb *vmcb)
{
	struct vmcb_save *save = &vmcb->save;

	save->cs = segment_reset(0xf000, 0xffff0000, 0x09b);
	save->ds = save->es = save->fs = save->gs = save->ss = segment_reset(0, 0, 0x093);
	save->ldtr = segment_reset(0, 0, 0x082);
	save->tr = segment_reset(0, 0, 0x08b);
	save->gdtr = save->idtr = segment_reset(0, 0, 0);
	save->cr0 = CR0_CD | CR0_NW | CR0_ET;
	save->efer = EFER_SVME;
	save->dr6 = DR6_RESET;
	save->dr7 = DR7_RESET;
	save->rflags = RFLAGS_FIXED;
	save->rip = 0xfff0;
	save->g_pat = PAT_RESET;
}

static u32 attributes_out(u16 vmcb)
{
	if (!(vmcb & VMCB_ATTR_P))
		return ATTR_UNUSABLE | (vmcb & 0xffu);
	return (vmcb & 0xffu) | (vmcb & 0xf00u) << 4;
}

static struct virt_segment segment_out(const struct vmcb_segment *s)
{
	return (struct virt_segment){
		.selector = s->selector,
		.limit = s->limit,
		.attributes = attributes_out(s->attributes),
		.base = s->base,
	};
}

static struct vmcb_segment segment_in(const struct virt_segment *s)
{
	u16 attributes = (s->attributes & 0xff) | (s->attributes >> 4 & 0xf00);

	return (struct vmcb_segment){
		.selector = s->selector,
		.attributes = s->attributes & ATTR_UNUSABLE ? 0 : attributes,
		.limit = s->limit,
		.base = s->base,
	};
}

void svm_get_sregs(struct virt_vcpu *vcpu, struct virt_sregs *out)
{
	const struct vmcb_save *save = &svm_of(vcpu)->vmcb->save;

	*out = (struct virt_sregs){
		.cr0 = save->cr0,
		.cr2 = vcpu->cr2,
		.cr3 = save->cr3,
		.cr4 = save->cr4,
		.efer = save->efer & ~EFER_SVME,
		.tr = segment_out(&save->tr),
		.ldtr = segment_out(&save->ldtr),
		.gdtr_base = save->gdtr.base,
		.idtr_base = save->idtr.base,
		.gdtr_limit = save->gdtr.limit,
		.idtr_limit = save->idtr.limit,
		.cpl = save->cpl,
	};
	out->seg[SEG_ES] = segment_out(&save->es);
	out->seg[SEG_CS] = segment_out(&save->cs);
	out->seg[SEG_SS] = segment_out(&save->ss);
	out->seg[SEG_DS] = segment_out(&save->ds);
	out->seg[SEG_FS] = segment_out(&save->fs);
	out->seg[SEG_GS] = segment_out(&save->gs);
}

void svm_set_sregs(struct virt_vcpu *vcpu, const struct virt_sregs *in)
{
	struct vmcb_save *save = &svm_of(vcpu)->vmcb->save;

	save->cr0 = in->cr0;
	vcpu->cr2 = in->cr2;
	save->cr3 = in->cr3;
	save->cr4 = in->cr4;
	save->efer = in->efer | EFER_SVME;
	save->es = segment_in(&in->seg[SEG_ES]);
	save->cs = segment_in(&in->seg[SEG_CS]);
	save->ss = segment_in(&in->seg[SEG_SS]);
	save->ds = segment_in(&in->seg[SEG_DS]);
	save->fs = segment_in(&in->seg[SEG_FS]);
	save->gs = segment_in(&in->seg[SEG_GS]);
	save->tr = segment_in(&in->tr);
	save->tr.attributes |= VMCB_ATTR_TR_BUSY;
	save->ldtr = segment_in(&in->ldtr);
	save->gdtr.base = in->gdtr_base;
	save->gdtr.limit = in->gdtr_limit;
	save->idtr.base = in->idtr_base;
	save->idtr.limit = in->idtr_limit;
	save->cpl = in->cpl;
	vcpu->started = true;
}
