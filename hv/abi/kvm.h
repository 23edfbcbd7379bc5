/*
 * What KVM's guests know of it besides the clock: hypercalls, and the record of stolen time. Linux,
 * Documentation/virt/kvm/x86/hypercalls.rst and msr.rst.
 *
 * VMCALL or VMMCALL in ring 0, the number in RAX, arguments in RBX, RCX, RDX, RSI; the answer in
 * RAX, negative on error.
 */
#ifndef HV_ABI_KVM_H
#define HV_ABI_KVM_H

#include <stdint.h>

#define KVM_HC_KICK_CPU 5u  /* RCX: APIC id; its HLT ends, also with interrupts off */
#define KVM_HC_SEND_IPI 10u /* RBX, RCX: a bitmap of APIC ids from RDX on; RSI: as ICR's low half  \
			     */
#define KVM_HC_SCHED_YIELD 11u /* RBX: APIC id of one that should rather run */

#define KVM_E_NOSYS (-1000)
#define KVM_E_PERM  (-1)
#define KVM_E_INVAL (-22)

#define STEAL_TIME_MSR      0x4b564d03u
#define STEAL_TIME_ENABLE   1ull
#define STEAL_TIME_RESERVED 0x3eull /* the record is aligned to its size */

/* At the guest-physical address in the MSR, which is the vCPU's own; zeroed by the guest. */
struct steal_time_record {
	uint64_t steal_ns; /* that it could have run, and did not */
	uint32_t version;  /* odd while it is being written */
	uint32_t flags;
	uint8_t preempted; /* STEAL_TIME_PREEMPTED; other vCPUs may add STEAL_TIME_FLUSH_TLB */
	uint8_t pad[47];
};
_Static_assert(sizeof(struct steal_time_record) == 64, "as KVM's guests expect it");

#define STEAL_TIME_PREEMPTED                                                                       \
	1u /* it does not run; a flush that is asked for comes before it does */
#define STEAL_TIME_FLUSH_TLB 2u

#endif
