/*
 * Stolen time: how long a vCPU could have run, but waited for a CPU or for a page of its memory. A
 * guest that names a record (hv/abi/kvm.h) finds it there, and whether a vCPU is preempted: then
 * other vCPUs need not wait for it to flush its TLB, but ask for that in the record.
 *
 * The record is guest memory like any other, and may be evicted or merged at any time. The stolen
 * time is a figure: where the record is not there, it is written at a later entry. The request to
 * flush is a promise: a vCPU is marked as preempted only if its record is there to be written, and
 * from then on does not enter the guest before its record has come, the mark is gone, and what was
 * asked for is done. It is parked for that as for any page.
 *
 * All is of a vCPU that the caller has out of its queue. Locks: none of the space's may be held.
 */
#ifndef HV_VM_STEAL_TIME_H
#define HV_VM_STEAL_TIME_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct vcpu;

/* Part of struct vcpu; of whoever has taken it out of its queue. */
struct steal_time {
	u64 msr;
	u64 ticks;       /* stolen since its VM began */
	u64 ready_since; /* host TSC; 0: it runs, or waits for nothing of the host's */
	bool is_marked;  /* as preempted, in the record */
};

/* E_INVAL: the value deserves #GP. */
must_check err_t steal_time_msr_write(struct vcpu *vcpu, u64 value);

/* From now on it could run. */
void steal_time_ready(struct vcpu *vcpu);

/*
 * It is about to enter the guest, on the CPU that has loaded it. E_WAIT, E_NOMEM, E_CORRUPT: its
 * record must be there first and is not; as guest_mem.h's.
 */
must_check err_t steal_time_enter(struct vcpu *vcpu);

/* It has left the guest, and could go on. */
void steal_time_leave(struct vcpu *vcpu);

/* After INIT it has no record. */
void steal_time_init(struct vcpu *vcpu);

#endif
