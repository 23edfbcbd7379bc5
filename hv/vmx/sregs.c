/*
 * System registers in and out of the VMCS: how a vCPU is started in real, protected or long mode,
 * and how hv sees the guest's mode for address translation and dumps.
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/msr.h"

static void segment_get(u32 index, struct virt_segment *s)
{
	u32 step = 2 * index;

	s->selector = (u16)vmread(VMCS_GUEST_ES_SELECTOR + step);
	s->limit = (u32)vmread(VMCS_GUEST_ES_LIMIT + step);
	s->attributes = (u32)vmread(VMCS_GUEST_ES_RIGHTS + step);
	s->base = vmread(VMCS_GUEST_ES_BASE + step);
}

static void segment_set(u32 index, const struct virt_segment *s, u32 rights)
{
	u32 step = 2 * index;

	vmwrite(VMCS_GUEST_ES_SELECTOR + step, s->selector);
	vmwrite(VMCS_GUEST_ES_LIMIT + step, s->limit);
	vmwrite(VMCS_GUEST_ES_RIGHTS + step, rights);
	vmwrite(VMCS_GUEST_ES_BASE + step, s->base);
}

/* LDTR and TR follow the six in every group of fields. */
#define INDEX_LDTR SEG_COUNT
#define INDEX_TR   (SEG_COUNT + 1)

/* The DPL of SS is the CPL, in every mode ("Guest Register State"). */
u8 vmx_get_cpl(struct virt_vcpu *vcpu)
{
	(void)vcpu;
	return (u8)RIGHTS_DPL(vmread(VMCS_GUEST_SS_RIGHTS));
}

void vmx_get_sregs(struct virt_vcpu *vcpu, struct virt_sregs *out)
{
	u32 i;

	out->cr0 = vmx_cr0_get();
	out->cr2 = vcpu->cr2;
	out->cr3 = vmread(VMCS_GUEST_CR3);
	out->cr4 = vmx_cr4_get();
	out->efer = vmread(VMCS_GUEST_EFER);
	for (i = 0; i < SEG_COUNT; i++)
		segment_get(i, &out->seg[i]);
	segment_get(INDEX_LDTR, &out->ldtr);
	segment_get(INDEX_TR, &out->tr);
	out->gdtr_base = vmread(VMCS_GUEST_GDTR_BASE);
	out->gdtr_limit = (u32)vmread(VMCS_GUEST_GDTR_LIMIT);
	out->idtr_base = vmread(VMCS_GUEST_IDTR_BASE);
	out->idtr_limit = (u32)vmread(VMCS_GUEST_IDTR_LIMIT);
	out->cpl = vmx_get_cpl(vcpu);
}

/* What loading a segment register does to its descriptor: accessed code and data, a busy TSS. */
static u32 rights_as_loaded(const struct virt_segment *s)
{
	if (s->attributes & RIGHTS_UNUSABLE)
		return RIGHTS_UNUSABLE;
	return (s->attributes & RIGHTS_S) ? s->attributes | RIGHTS_ACCESSED : s->attributes;
}

void vmx_set_sregs(struct virt_vcpu *vcpu, const struct virt_sregs *in)
{
	u32 i;

	vmwrite(VMCS_GUEST_CR3, in->cr3);
	vmx_cr_set(vcpu, in->cr0, in->cr4, in->efer);
	vcpu->cr2 = in->cr2;
	for (i = 0; i < SEG_COUNT; i++)
		segment_set(i, &in->seg[i], rights_as_loaded(&in->seg[i]));
	segment_set(INDEX_LDTR, &in->ldtr, rights_as_loaded(&in->ldtr));
	/* TR is never unusable: who has none gets the empty busy one of a CPU's reset. */
	if (in->tr.attributes & RIGHTS_UNUSABLE)
		segment_set(INDEX_TR, &(struct virt_segment){0, 0xffff, 0, 0}, 0x8b);
	else
		segment_set(INDEX_TR, &in->tr, in->tr.attributes | 2u);
	vmwrite(VMCS_GUEST_GDTR_BASE, in->gdtr_base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, in->gdtr_limit & 0xffff);
	vmwrite(VMCS_GUEST_IDTR_BASE, in->idtr_base);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, in->idtr_limit & 0xffff);
	vcpu->started = true;
}
