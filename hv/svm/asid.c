/*
 * Address space identifiers: which tag a vCPU's translations carry in a CPU's TLB, and when they
 * must go.
 *
 * Each CPU hands out its tags in order and starts a new generation, with everything flushed, when
 * they run out; a vCPU whose tag is of another CPU or an older generation gets a new one, which is
 * clean. A vCPU keeps its own record of the domain's generation it was flushed for, because two
 * vCPUs of one VM have two tags on a CPU and tlb_enter() tells only the first of them. Where the
 * CPU cannot flush a single tag, the vCPU just takes the next one. ASIDs are 1 .. count - 1: 0 is
 * the host. APM vol. 2, "TLB Control".
 */
#include "hv/svm/svm.h"
#include "hv/x86/cpu.h"
#include "mm/space/tlb.h"

void svm_asid_forget(struct svm_cpu *cpu)
{
	/* The next request starts a generation, and so flushes whatever is there. */
	cpu->asid_next = svm_features.asid_count;
}

static void asid_give(struct svm_cpu *cpu, struct svm_vcpu *svm)
{
	u8 flush = VMCB_TLB_KEEP;

	if (cpu->asid_next >= svm_features.asid_count) {
		cpu->asid_next = 1;
		cpu->asid_generation++;
		flush = VMCB_TLB_FLUSH_ALL;
	}
	svm->asid = cpu->asid_next++;
	svm->asid_generation = cpu->asid_generation;
	svm->asid_cpu = this_cpu()->id;
	svm->vmcb->control.tlb_control = flush;
}

void svm_asid_flush(struct virt_vcpu *vcpu)
{
	/* Domains' generations begin with 1. */
	svm_of(vcpu)->tlb_seen = 0;
}

void svm_asid_prepare(struct svm_cpu *cpu, struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct tlb_domain *domain = &vcpu->space->tlb;
	u32 id = this_cpu()->id;
	bool behind = tlb_enter(domain);
	u64 seen = __atomic_load_n(&domain->seen[id], __ATOMIC_RELAXED);

	svm->vmcb->control.tlb_control = VMCB_TLB_KEEP;
	if (svm->asid_cpu != id || svm->asid_generation != cpu->asid_generation)
		asid_give(cpu, svm);
	else if (behind || svm->tlb_seen != seen) {
		if (svm_features.flush_by_asid)
			svm->vmcb->control.tlb_control = VMCB_TLB_FLUSH_ASID;
		else
			asid_give(cpu, svm);
	}
	svm->vmcb->control.asid = svm->asid;
	svm->tlb_seen = seen;
}
