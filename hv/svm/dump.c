/*
 * What a person wants to see when a guest has gone wrong: its whole state in the log, and, where
 * VMRUN refused it, which of the CPU's own checks it fails. APM vol. 2, "Canonicalization and
 * Consistency Checks".
 */
#include "hv/svm/svm.h"
#include "hv/x86/msr.h"
#include "mm/base/log.h"

typedef unsigned long long ull;

static void dump_segment(const char *name, const struct vmcb_segment *s)
{
	log_info("  %-4s %04x base %016llx limit %08x attributes %03x", name, s->selector,
		(ull)s->base, s->limit, s->attributes);
}

static void dump_segments(const struct vmcb_save *save)
{
	dump_segment("es", &save->es);
	dump_segment("cs", &save->cs);
	dump_segment("ss", &save->ss);
	dump_segment("ds", &save->ds);
	dump_segment("fs", &save->fs);
	dump_segment("gs", &save->gs);
	dump_segment("tr", &save->tr);
	dump_segment("ldtr", &save->ldtr);
	dump_segment("gdtr", &save->gdtr);
	dump_segment("idtr", &save->idtr);
}

static void dump_general(const struct virt_vcpu *vcpu)
{
	static const char *const names[GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
		"rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
	const u64 *gpr = vcpu->gpr;

	for (int i = 0; i < GPR_COUNT; i += 4)
		log_info("  %-3s %016llx %-3s %016llx %-3s %016llx %-3s %016llx", names[i],
			(ull)gpr[i], names[i + 1], (ull)gpr[i + 1], names[i + 2], (ull)gpr[i + 2],
			names[i + 3], (ull)gpr[i + 3]);
	log_info("  rip %016llx rflags %08llx cr2 %016llx cr8 %x", (ull)vcpu->rip,
		(ull)vcpu->rflags, (ull)vcpu->cr2, vcpu->tpr);
}

void svm_dump(struct virt_vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	const struct vmcb_control *c = &svm->vmcb->control;
	const struct vmcb_save *s = &svm->vmcb->save;

	log_info("%s: vCPU state (SVM):", vcpu->name);
	dump_general(vcpu);
	log_info("  cr0 %08llx cr3 %016llx cr4 %08llx efer %04llx cpl %u", (ull)s->cr0, (ull)s->cr3,
		(ull)s->cr4, (ull)s->efer, s->cpl);
	dump_segments(s);
	log_info("  dr6 %08llx dr7 %08llx pat %016llx star %016llx lstar %016llx", (ull)s->dr6,
		(ull)s->dr7, (ull)s->g_pat, (ull)s->star, (ull)s->lstar);
	log_info("  exit %llx info1 %llx info2 %llx int_info %llx event_inj %llx",
		(ull)c->exit_code, (ull)c->exit_info1, (ull)c->exit_info2, (ull)c->exit_int_info,
		(ull)c->event_inj);
	log_info("  intercepts %08x %08x exceptions %08x vintr %llx shadow %llx asid %u nmi %u",
		c->intercepts[0], c->intercepts[1], c->exceptions, (ull)c->virtual_intr,
		(ull)c->intr_shadow, c->asid, svm->nmi);
	log_info("  ncr3 %llx tsc offset %llx reinject %s", (ull)c->nested_cr3, (ull)c->tsc_offset,
		vcpu->reinject.valid ? "yes" : "no");
}

struct complaints {
	const char *name;
	u32 count;
};

static void complain_if(struct complaints *to, bool wrong, const char *what)
{
	if (!wrong)
		return;
	to->count++;
	log_error("%s: VMRUN refuses: %s", to->name, what);
}

static void check_modes(struct complaints *to, const struct vmcb_save *s)
{
	bool long_paging = (s->efer & EFER_LME) && (s->cr0 & CR0_PG);
	const u64 efer_known =
		EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_LMSLE | EFER_FFXSR;

	complain_if(to, !(s->efer & EFER_SVME), "EFER.SVME is 0");
	complain_if(to, s->efer & ~efer_known, "EFER has a reserved bit set");
	complain_if(to, !(s->cr0 & CR0_CD) && (s->cr0 & CR0_NW), "CR0.CD is 0 and NW is 1");
	complain_if(to, s->cr0 >> 32, "CR0[63:32] is not 0");
	complain_if(
		to, long_paging && (s->cr3 >> svm_features.pa_bits), "CR3 has a reserved bit set");
	complain_if(to, s->cr4 >> 32, "CR4[63:32] is not 0");
	complain_if(to, s->dr6 >> 32, "DR6[63:32] is not 0");
	complain_if(to, s->dr7 >> 32, "DR7[63:32] is not 0");
	complain_if(
		to, long_paging && !(s->cr4 & CR4_PAE), "EFER.LME and CR0.PG are 1, CR4.PAE is 0");
	complain_if(
		to, long_paging && !(s->cr0 & CR0_PE), "EFER.LME and CR0.PG are 1, CR0.PE is 0");
	complain_if(to,
		long_paging && (s->cr4 & CR4_PAE) && (s->cs.attributes & VMCB_ATTR_L) &&
			(s->cs.attributes & VMCB_ATTR_DB),
		"long mode with CS.L and CS.D both 1");
	complain_if(to, (s->cr4 & CR4_CET) && !(s->cr0 & CR0_WP), "CR4.CET is 1, CR0.WP is 0");
}

static void check_event(struct complaints *to, u64 event)
{
	u32 type = (event & VMCB_EVENT_TYPE) >> VMCB_EVENT_TYPE_SHIFT;
	u32 vector = event & VMCB_EVENT_VECTOR;

	if (!(event & VMCB_EVENT_VALID))
		return;
	complain_if(to, type == 1 || type > EVENT_SOFT_INTR, "EVENTINJ has a reserved type");
	complain_if(to, type == EVENT_EXCEPTION && (vector == 2 || vector > 31),
		"EVENTINJ has an exception that does not exist");
}

void svm_explain_entry_failure(struct virt_vcpu *vcpu)
{
	const struct vmcb_control *c = &svm_of(vcpu)->vmcb->control;
	struct complaints to = {.name = vcpu->name};
	u64 pa_end = 1ull << svm_features.pa_bits;

	log_error("%s: VMRUN refused the guest state (VMEXIT_INVALID)", vcpu->name);
	check_modes(&to, &svm_of(vcpu)->vmcb->save);
	check_event(&to, c->event_inj);
	complain_if(&to, !(c->intercepts[1] & 1), "VMRUN is not intercepted");
	complain_if(&to, c->asid == 0 || c->asid >= svm_features.asid_count,
		"the ASID is out of range");
	complain_if(
		&to, c->iopm_pa + 3 * PAGE_BYTES > pa_end, "the I/O map is beyond physical memory");
	complain_if(&to, c->msrpm_pa + 2 * PAGE_BYTES > pa_end,
		"the MSR map is beyond physical memory");
	complain_if(&to, c->nested_cr3 & (PAGE_BYTES - 1) || c->nested_cr3 >= pa_end, "nested CR3");
	/* QEMU puts the host's state there first, or ends so what should be the guest's #GP. */
	if (!to.count)
		log_error("%s: none of the manual's checks fails on what is in the VMCB now",
			vcpu->name);
	svm_dump(vcpu);
}
