/*
 * Exits, turned from VT-x's numbers into struct vm_exit. What concerns the host (interrupts, NMIs,
 * machine checks) is dealt with at once; what the backend can do alone (control registers, debug
 * registers) becomes EXIT_AGAIN. SDM vol. 3C, "VM Exits": "Exit Qualification", "Information for VM
 * Exits Due to Instruction Execution"; appendix "VMX Basic Exit Reasons".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/irq.h"
#include "hv/x86/time.h"
#include "mm/base/log.h"
#include "mm/fault/fault.h"

#define VECTOR_DB 1
#define VECTOR_MC 18

/* Exits by an instruction, for which the CPU gives its length. */
static const u8 has_length[REASON_COUNT] = {
	[REASON_CPUID] = 1,
	[REASON_GETSEC] = 1,
	[REASON_HLT] = 1,
	[REASON_INVD] = 1,
	[REASON_INVLPG] = 1,
	[REASON_RDPMC] = 1,
	[REASON_VMCALL] = 1,
	[REASON_VMCLEAR] = 1,
	[REASON_VMLAUNCH] = 1,
	[REASON_VMPTRLD] = 1,
	[REASON_VMPTRST] = 1,
	[REASON_VMREAD] = 1,
	[REASON_VMRESUME] = 1,
	[REASON_VMWRITE] = 1,
	[REASON_VMXOFF] = 1,
	[REASON_VMXON] = 1,
	[REASON_CR_ACCESS] = 1,
	[REASON_MOV_DR] = 1,
	[REASON_IO] = 1,
	[REASON_RDMSR] = 1,
	[REASON_WRMSR] = 1,
	[REASON_MWAIT] = 1,
	[REASON_MONITOR] = 1,
	[REASON_PAUSE] = 1,
	[REASON_INVEPT] = 1,
	[REASON_INVVPID] = 1,
	[REASON_WBINVD] = 1,
	[REASON_XSETBV] = 1,
};

/* Reasons that mean one thing and carry nothing; 0 (EXIT_HOST_INTERRUPT) where there is more. */
static const u8 simple_kind[REASON_COUNT] = {
	[REASON_TRIPLE_FAULT] = EXIT_TRIPLE_FAULT,
	[REASON_INIT] = EXIT_INIT,
	[REASON_SIPI] = EXIT_SIPI,
	[REASON_INTERRUPT_WINDOW] = EXIT_WINDOW,
	[REASON_NMI_WINDOW] = EXIT_WINDOW,
	[REASON_TPR_BELOW] = EXIT_WINDOW,
	[REASON_CPUID] = EXIT_CPUID,
	[REASON_HLT] = EXIT_HLT,
	[REASON_VMCALL] = EXIT_HYPERCALL,
	[REASON_PAUSE] = EXIT_PAUSE,
	[REASON_XSETBV] = EXIT_XSETBV,
	[REASON_INVLPG] = EXIT_INVLPG,
	[REASON_INVD] = EXIT_WBINVD,
	[REASON_WBINVD] = EXIT_WBINVD,
	[REASON_GETSEC] = EXIT_UNDEFINED,
	[REASON_RDPMC] = EXIT_UNDEFINED,
	[REASON_MWAIT] = EXIT_UNDEFINED,
	[REASON_MONITOR] = EXIT_UNDEFINED,
	[REASON_VMCLEAR] = EXIT_UNDEFINED,
	[REASON_VMLAUNCH] = EXIT_UNDEFINED,
	[REASON_VMPTRLD] = EXIT_UNDEFINED,
	[REASON_VMPTRST] = EXIT_UNDEFINED,
	[REASON_VMREAD] = EXIT_UNDEFINED,
	[REASON_VMRESUME] = EXIT_UNDEFINED,
	[REASON_VMWRITE] = EXIT_UNDEFINED,
	[REASON_VMXOFF] = EXIT_UNDEFINED,
	[REASON_VMXON] = EXIT_UNDEFINED,
	[REASON_INVEPT] = EXIT_UNDEFINED,
	[REASON_INVVPID] = EXIT_UNDEFINED,
};

/* "Exit Qualification for I/O Instructions"; for INS and OUTS the instruction information too. */
static void exit_io(struct vm_exit *exit)
{
	u64 q = exit->raw_info;

	exit->kind = EXIT_IO;
	exit->io.port = (u16)(q >> 16);
	exit->io.bytes = (u8)((q & 7) + 1);
	exit->io.in = (q & BIT(3)) != 0;
	exit->io.string = (q & BIT(4)) != 0;
	exit->io.rep = (q & BIT(5)) != 0;
	exit->io.address_bytes = 0;
	exit->io.segment = SEG_DS;
	if (exit->io.string && vmx_caps.string_io_info) {
		u32 info = (u32)vmread(VMCS_EXIT_INSN_INFO);

		exit->io.address_bytes = (u8)(2u << ((info >> 7) & 3));
		if (!exit->io.in)
			exit->io.segment = (u8)((info >> 15) & 7);
	}
}

static void exit_msr(struct virt_vcpu *vcpu, struct vm_exit *exit, bool write)
{
	exit->kind = write ? EXIT_MSR_WRITE : EXIT_MSR_READ;
	exit->msr.index = (u32)vcpu->gpr[GPR_RCX];
	exit->msr.value = write ? vcpu->gpr[GPR_RDX] << 32 | (u32)vcpu->gpr[GPR_RAX] : 0;
}

static void exit_ept_violation(struct vm_exit *exit)
{
	u64 q = exit->raw_info;

	exit->kind = EXIT_GPA_FAULT;
	exit->fault.gpa = GPA(vmread(VMCS_GUEST_PHYSICAL));
	exit->fault.access = ((q & EPTQ_READ) ? SLAT_READ : 0) |
			     ((q & EPTQ_WRITE) ? SLAT_WRITE : 0) |
			     ((q & EPTQ_FETCH) ? SLAT_EXEC : 0);
	exit->fault.linear_valid = (q & EPTQ_LINEAR_VALID) != 0;
	exit->fault.linear = exit->fault.linear_valid ? vmread(VMCS_GUEST_LINEAR) : 0;
	if (!(exit->fault.linear_valid && (q & EPTQ_FINAL)))
		exit->fault.access |= FAULT_WALK;
}

/*
 * #DB and #AC are benign: where one comes up while another exception is delivered, the CPU goes on
 * with the newer, for the older will come again. An interrupt or NMI would be lost that way, so
 * that goes first.
 */
static void exit_exception(struct virt_vcpu *vcpu, struct vm_exit *exit, u32 info)
{
	u8 vector = (u8)info;

	exit->in_delivery = vcpu->reinject.valid;
	if (vcpu->reinject.valid) {
		if (vcpu->reinject.type == EVENT_INTR || vcpu->reinject.type == EVENT_NMI) {
			exit->kind = EXIT_AGAIN;
			return;
		}
		vcpu->reinject.valid = false;
	}
	if (vector == VECTOR_DB)
		vmx_debug_exit_db(vcpu, exit->raw_info);
	/* INT1, alone, is a trap that exits before it: its #DB shall show the next instruction. */
	if (EVENT_INFO_TYPE(info) == EVENT_PRIV_SOFT_EXCEPTION) {
		vcpu->rip += vmread(VMCS_EXIT_INSN_BYTES);
		vcpu->state_dirty = true;
	}
	exit->kind = EXIT_EXCEPTION;
	exit->exception.valid = true;
	exit->exception.vector = vector;
	exit->exception.type = EVENT_EXCEPTION;
	exit->exception.has_error = (info & EVENT_INFO_ERROR) != 0;
	exit->exception.error = exit->exception.has_error ? (u32)vmread(VMCS_EXIT_EVENT_ERROR) : 0;
	exit->exception.insn_bytes = 0;
}

static void exit_exception_or_nmi(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	u32 info = (u32)vmread(VMCS_EXIT_EVENT);

	exit->kind = EXIT_HOST_INTERRUPT;
	/* The exit took the event from the CPU: hand it to the host's own handler. */
	if (EVENT_INFO_TYPE(info) == EVENT_NMI)
		__asm__ volatile("int $2" : : : "memory");
	else if ((info & EVENT_INFO_VECTOR) == VECTOR_MC)
		__asm__ volatile("int $18" : : : "memory");
	else
		exit_exception(vcpu, exit, info);
}

/* The timer counts in steps, rounded down, and is capped: is it really time? */
static void exit_timer(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	u64 step = 1ull << vmx_caps.timer_shift;

	exit->kind = time_tsc() + step < vcpu->run_until_tsc ? EXIT_AGAIN : EXIT_TIME_UP;
}

static void exit_host_interrupt(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	u32 info = (u32)vmread(VMCS_EXIT_EVENT);

	if (info & EVENT_INFO_VALID)
		irq_dispatch((u8)info);
	exit->kind = EXIT_HOST_INTERRUPT;
	/* Without a preemption timer, the host's timer ends the slice. */
	if (!vmx_caps.timer && time_tsc() >= vcpu->run_until_tsc)
		exit->kind = EXIT_TIME_UP;
}

/* hv dumps the state when it stops the VM for that. */
static void exit_unexpected(struct virt_vcpu *vcpu, struct vm_exit *exit, u32 reason)
{
	exit->kind = EXIT_UNKNOWN;
	log_error("%s: VT-x exit %u (%s), qualification 0x%llx, guest physical 0x%llx", vcpu->name,
		reason, vmx_reason_name(reason), (unsigned long long)exit->raw_info,
		(unsigned long long)vmread(VMCS_GUEST_PHYSICAL));
}

static void exit_entry_failure(struct virt_vcpu *vcpu, struct vm_exit *exit, u32 reason)
{
	exit->kind = EXIT_ENTRY_FAILED;
	if (reason == REASON_ENTRY_MACHINE_CHECK)
		__asm__ volatile("int $18" : : : "memory");
	vmx_report_entry_failure(vcpu, reason, exit->raw_info);
}

void vmx_exit_translate(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	u32 raw = (u32)vmread(VMCS_EXIT_REASON), reason = raw & 0xffff, vectoring;

	exit->raw_reason = raw;
	exit->raw_info = vmread(VMCS_EXIT_QUALIFICATION);
	exit->insn_bytes = 0;
	if (raw & EXIT_REASON_ENTRY_FAILURE) {
		exit_entry_failure(vcpu, exit, reason);
		return;
	}
	vmx_of(vcpu)->event_set = false;
	vectoring = (u32)vmread(VMCS_VECTORING_EVENT);
	if ((vectoring & EVENT_INFO_VALID) || reason == REASON_EXCEPTION_NMI ||
		reason == REASON_EPT_VIOLATION)
		vmx_event_recover(vcpu, reason, vectoring);
	if (reason < REASON_COUNT) {
		if (has_length[reason])
			exit->insn_bytes = (u8)vmread(VMCS_EXIT_INSN_BYTES);
		if (simple_kind[reason]) {
			exit->kind = simple_kind[reason];
			return;
		}
	}
	switch (reason) {
	case REASON_EXCEPTION_NMI:
		exit_exception_or_nmi(vcpu, exit);
		break;
	case REASON_EXTERNAL_INTERRUPT:
		exit_host_interrupt(vcpu, exit);
		break;
	case REASON_EPT_VIOLATION:
		exit_ept_violation(exit);
		break;
	case REASON_IO:
		exit_io(exit);
		break;
	case REASON_RDMSR:
		exit_msr(vcpu, exit, false);
		break;
	case REASON_WRMSR:
		exit_msr(vcpu, exit, true);
		break;
	case REASON_CR_ACCESS:
		vmx_cr_exit(vcpu, exit);
		break;
	case REASON_MOV_DR:
		vmx_debug_exit_mov_dr(vcpu, exit);
		break;
	case REASON_PREEMPTION_TIMER:
		exit_timer(vcpu, exit);
		break;
	default: /* task switches, EPT misconfigurations, and whatever we did not ask for */
		exit_unexpected(vcpu, exit, reason);
		break;
	}
}
