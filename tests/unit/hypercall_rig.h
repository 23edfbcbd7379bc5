/*
 * One VM that calls the hypervisor, without hardware: hv/exit/hypercall.c and hv/memory/balloon.c
 * with real memory beneath them, and a clock and a privilege level that the test sets.
 */
#ifndef TESTS_UNIT_HYPERCALL_RIG_H
#define TESTS_UNIT_HYPERCALL_RIG_H

#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "hv/abi/hypercall.h"
#include "hv/memory/guest_mem.h"
#include "hv/hv_ops.h"
#include "hv/exit/hypercall.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/vm/vm_promise.h"
#include "mm/balloon/balloon.h"
#include "mm/space/promise.h"
#include <stdlib.h>
#include <string.h>

static struct {
	struct vm_config config;
	struct config host;
	struct vm vm;
	struct vcpu vcpu;
	u64 now_ns;
	u8 cpl;
	struct {
		u64 ids, first;
		bool nmi;
		u8 vector;
		u32 count;
	} ipi; /* the last that was sent */
	struct vcpu *kicked;
} rig;

static u8 rig_get_cpl(struct virt_vcpu *vcpu)
{
	(void)vcpu;
	return rig.cpl;
}

static const struct virt_ops rig_ops = {.get_cpl = rig_get_cpl};
const struct virt_ops *hv_ops = &rig_ops;

const struct config *sched_config(void)
{
	return &rig.host;
}

u32 vdev_send_ipi(struct vdev *vdev, u64 ids, u64 first, bool nmi, u8 vector)
{
	(void)vdev;
	rig.ipi.ids = ids;
	rig.ipi.first = first;
	rig.ipi.nmi = nmi;
	rig.ipi.vector = vector;
	rig.ipi.count++;
	return (u32)__builtin_popcountll(ids);
}

void vcpu_kick(struct vcpu *vcpu)
{
	rig.kicked = vcpu;
}

u64 time_now_ns(void)
{
	return rig.now_ns;
}

u64 vm_promise_move(struct vm *vm, u64 pages)
{
	return promise_move(vm->space, &vm->admitted, pages);
}

u64 vm_promise_most(const struct vm *vm)
{
	return promise_most(vm->space, &vm->admitted);
}

/* A VM of so much memory, admitted and with no reservation, on a host of so many frames. */
static inline void rig_start(u64 memory_bytes, u64 host_frames)
{
	struct space_config space = {
		.name = "rig",
		.memory_bytes = memory_bytes,
		.format = &slat_ept,
		.large_pages = true,
		.promised_bytes = memory_bytes,
	};
	char why[200];

	memset(&rig, 0, sizeof(rig));
	fake_start_plain(2, host_frames);
	fake_guest_start();
	rig.now_ns = 1000000000;
	rig.host.host.ctl_max_pct = 65;
	rig.config.balloon_max.pct = 65;
	rig.config.memory_bytes = rig.config.limit_bytes = memory_bytes;
	rig.vm.memory.granted_pages = memory_bytes >> PAGE_SHIFT;
	spin_init(&rig.vm.lock, LOCK_RANK_VM);
	rig.vm.config = &rig.config;
	rig.vm.state = VM_RUNNING;
	rig.vcpu.vm = &rig.vm;
	rig.vm.admitted = (struct memsched_request){
		.memory_frames = memory_bytes >> PAGE_SHIFT,
		.promised_frames = memory_bytes >> PAGE_SHIFT,
		.overhead_frames = space_overhead_frames(&space),
	};
	if (memsched_power_on(&rig.vm.admitted, why, sizeof(why)) ||
		space_create(&rig.vm.space, &space))
		abort();
	balloon_began(&rig.vm);
}

static inline void rig_stop(void)
{
	fake_guest_leave_all();
	space_destroy(rig.vm.space);
	memsched_power_off(&rig.vm.admitted);
	fake_stop();
}

static inline s64 rig_call(u64 number, u64 rbx, u64 rcx, u64 rdx, u64 rsi)
{
	u64 *gpr = rig.vcpu.virt.gpr;

	fake_guest_leave();
	gpr[GPR_RAX] = number;
	gpr[GPR_RBX] = rbx;
	gpr[GPR_RCX] = rcx;
	gpr[GPR_RDX] = rdx;
	gpr[GPR_RSI] = rsi;
	hypercall_handle(&rig.vcpu);
	return (s64)gpr[GPR_RAX];
}

#endif
