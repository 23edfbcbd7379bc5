/* The record of stolen time: written at a run's begin, marked at its end. */
#include "hv/vm/steal_time.h"
#include "hv/abi/kvm.h"
#include "hv/hv_ops.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"
#include "mm/platform.h"

static gpa_t record_gpa(const struct vcpu *vcpu)
{
	return GPA(vcpu->steal.msr & ~STEAL_TIME_ENABLE);
}

static struct steal_time_record *record_in(pfn_t pfn, gpa_t gpa)
{
	return (void *)((u8 *)platform_frame_va(pfn) + (gpa.v & (PAGE_BYTES - 1)));
}

err_t steal_time_msr_write(struct vcpu *vcpu, u64 value)
{
	u64 bytes = sizeof(struct steal_time_record);

	if (value & STEAL_TIME_RESERVED)
		return E_INVAL;
	if ((value & STEAL_TIME_ENABLE) &&
		!space_range_is_ram(vcpu->virt.space, GPA(value & ~STEAL_TIME_ENABLE), bytes))
		return E_INVAL;
	vcpu->steal.msr = value;
	/* Before it runs on the record is looked at, which may call it preempted. */
	vcpu->run_until = 0;
	vcpu->attention = true;
	return 0;
}

void steal_time_ready(struct vcpu *vcpu)
{
	if (!vcpu->steal.ready_since)
		vcpu->steal.ready_since = time_tsc();
}

/* The guest may read it at the same time, on another vCPU: an odd version says so. */
static void put_figure(struct steal_time_record *record, u64 ns)
{
	u32 version = __atomic_load_n(&record->version, __ATOMIC_RELAXED) | 1;

	__atomic_store_n(&record->version, version, __ATOMIC_SEQ_CST);
	__atomic_store_n(&record->steal_ns, ns, __ATOMIC_SEQ_CST);
	__atomic_store_n(&record->version, version + 1, __ATOMIC_SEQ_CST);
}

err_t steal_time_enter(struct vcpu *vcpu)
{
	struct steal_time *s = &vcpu->steal;
	struct steal_time_record *record;
	pfn_t pfn;
	err_t err;

	if (s->ready_since)
		s->ticks += time_tsc() - s->ready_since;
	s->ready_since = 0;
	if (!(s->msr & STEAL_TIME_ENABLE))
		return 0;
	err = space_pin(vcpu->virt.space, gpa_to_gfn(record_gpa(vcpu)), true, &pfn);
	if (err)
		return s->is_marked ? err : 0;
	record = record_in(pfn, record_gpa(vcpu));
	put_figure(record, time_ns_from_tsc(s->ticks));
	if (__atomic_exchange_n(&record->preempted, 0, __ATOMIC_SEQ_CST) & STEAL_TIME_FLUSH_TLB)
		hv_ops->flush_tlb(&vcpu->virt);
	s->is_marked = false;
	space_unpin(vcpu->virt.space, pfn);
	return 0;
}

void steal_time_leave(struct vcpu *vcpu)
{
	struct steal_time *s = &vcpu->steal;
	pfn_t pfn;

	steal_time_ready(vcpu);
	/* A mark that is still there may have a request beside it. */
	if (!(s->msr & STEAL_TIME_ENABLE) || s->is_marked || vcpu->vm->vcpu_count == 1)
		return;
	if (space_pin_present(vcpu->virt.space, gpa_to_gfn(record_gpa(vcpu)), &pfn))
		return;
	__atomic_store_n(&record_in(pfn, record_gpa(vcpu))->preempted, STEAL_TIME_PREEMPTED,
		__ATOMIC_SEQ_CST);
	s->is_marked = true;
	space_unpin(vcpu->virt.space, pfn);
}

void steal_time_init(struct vcpu *vcpu)
{
	vcpu->steal.msr = vcpu->steal.ready_since = 0;
	vcpu->steal.is_marked = false;
}
