/* The dispatch of exits, and the small ones; MMIO, string I/O, hypercalls and the clock have files
 * of their own. */
#include "hv/exit/exit.h"
#include "hv/abi/kvm.h"
#include "hv/hv_ops.h"
#include "hv/exit/hypercall.h"
#include "hv/exit/mmio.h"
#include "hv/exit/operand.h"
#include "hv/vm/pvclock.h"
#include "hv/sched/run_queue.h"
#include "hv/exit/string_io.h"
#include "hv/vm/vm.h"
#include "hv/x86/msr.h"
#include "hv/x86/time.h"
#include "mm/base/log.h"
#include "mm/fault/fault.h"

#define CPUID_FEATURES 1u
#define CPUID_EXTENDED 7u
#define CPUID_XSAVE    0xdu
#define INSN_MAX_BYTES 15

/* Steps over what was emulated. Backends give the length where the hardware does. */
static bool step_over(struct vcpu *vcpu, const struct vm_exit *exit, u8 bytes)
{
	hv_ops->skip(&vcpu->virt, exit->insn_bytes ? exit->insn_bytes : bytes);
	return true;
}

bool exit_not_done(struct vcpu *vcpu, err_t err)
{
	switch (err) {
	case E_WAIT:
		vcpu->state = VCPU_PARKED;
		/* A device's event that came meanwhile is seen when it runs again. */
		__atomic_store_n(&vcpu->attention, false, __ATOMIC_SEQ_CST);
		return false;
	case E_INVAL:
		return true;
	case E_NOMEM:
		vm_break(vcpu->vm, "the host has no free memory for it, and none to reclaim");
		return false;
	case E_CORRUPT:
		vm_break(vcpu->vm, "the contents of one of its pages were lost");
		return false;
	default:
		vm_break(vcpu->vm, "an access to its memory failed: %s", err_name(err));
		return false;
	}
}

static bool on_gpa_fault(struct vcpu *vcpu, const struct vm_exit *exit)
{
	err_t err;

	switch (fault_handle(vcpu->virt.space, exit->fault.gpa, exit->fault.access)) {
	case FAULT_DONE:
		return true;
	case FAULT_WAIT:
		return exit_not_done(vcpu, E_WAIT);
	case FAULT_NOMEM:
		return exit_not_done(vcpu, E_NOMEM);
	case FAULT_CORRUPT:
		return exit_not_done(vcpu, E_CORRUPT);
	case FAULT_NOT_RAM:
		break;
	}
	err = mmio_handle(vcpu, exit);
	vcpu->attention = true;
	return err ? exit_not_done(vcpu, err) : true;
}

static bool on_io(struct vcpu *vcpu, const struct vm_exit *exit)
{
	u64 *rax = &vcpu->virt.gpr[GPR_RAX];
	u32 value = (u32)*rax;
	struct vm *vm = vcpu->vm;

	vcpu->attention = true;
	if (exit->io.string) {
		err_t err = string_io(vcpu, exit, exit->insn_bytes);

		return err ? exit_not_done(vcpu, err) : true;
	}
	if (exit->io.bytes < 4)
		value &= (1u << (exit->io.bytes * 8)) - 1;
	spin_lock(&vm->lock);
	vdev_io(vm->vdev, vcpu->index, time_now_ns(), exit->io.port, exit->io.bytes, !exit->io.in,
		&value);
	spin_unlock(&vm->lock);
	if (exit->io.in) {
		if (exit->io.bytes == 1)
			*rax = (*rax & ~0xffull) | (value & 0xff);
		else if (exit->io.bytes == 2)
			*rax = (*rax & ~0xffffull) | (value & 0xffff);
		else
			*rax = value;
	}
	return step_over(vcpu, exit, 1);
}

static bool on_cpuid(struct vcpu *vcpu, const struct vm_exit *exit)
{
	u64 *gpr = vcpu->virt.gpr;
	u32 leaf = (u32)gpr[GPR_RAX];
	u64 cr4 = 0, xcr0 = 0;
	u32 out[4];

	/* Only these leaves show bits of CR4 (OSXSAVE, OSPKE) and XCR0. */
	if (leaf == CPUID_FEATURES || leaf == CPUID_EXTENDED)
		cr4 = hv_ops->get_cr4(&vcpu->virt);
	else if (leaf == CPUID_XSAVE)
		xcr0 = fpu_live_xcr0(&vcpu->virt.fpu);
	vdev_cpuid(vcpu->vm->vdev, vcpu->index, cr4, xcr0, leaf, (u32)gpr[GPR_RCX], out);
	gpr[GPR_RAX] = out[0];
	gpr[GPR_RBX] = out[1];
	gpr[GPR_RCX] = out[2];
	gpr[GPR_RDX] = out[3];
	return step_over(vcpu, exit, 2);
}

static err_t msr_read(struct vcpu *vcpu, u32 index, u64 *value)
{
	u64 guest_tsc = time_tsc() + vcpu->virt.tsc_offset;
	struct vm *vm = vcpu->vm;
	err_t err;

	if (index == MSR_IA32_TSC) {
		*value = guest_tsc;
		return 0;
	}
	if (pvclock_is_msr(index)) {
		*value = pvclock_msr_read(vcpu, index);
		return 0;
	}
	if (index == STEAL_TIME_MSR) {
		*value = vcpu->steal.msr;
		return 0;
	}
	err = hv_ops->msr_read(&vcpu->virt, index, value);
	if (err != E_NOTFOUND)
		return err;
	spin_lock(&vm->lock);
	err = vdev_msr_read(vm->vdev, vcpu->index, guest_tsc, index, value);
	spin_unlock(&vm->lock);
	return err;
}

static err_t set_tsc(struct vcpu *vcpu, u64 value)
{
	u64 before = vcpu->virt.tsc_offset;
	err_t err;

	vcpu->virt.tsc_offset = value - time_tsc();
	err = pvclock_update(vcpu);
	if (err)
		vcpu->virt.tsc_offset = before;
	else
		vcpu->virt.tsc_dirty = true;
	return err;
}

static err_t msr_write(struct vcpu *vcpu, u32 index, u64 value)
{
	u64 guest_tsc = time_tsc() + vcpu->virt.tsc_offset;
	struct vm *vm = vcpu->vm;
	err_t err;

	if (index == MSR_IA32_TSC)
		return set_tsc(vcpu, value);
	if (pvclock_is_msr(index))
		return pvclock_msr_write(vcpu, index, value);
	if (index == STEAL_TIME_MSR)
		return steal_time_msr_write(vcpu, value);
	err = hv_ops->msr_write(&vcpu->virt, index, value);
	if (err != E_NOTFOUND)
		return err;
	spin_lock(&vm->lock);
	err = vdev_msr_write(vm->vdev, vcpu->index, guest_tsc, index, value);
	spin_unlock(&vm->lock);
	return err;
}

/* A bad value or an unknown MSR is the guest's #GP; an unknown one is counted too. */
static bool msr_refused(struct vcpu *vcpu, err_t err, u32 index, bool write)
{
	if (err == E_NOTFOUND && vcpu->unknown_msr_count++ < 4)
		log_debug("%s: %s of unknown MSR %#x", vm_name(vcpu->vm), write ? "write" : "read",
			index);
	if (err == E_NOTFOUND || err == E_INVAL) {
		vcpu_inject_gp(vcpu);
		return true;
	}
	return exit_not_done(vcpu, err);
}

static bool on_msr_read(struct vcpu *vcpu, const struct vm_exit *exit)
{
	u64 value = 0;
	err_t err = msr_read(vcpu, exit->msr.index, &value);

	vcpu->attention = true;
	if (err)
		return msr_refused(vcpu, err, exit->msr.index, false);
	vcpu->virt.gpr[GPR_RAX] = (u32)value;
	vcpu->virt.gpr[GPR_RDX] = value >> 32;
	return step_over(vcpu, exit, 2);
}

static bool on_msr_write(struct vcpu *vcpu, const struct vm_exit *exit)
{
	err_t err = msr_write(vcpu, exit->msr.index, exit->msr.value);

	vcpu->attention = true;
	if (err)
		return msr_refused(vcpu, err, exit->msr.index, true);
	return step_over(vcpu, exit, 2);
}

static bool on_xsetbv(struct vcpu *vcpu, const struct vm_exit *exit)
{
	const u64 *gpr = vcpu->virt.gpr;
	u64 value = (gpr[GPR_RDX] << 32) | (u32)gpr[GPR_RAX];

	if (hv_ops->get_cpl(&vcpu->virt) != 0 || (u32)gpr[GPR_RCX] != 0 ||
		fpu_set_xcr0(&vcpu->virt.fpu, value) != 0) {
		vcpu_inject_gp(vcpu);
		return true;
	}
	return step_over(vcpu, exit, 3);
}

static bool on_hlt(struct vcpu *vcpu, const struct vm_exit *exit)
{
	step_over(vcpu, exit, 1);
	return vcpu_halt(vcpu);
}

/* It spins for what another vCPU of its VM has, which may be waiting for this CPU. */
static bool on_pause(struct vcpu *vcpu, const struct vm_exit *exit)
{
	step_over(vcpu, exit, 2);
	if (vcpu->vm->vcpu_count == 1 || !run_queue_has_waiting())
		return true;
	run_queue_lend(vcpu);
	return false;
}

/*
 * #DB or #AC, on its way to the guest. Where it comes from the delivery of itself, the VM is
 * stopped: there is no way out of that. A program of the guest's that raises one again and again
 * from ring 3, by executing instructions, is the guest's affair.
 */
static bool on_exception(struct vcpu *vcpu, const struct vm_exit *exit)
{
	const struct virt_event *e = &exit->exception;

	vcpu_queue_exception(vcpu, e->vector, e->has_error, e->error);
	if (!exit->in_delivery && hv_ops->get_cpl(&vcpu->virt) == 3) {
		recurrence_end(&vcpu->recurrence);
		return true;
	}
	if (!recurrence_note(&vcpu->recurrence, &vcpu->virt, e->vector))
		return true;
	vm_break(vcpu->vm, "exception %u raises itself while it is delivered, rip %#llx", e->vector,
		(unsigned long long)vcpu->virt.rip);
	return false;
}

static bool on_unexpected(struct vcpu *vcpu, const struct vm_exit *exit)
{
	hv_ops->dump(&vcpu->virt);
	vm_break(vcpu->vm,
		"an exit that %s does not expect: reason %#llx, information %#llx, rip %#llx",
		hv_ops->name, (unsigned long long)exit->raw_reason,
		(unsigned long long)exit->raw_info, (unsigned long long)vcpu->virt.rip);
	return false;
}

/* Exits that can come between two of an exception that raises itself. */
#define KINDS_IN_BETWEEN                                                                           \
	(BIT(EXIT_EXCEPTION) | BIT(EXIT_HOST_INTERRUPT) | BIT(EXIT_TIME_UP) | BIT(EXIT_WINDOW) |   \
		BIT(EXIT_AGAIN))

bool exit_handle(struct vcpu *vcpu, const struct vm_exit *exit)
{
	if (!(BIT(exit->kind) & KINDS_IN_BETWEEN))
		recurrence_end(&vcpu->recurrence);
	switch (exit->kind) {
	case EXIT_AGAIN:
	case EXIT_HOST_INTERRUPT:
	case EXIT_TIME_UP: /* the caller looks at the clock */
	case EXIT_INIT:
	case EXIT_SIPI:
		return true;
	case EXIT_GPA_FAULT:
		return on_gpa_fault(vcpu, exit);
	case EXIT_IO:
		return on_io(vcpu, exit);
	case EXIT_CPUID:
		return on_cpuid(vcpu, exit);
	case EXIT_MSR_READ:
		return on_msr_read(vcpu, exit);
	case EXIT_MSR_WRITE:
		return on_msr_write(vcpu, exit);
	case EXIT_XSETBV:
		return on_xsetbv(vcpu, exit);
	case EXIT_HLT:
		return on_hlt(vcpu, exit);
	case EXIT_PAUSE:
		return on_pause(vcpu, exit);
	case EXIT_HYPERCALL:
		hypercall_handle(vcpu);
		return step_over(vcpu, exit, 3);
	case EXIT_WINDOW:
		vcpu->attention = true;
		return true;
	case EXIT_UNDEFINED:
		vcpu_inject_ud(vcpu);
		return true;
	case EXIT_GP:
		vcpu_inject_gp(vcpu);
		return true;
	case EXIT_WBINVD:
		return step_over(vcpu, exit, 2);
	case EXIT_INVLPG:
		return step_over(vcpu, exit, 3);
	case EXIT_EXCEPTION:
		return on_exception(vcpu, exit);
	case EXIT_TRIPLE_FAULT:
		vm_break(vcpu->vm, "triple fault, rip %#llx", (unsigned long long)vcpu->virt.rip);
		return false;
	case EXIT_ENTRY_FAILED:
		vm_break(vcpu->vm, "the CPU refused its state, rip %#llx",
			(unsigned long long)vcpu->virt.rip);
		return false;
	case EXIT_UNKNOWN:
	case EXIT_KIND_COUNT:
		break;
	}
	return on_unexpected(vcpu, exit);
}

const char *exit_kind_name(enum vm_exit_kind kind)
{
	static const char *const names[EXIT_KIND_COUNT] = {
		[EXIT_HOST_INTERRUPT] = "interrupt",
		[EXIT_TIME_UP] = "time",
		[EXIT_GPA_FAULT] = "memory",
		[EXIT_IO] = "io",
		[EXIT_CPUID] = "cpuid",
		[EXIT_MSR_READ] = "rdmsr",
		[EXIT_MSR_WRITE] = "wrmsr",
		[EXIT_XSETBV] = "xsetbv",
		[EXIT_HLT] = "hlt",
		[EXIT_PAUSE] = "pause",
		[EXIT_HYPERCALL] = "hypercall",
		[EXIT_WINDOW] = "window",
		[EXIT_UNDEFINED] = "undefined",
		[EXIT_GP] = "gp",
		[EXIT_WBINVD] = "wbinvd",
		[EXIT_INVLPG] = "invlpg",
		[EXIT_EXCEPTION] = "exception",
		[EXIT_TRIPLE_FAULT] = "triple-fault",
		[EXIT_INIT] = "init",
		[EXIT_SIPI] = "sipi",
		[EXIT_AGAIN] = "again",
		[EXIT_ENTRY_FAILED] = "entry-failed",
		[EXIT_UNKNOWN] = "unknown",
	};

	return kind < EXIT_KIND_COUNT && names[kind] ? names[kind] : "?";
}
