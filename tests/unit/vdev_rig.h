/*
 * What the tests of the guest's devices stand on: frames from malloc, a CPU made of a table, and a
 * VM that only notes what devices ask of it.
 */
#ifndef TESTS_UNIT_VDEV_RIG_H
#define TESTS_UNIT_VDEV_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hv/vdev/cpuid.h"
#include "hv/vdev/vdev.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"

#define RIG_TSC_KHZ 2000000u
#define RIG_EPOCH   1700000000u /* 2023-11-14 22:13:20 UTC */

static struct {
	u32 kicks[4];
	char out[256];
	u32 out_count;
	int ended; /* -1: not */
} rig;

pfn_t frame_alloc_run(enum frame_kind kind, u64 count)
{
	void *va = aligned_alloc(PAGE_BYTES, count * PAGE_BYTES);

	(void)kind;
	memset(va, 0, count * PAGE_BYTES);
	return PFN((uintptr_t)va >> PAGE_SHIFT);
}

void frame_free_run(pfn_t first, u64 count)
{
	(void)count;
	free((void *)(first.v << PAGE_SHIFT));
}

void *platform_frame_va(pfn_t pfn)
{
	return (void *)(pfn.v << PAGE_SHIFT);
}

pfn_t platform_va_frame(const void *va)
{
	return PFN((uintptr_t)va >> PAGE_SHIFT);
}

/* A CPU that has everything: all feature bits set. Tests may change the vendor. */
static const char *rig_vendor = "GenuntelineI";

static void rig_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
	memset(out, 0xff, 16);
	if (leaf == 0 || leaf == 0x80000000u) {
		out[CPUID_EAX] = leaf | 0x20;
		memcpy(&out[CPUID_EBX], rig_vendor, 12);
	} else if (leaf == 1) {
		out[CPUID_EAX] = 0x50654;
	} else if (leaf == 4) {
		/* L1 data, L1 code, L2, L3, then none */
		u32 level = subleaf < 2 ? 1 : subleaf;

		out[CPUID_EAX] = subleaf < 4 ? (0xfc000000u | 0x3c000u | level << 5 | 1) : 0;
	} else if (leaf == 0xd && subleaf >= 2) {
		out[CPUID_EAX] = 256; /* each component: 256 bytes, one after the other */
		out[CPUID_EBX] = 576 + (subleaf - 2) * 256;
		out[CPUID_ECX] = 0;
	} else if (leaf == 0x80000008u) {
		out[CPUID_EAX] = 0x3934; /* 52 physical bits, 57 linear */
	}
}

static u64 rig_xcr0_mask = 0x2e7;

void cpuid_host_get(struct cpuid_host *out)
{
	*out = (struct cpuid_host){
		.read = rig_cpuid,
		.xcr0_mask = rig_xcr0_mask,
		.rdtscp_works = true,
		.invpcid_works = true,
	};
}

static void rig_kick(void *context, u32 index)
{
	(void)context;
	rig.kicks[index]++;
}

static void rig_out(void *context, u8 byte)
{
	(void)context;
	if (rig.out_count < sizeof(rig.out) - 1)
		rig.out[rig.out_count++] = (char)byte;
}

static void rig_end(void *context, enum vdev_end how)
{
	(void)context;
	rig.ended = (int)how;
}

static inline struct vdev *rig_create(u32 vcpu_count)
{
	struct vdev_config config = {
		.vcpu_count = vcpu_count,
		.memory_bytes = MIB(256),
		.tsc_khz = RIG_TSC_KHZ,
		.boot_epoch_s = RIG_EPOCH,
		.host = {.kick = rig_kick, .serial_out = rig_out, .end = rig_end},
	};
	struct vdev *vdev = NULL;

	memset(&rig, 0, sizeof(rig));
	rig.ended = -1;
	assert_int_equal(vdev_create(&vdev, &config), 0);
	return vdev;
}

#endif
