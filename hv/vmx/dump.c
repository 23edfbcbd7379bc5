/* The whole state of a guest CPU in words, for the log: what a person needs when a VM stopped. */
#include "hv/vmx/vmx.h"
#include "mm/base/log.h"

const char *vmx_reason_name(u32 reason)
{
	static const char *const names[REASON_COUNT] = {
		[REASON_EXCEPTION_NMI] = "exception or NMI",
		[REASON_EXTERNAL_INTERRUPT] = "external interrupt",
		[REASON_TRIPLE_FAULT] = "triple fault",
		[REASON_INIT] = "INIT",
		[REASON_SIPI] = "SIPI",
		[REASON_INTERRUPT_WINDOW] = "interrupt window",
		[REASON_NMI_WINDOW] = "NMI window",
		[REASON_TASK_SWITCH] = "task switch",
		[REASON_CPUID] = "CPUID",
		[REASON_HLT] = "HLT",
		[REASON_VMCALL] = "VMCALL",
		[REASON_CR_ACCESS] = "control register",
		[REASON_MOV_DR] = "MOV DR",
		[REASON_IO] = "I/O",
		[REASON_RDMSR] = "RDMSR",
		[REASON_WRMSR] = "WRMSR",
		[REASON_ENTRY_GUEST_STATE] = "entry: invalid guest state",
		[REASON_ENTRY_MSR_LOAD] = "entry: MSR loading",
		[REASON_ENTRY_MACHINE_CHECK] = "entry: machine check",
		[REASON_TPR_BELOW] = "TPR below threshold",
		[REASON_EPT_VIOLATION] = "EPT violation",
		[REASON_EPT_MISCONFIG] = "EPT misconfiguration",
		[REASON_PREEMPTION_TIMER] = "preemption timer",
		[REASON_XSETBV] = "XSETBV",
		[REASON_PAUSE] = "PAUSE",
		[REASON_WBINVD] = "WBINVD",
	};

	return reason < REASON_COUNT && names[reason] ? names[reason] : "unnamed";
}

#define X(v) ((unsigned long long)(v))

static void dump_registers(const struct virt_vcpu *vcpu)
{
	const u64 *r = vcpu->gpr;

	log_info("%s: RIP %016llx RFLAGS %08llx RSP %016llx", vcpu->name, X(vcpu->rip),
		X(vcpu->rflags), X(r[GPR_RSP]));
	log_info("  RAX %016llx RBX %016llx RCX %016llx RDX %016llx", X(r[GPR_RAX]), X(r[GPR_RBX]),
		X(r[GPR_RCX]), X(r[GPR_RDX]));
	log_info("  RSI %016llx RDI %016llx RBP %016llx R8  %016llx", X(r[GPR_RSI]), X(r[GPR_RDI]),
		X(r[GPR_RBP]), X(r[8]));
	log_info("  R9  %016llx R10 %016llx R11 %016llx R12 %016llx", X(r[9]), X(r[10]), X(r[11]),
		X(r[12]));
	log_info("  R13 %016llx R14 %016llx R15 %016llx", X(r[13]), X(r[14]), X(r[15]));
}

static void dump_segment(const char *name, const struct virt_segment *s)
{
	log_info("  %-4s %04x base %016llx limit %08x rights %05x", name, s->selector, X(s->base),
		s->limit, s->attributes);
}

static void dump_system(struct virt_vcpu *vcpu)
{
	static const char *const names[SEG_COUNT] = {"ES", "CS", "SS", "DS", "FS", "GS"};
	struct virt_sregs s;
	u32 i;

	vmx_get_sregs(vcpu, &s);
	log_info("  CR0 %08llx (in CPU %08llx) CR2 %016llx CR3 %016llx", X(s.cr0),
		X(vmread(VMCS_GUEST_CR0)), X(s.cr2), X(s.cr3));
	log_info("  CR4 %08llx (in CPU %08llx) EFER %04llx PAT %016llx DR7 %08llx", X(s.cr4),
		X(vmread(VMCS_GUEST_CR4)), X(s.efer), X(vmread(VMCS_GUEST_PAT)),
		X(vmread(VMCS_GUEST_DR7)));
	for (i = 0; i < SEG_COUNT; i++)
		dump_segment(names[i], &s.seg[i]);
	dump_segment("TR", &s.tr);
	dump_segment("LDTR", &s.ldtr);
	log_info("  GDTR %016llx:%04x IDTR %016llx:%04x CPL %u", X(s.gdtr_base), s.gdtr_limit,
		X(s.idtr_base), s.idtr_limit, s.cpl);
}

static void dump_vmx(const struct virt_vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);
	u32 raw = (u32)vmread(VMCS_EXIT_REASON);

	log_info(
		"  exit %u (%s)%s qualification %llx, event %08llx, vectoring %08llx, entry event %08llx",
		raw & 0xffff, vmx_reason_name(raw & 0xffff),
		(raw & EXIT_REASON_ENTRY_FAILURE) ? ", entry failed," : ",",
		X(vmread(VMCS_EXIT_QUALIFICATION)), X(vmread(VMCS_EXIT_EVENT)),
		X(vmread(VMCS_VECTORING_EVENT)), X(vmread(VMCS_ENTRY_EVENT)));
	log_info("  controls: pin %08llx proc %08llx proc2 %08llx exit %08llx entry %08llx",
		X(vmread(VMCS_PIN_CONTROLS)), X(vmread(VMCS_PROC_CONTROLS)),
		X(vmread(VMCS_PROC2_CONTROLS)), X(vmread(VMCS_EXIT_CONTROLS)),
		X(vmread(VMCS_ENTRY_CONTROLS)));
	log_info(
		"  blocking %llx activity %llu pending debug %llx TPR %u window class %u%s reinject %s %02x",
		X(vmread(VMCS_GUEST_INTERRUPTIBILITY)), X(vmread(VMCS_GUEST_ACTIVITY)),
		X(vmread(VMCS_GUEST_PENDING_DEBUG)), vcpu->tpr, vmx->window_class,
		vmx->window_nmi ? " and NMI," : ",", vcpu->reinject.valid ? "yes, vector" : "no",
		vcpu->reinject.vector);
	log_info("  EPTP %llx VPID %u guest physical %llx linear %llx TSC offset %llx",
		X(vmx->eptp), vmx->vpid, X(vmread(VMCS_GUEST_PHYSICAL)),
		X(vmread(VMCS_GUEST_LINEAR)), X(vmread(VMCS_TSC_OFFSET)));
}

void vmx_dump(struct virt_vcpu *vcpu)
{
	dump_registers(vcpu);
	dump_system(vcpu);
	dump_vmx(vcpu);
}
