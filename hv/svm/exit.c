/*
 * From SVM's exit codes to struct vm_exit. One table would not do: most exits carry something of
 * their own. Lengths of instructions: nRIP where the CPU saves it; else what the opcode has without
 * prefixes, which is what compilers emit for all of these (IOIO tells the next RIP itself).
 */
#include "hv/svm/svm.h"
#include "hv/x86/cpu.h"
#include "hv/x86/irq.h"
#include "hv/x86/time.h"
#include "mm/base/log.h"
#include "mm/fault/fault.h"

#define VECTOR_DB 1
#define VECTOR_AC 17
#define VECTOR_MC 18
#define DR7_GD    BIT(13)

#define INSN_BYTES_MOST 15

static u8 length_to(u64 next, u64 rip, u8 otherwise)
{
	u64 bytes = next - rip;

	/* In 16-bit code the next RIP may have wrapped; a length is never 0. */
	return bytes >= 1 && bytes <= INSN_BYTES_MOST ? bytes : otherwise;
}

static u8 insn_length(const struct vmcb *vmcb, u8 opcode_bytes)
{
	if (!svm_features.next_rip)
		return opcode_bytes;
	return length_to(vmcb->control.next_rip, vmcb->save.rip, opcode_bytes);
}

static void exit_insn(
	struct vm_exit *exit, const struct vmcb *vmcb, enum vm_exit_kind kind, u8 bytes)
{
	exit->kind = kind;
	exit->insn_bytes = insn_length(vmcb, bytes);
}

static void exit_npf(struct vm_exit *exit, const struct vmcb *vmcb)
{
	u64 info = vmcb->control.exit_info1;

	if (info & VMCB_NPF_RESERVED) {
		log_error("svm: nested page tables hold a reserved bit at gpa 0x%llx",
			(unsigned long long)vmcb->control.exit_info2);
		exit->kind = EXIT_UNKNOWN;
		return;
	}
	exit->kind = EXIT_GPA_FAULT;
	exit->fault.gpa = GPA(vmcb->control.exit_info2);
	exit->fault.access = info & VMCB_NPF_WRITE   ? SLAT_WRITE
			     : info & VMCB_NPF_FETCH ? SLAT_EXEC
						     : SLAT_READ;
	/* The guest's page tables were walked: a write in hardware's eyes, for A and D bits. */
	if (info & VMCB_NPF_WALK)
		exit->fault.access |= FAULT_WALK;
}

static void exit_io(struct vm_exit *exit, const struct vmcb *vmcb)
{
	u64 info = vmcb->control.exit_info1;

	exit->kind = EXIT_IO;
	exit->insn_bytes = length_to(vmcb->control.exit_info2, vmcb->save.rip, 1);
	exit->io.port = info >> VMCB_IO_PORT_SHIFT;
	exit->io.bytes = info >> VMCB_IO_SIZE_SHIFT & 7;
	exit->io.in = info & VMCB_IO_IN;
	exit->io.string = info & VMCB_IO_STRING;
	exit->io.rep = info & VMCB_IO_REP;
	exit->io.segment = SEG_DS;
	/* Else there is no segment, and from QEMU's TCG no address size: hv reads the prefixes. */
	if (!exit->io.string || !svm_features.decode_assists)
		return;
	exit->io.address_bytes = (info >> VMCB_IO_ADDRESS_SHIFT & 7) << 1;
	if ((info >> VMCB_IO_SEGMENT_SHIFT & 7) < SEG_COUNT)
		exit->io.segment = info >> VMCB_IO_SEGMENT_SHIFT & 7;
}

static void exit_msr(struct vm_exit *exit, struct virt_vcpu *vcpu, const struct vmcb *vmcb)
{
	exit_insn(exit, vmcb, vmcb->control.exit_info1 & 1 ? EXIT_MSR_WRITE : EXIT_MSR_READ, 2);
	exit->msr.index = vcpu->gpr[GPR_RCX];
	exit->msr.value = vcpu->gpr[GPR_RDX] << 32 | (u32)vcpu->gpr[GPR_RAX];
}

static void reflect(struct vm_exit *exit, u8 vector)
{
	exit->kind = EXIT_EXCEPTION;
	exit->in_delivery = false;
	exit->exception =
		(struct virt_event){.valid = true, .vector = vector, .type = EVENT_EXCEPTION};
}

static void exit_exception(struct vm_exit *exit, struct virt_vcpu *vcpu, struct vmcb *vmcb)
{
	u8 vector = vmcb->control.exit_code - VMEXIT_EXCP0;

	if (vector == VECTOR_MC) {
		/* The CPU's own trouble: to the host's handler, as if it had come in root mode. */
		__asm__ volatile("int %0" : : "i"(VECTOR_MC) : "memory");
		exit->kind = EXIT_AGAIN;
		return;
	}
	if (vector == VECTOR_DB && svm_event_stepped(vcpu, &exit->kind))
		return;
	reflect(exit, vector);
	if (vector == VECTOR_DB)
		vmcb->save.dr7 &= ~DR7_GD; /* as its delivery would have done; DR6 is up to date */
	if (vector == VECTOR_AC) {
		exit->exception.has_error = true;
		exit->exception.error = vmcb->control.exit_info1;
	}
	/*
	 * It came up while something else was being delivered, which for these two means an
	 * exception that comes again when its instruction does, or a handler below ring 0, which is
	 * the guest's own affair.
	 */
	exit->in_delivery = vcpu->reinject.valid;
	vcpu->reinject.valid = false;
}

/* The host's interrupt is still pending: an INTR exit does not acknowledge it. */
static void exit_interrupt(struct vm_exit *exit, struct virt_vcpu *vcpu)
{
	irq_window();
	exit->kind = time_tsc() >= vcpu->run_until_tsc ? EXIT_TIME_UP : EXIT_HOST_INTERRUPT;
}

static void exit_other(struct vm_exit *exit, struct virt_vcpu *vcpu, struct vmcb *vmcb)
{
	u64 code = vmcb->control.exit_code;

	if (code >= VMEXIT_READ_DR0 && code <= VMEXIT_WRITE_DR15) {
		svm_debug_use(svm_of(vcpu));
		exit->kind = EXIT_AGAIN;
	} else if (code >= VMEXIT_EXCP0 && code <= VMEXIT_EXCP31) {
		exit_exception(exit, vcpu, vmcb);
	} else if ((u32)code == VMEXIT_INVALID) {
		svm_explain_entry_failure(vcpu);
		exit->kind = EXIT_ENTRY_FAILED;
	} else {
		exit->kind = EXIT_UNKNOWN;
	}
}

void svm_translate_exit(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	exit->raw_reason = vmcb->control.exit_code;
	exit->raw_info = vmcb->control.exit_info1;
	switch (vmcb->control.exit_code) {
	case VMEXIT_INTR:
		exit_interrupt(exit, vcpu);
		break;
	case VMEXIT_NMI: /* was taken after STGI */
	case VMEXIT_SMI:
	case VMEXIT_INIT:
		exit->kind = EXIT_HOST_INTERRUPT;
		break;
	case VMEXIT_NPF:
		exit_npf(exit, vmcb);
		break;
	case VMEXIT_IOIO:
		exit_io(exit, vmcb);
		break;
	case VMEXIT_MSR:
		exit_msr(exit, vcpu, vmcb);
		break;
	case VMEXIT_CPUID:
		exit_insn(exit, vmcb, EXIT_CPUID, 2);
		break;
	case VMEXIT_HLT:
		exit_insn(exit, vmcb, EXIT_HLT, 1);
		break;
	case VMEXIT_PAUSE:
		exit_insn(exit, vmcb, EXIT_PAUSE, 2);
		break;
	case VMEXIT_VMMCALL:
		exit_insn(exit, vmcb, EXIT_HYPERCALL, 3);
		break;
	case VMEXIT_XSETBV:
		exit_insn(exit, vmcb, EXIT_XSETBV, 3);
		break;
	case VMEXIT_INVD:
	case VMEXIT_WBINVD:
		exit_insn(exit, vmcb, EXIT_WBINVD, 2);
		break;
	case VMEXIT_RDPMC:
		exit_insn(exit, vmcb, EXIT_GP, 2);
		break;
	case VMEXIT_INVLPGA:
	case VMEXIT_VMRUN:
	case VMEXIT_VMLOAD:
	case VMEXIT_VMSAVE:
	case VMEXIT_STGI:
	case VMEXIT_CLGI:
	case VMEXIT_SKINIT:
	case VMEXIT_MONITOR:
	case VMEXIT_MWAIT:
	case VMEXIT_MWAIT_CONDITIONAL:
	case VMEXIT_RDPRU:
	case VMEXIT_MCOMMIT:
		exit_insn(exit, vmcb, EXIT_UNDEFINED, 3);
		break;
	case VMEXIT_ICEBP:
		/* A trap: it returns behind the instruction. DR6 does not change. */
		svm_advance(vcpu, insn_length(vmcb, 1));
		reflect(exit, VECTOR_DB);
		break;
	case VMEXIT_IRET:
		exit->kind = svm_event_iret(vcpu);
		break;
	case VMEXIT_VINTR:
		exit->kind = svm_event_vintr(vcpu);
		break;
	case VMEXIT_SHUTDOWN:
		exit->kind = EXIT_TRIPLE_FAULT;
		break;
	default:
		exit_other(exit, vcpu, vmcb);
	}
}
