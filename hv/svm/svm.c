/*
 * AMD SVM with nested paging behind struct virt_ops: is it there, switch it on, make a vCPU, run
 * it.
 *
 * One VMCB per vCPU holds all that VMRUN switches; VMLOAD and VMSAVE move FS, GS, TR, LDTR and the
 * syscall and sysenter registers (entry.S). What neither switches is done by load(): TSC_AUX, and
 * DR0-3, which are left alone until the guest touches a debug register. Nothing is kept back in the
 * CPU between two runs except those, so a vCPU changes CPU by unload() and load(). Clean bits stay
 * 0: hardware reads the whole VMCB on each VMRUN. AMD APM vol. 2, "Secure Virtual Machine".
 */
#include "hv/svm/svm.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/irq.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/check.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/platform.h"
#include "mm/space/tlb.h"

#define IOPM_BYTES (3 * PAGE_BYTES)

/* CPUID, APM vol. 3, "Obtaining Processor Information Via the CPUID Instruction". */
#define CPUID_EXT_ECX_SVM             BIT(2)
#define CPUID_EXT_EDX_NX              BIT(20)
#define CPUID_EXT_EDX_RDTSCP          BIT(27)
#define CPUID_7_ECX_RDPID             BIT(22)
#define CPUID_7_EDX_IBPB              BIT(26)
#define CPUID_EXT8_EBX_RDPRU          BIT(4)
#define CPUID_EXT8_EBX_MCOMMIT        BIT(8)
#define CPUID_EXT8_EBX_IBPB           BIT(12)
#define CPUID_SVM_EDX_NPT             BIT(0)
#define CPUID_SVM_EDX_LOCK            BIT(2)
#define CPUID_SVM_EDX_NRIP            BIT(3)
#define CPUID_SVM_EDX_FLUSH_ASID      BIT(6)
#define CPUID_SVM_EDX_DECODE          BIT(7)
#define CPUID_SVM_EDX_PAUSE           BIT(10)
#define CPUID_SVM_EDX_PAUSE_THRESHOLD BIT(12)

/* A lock that is not had after this many PAUSEs close together is waited for in vain (as other
 * hypervisors set it). */
#define PAUSE_COUNT     3000
#define PAUSE_THRESHOLD 128

struct svm_features svm_features;

static void *iopm;

static u64 pa_of(const void *window)
{
	return pfn_to_hpa(platform_va_frame(window)).v;
}

/* --- Probe, and each CPU's switch ------------------------------------------------------------- */

static void features_read(struct svm_features *f)
{
	struct cpuid svm = cpuid_or_zero(0x8000000a, 0), ext = cpuid_or_zero(0x80000001, 0);
	struct cpuid ext8 = cpuid_or_zero(0x80000008, 0), seven = cpuid_or_zero(7, 0);

	memset(f, 0, sizeof(*f));
	f->asid_count = svm.ebx;
	f->next_rip = svm.edx & CPUID_SVM_EDX_NRIP;
	f->decode_assists = svm.edx & CPUID_SVM_EDX_DECODE;
	f->flush_by_asid = svm.edx & CPUID_SVM_EDX_FLUSH_ASID;
	f->pause_filter = svm.edx & CPUID_SVM_EDX_PAUSE;
	f->pause_threshold = svm.edx & CPUID_SVM_EDX_PAUSE_THRESHOLD;
	f->ibpb = (ext8.ebx & CPUID_EXT8_EBX_IBPB) || (seven.edx & CPUID_7_EDX_IBPB);
	f->tsc_aux = (ext.edx & CPUID_EXT_EDX_RDTSCP) || (seven.ecx & CPUID_7_ECX_RDPID);
	f->rdpru = ext8.ebx & CPUID_EXT8_EBX_RDPRU;
	f->mcommit = ext8.ebx & CPUID_EXT8_EBX_MCOMMIT;
	f->pa_bits = ext8.eax & 0xff ? ext8.eax & 0xff : 36;
}

/* Firmware may have switched SVM off with or without a lock: APM, "Enabling SVM". */
static err_t check_not_disabled(char *why, size_t why_bytes)
{
	u64 vm_cr;

	/* A CPU without the register has no way to disable SVM. */
	if (rdmsr_safe(MSR_AMD_VM_CR, &vm_cr) || !(vm_cr & VM_CR_SVMDIS) || !(vm_cr & VM_CR_LOCK))
		return E_OK;
	fmt_snprintf(why, why_bytes,
		"AMD SVM is switched off and locked by the firmware: enable \"SVM Mode\" "
		"(or \"Virtualization\") in its set-up");
	return E_UNSUPPORTED;
}

static err_t svm_probe(char *why, size_t why_bytes)
{
	struct cpuid ext = cpuid_or_zero(0x80000001, 0), svm = cpuid_or_zero(0x8000000a, 0);

	if (!(ext.ecx & CPUID_EXT_ECX_SVM)) {
		fmt_snprintf(why, why_bytes,
			"this CPU has no AMD SVM, or it is hidden (set-up: \"SVM Mode\")");
		return E_UNSUPPORTED;
	}
	if (check_not_disabled(why, why_bytes))
		return E_UNSUPPORTED;
	if (!(svm.edx & CPUID_SVM_EDX_NPT)) {
		fmt_snprintf(why, why_bytes, "this CPU's SVM has no nested paging");
		return E_UNSUPPORTED;
	}
	if (!(ext.edx & CPUID_EXT_EDX_NX)) {
		fmt_snprintf(why, why_bytes,
			"no-execute pages are missing or switched off in the firmware");
		return E_UNSUPPORTED;
	}
	features_read(&svm_features);
	if (svm_features.asid_count < 2) {
		fmt_snprintf(why, why_bytes,
			"this CPU's SVM has no address space identifier for a guest");
		return E_UNSUPPORTED;
	}
	return E_OK;
}

static err_t svm_init(void)
{
	const struct svm_features *f = &svm_features;
	err_t err = svm_msr_init();

	if (err)
		return err;
	iopm = kmem_alloc(IOPM_BYTES);
	if (!iopm)
		return E_NOMEM;
	memset(iopm, 0xff, IOPM_BYTES);
	log_info(
		"svm: %u ASIDs; nRIP save %s, decode assists %s, flush by ASID %s, pause filter %s",
		f->asid_count, f->next_rip ? "yes" : "no", f->decode_assists ? "yes" : "no",
		f->flush_by_asid ? "yes" : "no", f->pause_filter ? "yes" : "no");
	log_info("svm: branch predictor barrier (IBPB) when the VM on a CPU changes: %s",
		f->ibpb ? "yes" : "this CPU has none");
	return E_OK;
}

static void cpu_free(struct svm_cpu *svm)
{
	if (svm->hsave)
		kmem_free(svm->hsave, PAGE_BYTES);
	if (svm->host)
		kmem_free(svm->host, PAGE_BYTES);
	kmem_free(svm, sizeof(*svm));
}

static struct svm_cpu *cpu_alloc(void)
{
	struct svm_cpu *svm = kmem_alloc(sizeof(*svm));

	if (!svm)
		return NULL;
	svm->hsave = kmem_alloc(PAGE_BYTES);
	svm->host = kmem_alloc(PAGE_BYTES);
	if (!svm->hsave || !svm->host) {
		cpu_free(svm);
		return NULL;
	}
	svm->hsave_pa = pa_of(svm->hsave);
	svm->host_pa = pa_of(svm->host);
	return svm;
}

static err_t svm_cpu_on(void)
{
	struct cpu *cpu = this_cpu();
	struct svm_features here;
	char why[120];
	u64 vm_cr;

	features_read(&here);
	if (memcmp(&here, &svm_features, sizeof(here)) != 0 ||
		check_not_disabled(why, sizeof(why))) {
		log_error("svm: CPU %u does not offer what the boot CPU does", cpu->id);
		return E_UNSUPPORTED;
	}
	if (!rdmsr_safe(MSR_AMD_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS))
		wrmsr(MSR_AMD_VM_CR, vm_cr & ~VM_CR_SVMDIS);
	if (!cpu->virt)
		cpu->virt = cpu_alloc();
	if (!cpu->virt)
		return E_NOMEM;
	struct svm_cpu *svm = cpu->virt;

	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_SVME);
	wrmsr(MSR_AMD_VM_HSAVE_PA, svm->hsave_pa);
	/* FS, GS, TR, LDTR and the rest stay as they are now for good, so once is enough. */
	__asm__ volatile("vmsave %%rax" : : "a"(svm->host_pa) : "memory");
	svm_asid_forget(svm);
	return E_OK;
}

static void svm_cpu_off(void)
{
	struct cpu *cpu = this_cpu();

	if (!cpu->virt)
		return;
	/* The rest of cpu->virt is kept: tags that vCPUs still hold must not look good again. */
	wrmsr(MSR_AMD_VM_HSAVE_PA, 0);
	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) & ~EFER_SVME);
}

/* --- A vCPU ----------------------------------------------------------------------------------- */

/* Nothing the guest can do unseen that is not its own affair. */
static void intercepts_init(struct vmcb *vmcb)
{
	static const u8 always[] = {
		VMCB_INTERCEPT_INTR,
		VMCB_INTERCEPT_NMI,
		VMCB_INTERCEPT_SMI,
		VMCB_INTERCEPT_INIT,
		VMCB_INTERCEPT_RDPMC,
		VMCB_INTERCEPT_CPUID,
		VMCB_INTERCEPT_INVD,
		VMCB_INTERCEPT_HLT,
		VMCB_INTERCEPT_INVLPGA,
		VMCB_INTERCEPT_IOIO,
		VMCB_INTERCEPT_MSR,
		VMCB_INTERCEPT_TASK_SWITCH,
		VMCB_INTERCEPT_FERR,
		VMCB_INTERCEPT_SHUTDOWN,
		VMCB_INTERCEPT_VMRUN,
		VMCB_INTERCEPT_VMMCALL,
		VMCB_INTERCEPT_VMLOAD,
		VMCB_INTERCEPT_VMSAVE,
		VMCB_INTERCEPT_STGI,
		VMCB_INTERCEPT_CLGI,
		VMCB_INTERCEPT_SKINIT,
		VMCB_INTERCEPT_ICEBP,
		VMCB_INTERCEPT_WBINVD,
		VMCB_INTERCEPT_MONITOR,
		VMCB_INTERCEPT_MWAIT,
		VMCB_INTERCEPT_XSETBV,
	};

	for (size_t i = 0; i < ARRAY_COUNT(always); i++)
		svm_intercept(vmcb, always[i], true);
	svm_intercept(vmcb, VMCB_INTERCEPT_RDPRU, svm_features.rdpru);
	svm_intercept(vmcb, VMCB_INTERCEPT_MCOMMIT, svm_features.mcommit);
	svm_intercept(vmcb, VMCB_INTERCEPT_PAUSE, svm_features.pause_filter);
	/* #DB and #AC can repeat for ever while they are delivered; #MC is the host's. */
	vmcb->control.exceptions = 1u << 1 | 1u << 17 | 1u << 18;
	vmcb->control.dr_reads = vmcb->control.dr_writes = 0xffff;
}

static void control_init(struct virt_vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	struct vmcb_control *c = &vmcb->control;

	intercepts_init(vmcb);
	if (svm_features.pause_filter) {
		c->pause_count = PAUSE_COUNT;
		c->pause_threshold = svm_features.pause_threshold ? PAUSE_THRESHOLD : 0;
	}
	c->iopm_pa = pa_of(iopm);
	c->msrpm_pa = svm_msrpm_pa();
	c->tsc_offset = vcpu->tsc_offset;
	c->virtual_intr = VMCB_V_INTR_MASKING;
	c->nested_control = VMCB_NESTED_PAGING;
	c->nested_cr3 = pfn_to_hpa(vcpu->space->root).v;
}

static void svm_vcpu_reset(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	memset(svm->vmcb, 0, sizeof(*svm->vmcb));
	control_init(vcpu);
	svm_sregs_reset(svm->vmcb);
	svm_event_reset(svm);
	memset(svm->dr, 0, sizeof(svm->dr));
	svm->dr_loaded = false;
	svm->tsc_aux = 0;

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->rip = svm->vmcb->save.rip;
	vcpu->rflags = svm->vmcb->save.rflags;
	vcpu->state_dirty = false;
	vcpu->cr2 = 0;
	vcpu->tpr = 0;
	vcpu->started = false;
	vcpu->reinject.valid = false;
	vcpu->reinject_nmi_unblock = false;
	if (this_cpu()->loaded == vcpu && svm_features.tsc_aux)
		wrmsr(MSR_IA32_TSC_AUX, 0);
}

static err_t svm_vcpu_init(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = kmem_alloc(sizeof(*svm));

	if (!svm)
		return E_NOMEM;
	svm->vmcb = kmem_alloc(sizeof(*svm->vmcb));
	if (!svm->vmcb) {
		kmem_free(svm, sizeof(*svm));
		return E_NOMEM;
	}
	svm->vmcb_pa = pa_of(svm->vmcb);
	svm->asid_cpu = ~0u;
	vcpu->backend = svm;
	vcpu->last_cpu = ~0u;
	svm_vcpu_reset(vcpu);
	return E_OK;
}

static void svm_vcpu_destroy(struct virt_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	CHECK(this_cpu()->loaded != vcpu);
	/* Another VM's space may get the same address: it must not pass for this one's. */
	for (u32 i = 0; i < cpu_count(); i++) {
		struct svm_cpu *cpu = cpu_by_id(i)->virt;

		if (cpu && cpu->last_vm == vcpu->space)
			cpu->last_vm = NULL;
	}
	kmem_free(svm->vmcb, sizeof(*svm->vmcb));
	kmem_free(svm, sizeof(*svm));
	vcpu->backend = NULL;
}

/* --- DR0-3 ------------------------------------------------------------------------------------ */

void svm_debug_use(struct svm_vcpu *svm)
{
	write_dr0(svm->dr[0]);
	write_dr1(svm->dr[1]);
	write_dr2(svm->dr[2]);
	write_dr3(svm->dr[3]);
	svm->vmcb->control.dr_reads = svm->vmcb->control.dr_writes = 0;
	svm->dr_loaded = true;
}

static void debug_keep(struct svm_vcpu *svm)
{
	svm->dr[0] = read_dr0();
	svm->dr[1] = read_dr1();
	svm->dr[2] = read_dr2();
	svm->dr[3] = read_dr3();
	svm->vmcb->control.dr_reads = svm->vmcb->control.dr_writes = 0xffff;
	svm->dr_loaded = false;
}

/* --- Load, run, unload ------------------------------------------------------------------------ */

static void svm_load(struct virt_vcpu *vcpu)
{
	struct cpu *cpu = this_cpu();
	struct svm_cpu *here = cpu->virt;
	struct svm_vcpu *svm = svm_of(vcpu);

	if (here->last_vm != vcpu->space && svm_features.ibpb)
		wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	here->last_vm = vcpu->space;
	if (svm_features.tsc_aux)
		wrmsr(MSR_IA32_TSC_AUX, svm->tsc_aux);
	/* A breakpoint that is armed hits without a touch of a debug register. */
	if (svm->vmcb->save.dr7 & 0xff)
		svm_debug_use(svm);
	cpu->loaded = vcpu;
	vcpu->last_cpu = cpu->id;
}

static void svm_unload(struct virt_vcpu *vcpu)
{
	if (svm_of(vcpu)->dr_loaded)
		debug_keep(svm_of(vcpu));
	this_cpu()->loaded = NULL;
}

static void state_to_vmcb(struct virt_vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	vmcb->save.rax = vcpu->gpr[GPR_RAX];
	vmcb->save.rsp = vcpu->gpr[GPR_RSP];
	vmcb->save.rip = vcpu->rip;
	vmcb->save.rflags = vcpu->rflags;
	vmcb->save.cr2 = vcpu->cr2;
	vcpu->state_dirty = false;
	if (vcpu->tsc_dirty) {
		vmcb->control.tsc_offset = vcpu->tsc_offset;
		vcpu->tsc_dirty = false;
	}
}

static void state_from_vmcb(struct virt_vcpu *vcpu)
{
	const struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	vcpu->gpr[GPR_RAX] = vmcb->save.rax;
	vcpu->gpr[GPR_RSP] = vmcb->save.rsp;
	vcpu->rip = vmcb->save.rip;
	vcpu->rflags = vmcb->save.rflags;
	vcpu->cr2 = vmcb->save.cr2;
	vcpu->tpr = vmcb->control.virtual_intr & VMCB_V_TPR;
}

static void svm_run(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_cpu *here = this_cpu()->virt;

	*exit = (struct vm_exit){0};
	if (time_tsc() >= vcpu->run_until_tsc) {
		exit->kind = EXIT_TIME_UP;
		return;
	}
	state_to_vmcb(vcpu);
	if (!svm_event_before(vcpu)) {
		exit->kind = EXIT_WINDOW;
		return;
	}
	time_arm(svm_event_deadline(vcpu));
	svm_asid_prepare(here, vcpu);
	svm_enter(svm->vmcb_pa, vcpu->gpr, here->host_pa);
	tlb_leave(&vcpu->space->tlb);
	if ((u32)svm->vmcb->control.exit_code == VMEXIT_INVALID)
		svm_asid_forget(here); /* the flush it was to do has not happened */
	else
		svm_event_after(vcpu);
	state_from_vmcb(vcpu);
	svm_translate_exit(vcpu, exit);
}

/* Nested tables are page tables like any other. */
static bool svm_has_dirty_bits(void)
{
	return true;
}

static u8 svm_get_cpl(struct virt_vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb->save.cpl;
}

static u64 svm_get_cr4(struct virt_vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb->save.cr4;
}

const struct virt_ops svm_ops = {
	.name = "SVM",
	.slat = &slat_npt,
	.probe = svm_probe,
	.init = svm_init,
	.has_dirty_bits = svm_has_dirty_bits,
	.cpu_on = svm_cpu_on,
	.cpu_off = svm_cpu_off,
	.vcpu_init = svm_vcpu_init,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.load = svm_load,
	.unload = svm_unload,
	.run = svm_run,
	.inject = svm_inject,
	.interrupt_allowed = svm_interrupt_allowed,
	.nmi_allowed = svm_nmi_allowed,
	.request_window = svm_request_window,
	.skip = svm_skip,
	.get_sregs = svm_get_sregs,
	.set_sregs = svm_set_sregs,
	.get_cr4 = svm_get_cr4,
	.get_cpl = svm_get_cpl,
	.msr_read = svm_msr_read,
	.msr_write = svm_msr_write,
	.flush_tlb = svm_asid_flush,
	.dump = svm_dump,
};
