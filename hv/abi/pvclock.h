/*
 * The KVM paravirtual clock as a guest sees it: two MSRs, each holding the guest-physical address
 * of a structure that the hypervisor fills in. Linux, Documentation/virt/kvm/x86/msr.rst.
 */
#ifndef HV_ABI_PVCLOCK_H
#define HV_ABI_PVCLOCK_H

#include <stdint.h>

#define PVCLOCK_MSR_WALL_CLOCK_OLD  0x11u
#define PVCLOCK_MSR_SYSTEM_TIME_OLD 0x12u
#define PVCLOCK_MSR_WALL_CLOCK      0x4b564d00u
#define PVCLOCK_MSR_SYSTEM_TIME     0x4b564d01u
#define PVCLOCK_ENABLE              1ull /* bit 0 of the system time MSR */

#define PVCLOCK_FLAG_TSC_STABLE 1u

struct pvclock_time {
	uint32_t version; /* odd while it is being written */
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;       /* ns at tsc_timestamp */
	uint32_t tsc_to_system_mul; /* ns = ((tsc << shift) * mul) >> 32 */
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad[2];
};
_Static_assert(sizeof(struct pvclock_time) == 32, "as KVM's guests expect it");

struct pvclock_wall {
	uint32_t version;
	uint32_t seconds; /* wall clock when system_time was 0 */
	uint32_t nanoseconds;
};
_Static_assert(sizeof(struct pvclock_wall) == 12, "as KVM's guests expect it");

#endif
