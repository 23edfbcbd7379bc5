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

/*
 * KICK_CPU: RCX = APIC id of one whose HLT ends, also with interrupts off. Answer: 0.
 * SEND_IPI: RBX, RCX = a bitmap of APIC ids from RDX on, RSI = as the low half of ICR, fixed or
 * NMI. Answer: how many of those there are.
 */
#define KVM_HC_KICK_CPU 5u
#define KVM_HC_SEND_IPI 10u

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

/* PREEMPTED: it does not run, nor will it before it has flushed its TLB if FLUSH_TLB is set too. */
#define STEAL_TIME_PREEMPTED 1u
#define STEAL_TIME_FLUSH_TLB 2u

#endif
