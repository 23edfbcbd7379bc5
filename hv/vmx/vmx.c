/*
 * The VT-x backend's ops: switching VMX operation on, a vCPU's life, and one run of the guest.
 *
 * A VMCS is active on one CPU only between load() and unload(), which clears it, so a vCPU may be
 * loaded anywhere next. SDM vol. 3C, "Managing VMCS Regions and Pointers".
 */
#include "hv/vmx/layout.h"
#include "hv/vmx/vmx.h"
#include "hv/x86/cpu.h"
#include "hv/x86/fpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/panic.h"
#include "hv/x86/time.h"
#include "mm/base/check.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define VCPU_OFFSET_IS(name, member)                                                               \
	_Static_assert(offsetof(struct virt_vcpu, member) == (name), "layout.h is out of date")
VCPU_OFFSET_IS(VCPU_RAX, gpr[GPR_RAX]);
VCPU_OFFSET_IS(VCPU_RDI, gpr[GPR_RDI]);
VCPU_OFFSET_IS(VCPU_R15, gpr[15]);
VCPU_OFFSET_IS(VCPU_CR2, cr2);

#define CPU_NONE (~0u)

static u64 next_serial; /* [a] */

void vmx_field_failed(u64 field)
{
	panic("VT-x: VMCS field 0x%llx cannot be accessed", (unsigned long long)field);
}

static struct vmx_cpu *vmx_this_cpu(void)
{
	return this_cpu()->virt;
}

/* CR4 bits that a guest may set: of features that this CPU has and that are switched properly. */
static u64 cr4_guest_allowed(void)
{
	struct cpuid one = cpuid(1), seven = cpuid_or_zero(7, 0);
	u64 bits = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE |
		   CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	bits |= (seven.ecx & BIT(2)) ? CR4_UMIP : 0;
	bits |= (seven.ebx & BIT(0)) ? CR4_FSGSBASE : 0;
	bits |= (one.ecx & BIT(17)) ? CR4_PCIDE : 0;
	bits |= (one.ecx & BIT(26)) ? CR4_OSXSAVE : 0;
	bits |= (seven.ebx & BIT(7)) ? CR4_SMEP : 0;
	bits |= (seven.ebx & BIT(20)) ? CR4_SMAP : 0;
	/* PKRU would leak from one VM into the next unless XSAVE switches it. */
	bits |= (seven.ecx & BIT(3)) && (fpu_guest_xcr0_mask() & BIT(9)) ? CR4_PKE : 0;
	return bits & vmx_caps.cr4_fixed1;
}

static err_t vmx_init(void)
{
	err_t err;

	vmx_caps.cr4_guest_allowed = cr4_guest_allowed();
	/* VMX wants its own; machine checks stay on, or one in a guest would shut the CPU down. */
	vmx_caps.cr4_forced = vmx_caps.cr4_fixed0 | CR4_VMXE | (read_cr4() & CR4_MCE);
	vmx_mitigate_probe();
	err = vmx_mitigate_init();
	if (err == E_OK)
		err = vmx_setup_init();
	if (err == E_OK)
		err = vmx_msr_init();
	if (err != E_OK)
		return err;
	log_info(
		"VT-x: EPT%s, VPID, unrestricted guest, preemption timer %s, PAUSE-loop exiting %s",
		vmx_caps.accessed_dirty ? " with A/D bits" : "", vmx_caps.timer ? "yes" : "no",
		(vmx_caps.proc2 & PROC2_PAUSE_LOOP) ? "yes" : "no");
	return E_OK;
}

/* "Enabling and Entering VMX Operation": the firmware left the switch open, so close it. */
static void feature_control_lock(void)
{
	u64 control;

	if (rdmsr_safe(MSR_IA32_FEATURE_CONTROL, &control) != E_OK ||
		(control & FEATURE_CONTROL_LOCKED))
		return;
	wrmsr(MSR_IA32_FEATURE_CONTROL,
		control | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
}

static err_t vmx_cpu_on(void)
{
	struct vmx_cpu *cpu;

	if (vmx_caps_check_cpu() != E_OK)
		return E_UNSUPPORTED;
	cpu = kmem_alloc(sizeof(*cpu));
	if (!cpu)
		return E_NOMEM;
	cpu->vmxon = kmem_alloc(PAGE_BYTES);
	if (!cpu->vmxon)
		goto free_cpu;
	*(u32 *)cpu->vmxon = (u32)(vmx_caps.basic & BASIC_REVISION);
	feature_control_lock();
	write_cr0((read_cr0() | vmx_caps.cr0_fixed0) & vmx_caps.cr0_fixed1);
	write_cr4((read_cr4() | vmx_caps.cr4_fixed0 | CR4_VMXE) & vmx_caps.cr4_fixed1);
	if (!insn_vmxon(vmx_pa(cpu->vmxon))) {
		log_error("VT-x: VMXON was refused on this CPU (is another hypervisor active?)");
		goto free_vmxon;
	}
	if (vmx_caps.xsaves)
		wrmsr(MSR_IA32_XSS, 0);
	CHECK(insn_invept(INVEPT_ALL, 0));
	CHECK(insn_invvpid(INVVPID_ALL, 0));
	this_cpu()->virt = cpu;
	return E_OK;

free_vmxon:
	write_cr4(read_cr4() & ~CR4_VMXE);
	kmem_free(cpu->vmxon, PAGE_BYTES);
free_cpu:
	kmem_free(cpu, sizeof(*cpu));
	return E_UNSUPPORTED;
}

static void vmx_cpu_off(void)
{
	struct vmx_cpu *cpu = vmx_this_cpu();

	if (!cpu)
		return;
	CHECK(!cpu->current);
	vmxoff();
	write_cr4(read_cr4() & ~CR4_VMXE);
	this_cpu()->virt = NULL;
	kmem_free(cpu->vmxon, PAGE_BYTES);
	kmem_free(cpu, sizeof(*cpu));
}

struct virt_vcpu *vmx_borrow(struct virt_vcpu *vcpu)
{
	struct vmx_cpu *cpu = vmx_this_cpu();
	struct virt_vcpu *before = cpu->current;

	if (before != vcpu)
		CHECK(insn_vmptrld(vmx_pa(vmx_of(vcpu)->vmcs)));
	cpu->current = vcpu;
	return before;
}

void vmx_give_back(struct virt_vcpu *vcpu, struct virt_vcpu *before)
{
	struct vmx_cpu *cpu = vmx_this_cpu();

	if (before != vcpu) {
		CHECK(insn_vmclear(vmx_pa(vmx_of(vcpu)->vmcs)));
		vmx_of(vcpu)->launched = false;
		if (before)
			CHECK(insn_vmptrld(vmx_pa(vmx_of(before)->vmcs)));
	}
	cpu->current = before;
}

static u64 eptp_of(const struct space *space)
{
	return pfn_to_hpa(space->root).v | EPTP_WRITE_BACK | EPTP_4_LEVEL |
	       (vmx_caps.accessed_dirty ? EPTP_ACCESSED_DIRTY : 0);
}

static void free_parts(struct vmx_vcpu *vmx)
{
	if (vmx->vpid)
		vmx_vpid_free(vmx->vpid);
	kmem_free(vmx->apic_page, PAGE_BYTES);
	kmem_free(vmx->vmcs, PAGE_BYTES);
	kmem_free(vmx, sizeof(*vmx));
}

static err_t alloc_parts(struct vmx_vcpu **out)
{
	struct vmx_vcpu *vmx = kmem_alloc(sizeof(*vmx));

	if (!vmx)
		return E_NOMEM;
	vmx->vmcs = kmem_alloc(PAGE_BYTES);
	if (!vmx->vmcs)
		goto free_vmx;
	vmx->apic_page = kmem_alloc(PAGE_BYTES);
	if (!vmx->apic_page)
		goto free_vmcs;
	vmx->vpid = vmx_vpid_alloc();
	if (!vmx->vpid) {
		free_parts(vmx);
		return E_LIMIT;
	}
	*out = vmx;
	return E_OK;

free_vmcs:
	kmem_free(vmx->vmcs, PAGE_BYTES);
free_vmx:
	kmem_free(vmx, sizeof(*vmx));
	return E_NOMEM;
}

static err_t vmx_vcpu_init(struct virt_vcpu *vcpu)
{
	struct vmx_vcpu *vmx;
	struct virt_vcpu *before;
	err_t err = alloc_parts(&vmx);

	if (err != E_OK)
		return err;
	*(u32 *)vmx->vmcs = (u32)(vmx_caps.basic & BASIC_REVISION);
	vmx->serial = __atomic_add_fetch(&next_serial, 1, __ATOMIC_RELAXED);
	vmx->host_cpu = CPU_NONE;
	vmx->eptp = eptp_of(vcpu->space);
	vcpu->backend = vmx;
	vcpu->last_cpu = CPU_NONE;
	CHECK(insn_vmclear(vmx_pa(vmx->vmcs)));
	before = vmx_borrow(vcpu);
	vmx_setup_controls(vcpu);
	vmx_setup_power_on(vcpu);
	vmx_give_back(vcpu, before);
	return E_OK;
}

static void vmx_vcpu_destroy(struct virt_vcpu *vcpu)
{
	if (!vcpu->backend)
		return;
	CHECK(vmx_this_cpu()->current != vcpu);
	free_parts(vmx_of(vcpu));
	vcpu->backend = NULL;
}

static void vmx_vcpu_reset(struct virt_vcpu *vcpu)
{
	struct virt_vcpu *before = vmx_borrow(vcpu);

	vmx_setup_power_on(vcpu);
	if (before == vcpu)
		vmx_msr_load(vmx_of(vcpu));
	vmx_give_back(vcpu, before);
}

static void vmx_load(struct virt_vcpu *vcpu)
{
	struct vmx_cpu *cpu = vmx_this_cpu();
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	u32 id = this_cpu()->id;
	u64 eptp = eptp_of(vcpu->space);

	CHECK(!cpu->current);
	CHECK(insn_vmptrld(vmx_pa(vmx->vmcs)));
	cpu->current = vcpu;
	if (vmx->host_cpu != id)
		vmx_setup_host(vmx);
	if (vmx->eptp != eptp) { /* the VM was reset and has another space now */
		vmx->eptp = eptp;
		vmwrite(VMCS_EPT_POINTER, eptp);
		vmx->flush_all = true;
	}
	vmx_vpid_loaded(vcpu);
	vmx_msr_load(vmx);
	vmx_debug_load(vmx);
	vmx_mitigate_vcpu_loaded(cpu, vmx);
}

static void vmx_unload(struct virt_vcpu *vcpu)
{
	struct vmx_cpu *cpu = vmx_this_cpu();
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	CHECK(cpu->current == vcpu);
	vmx_msr_unload(vmx);
	vmx_debug_unload(vmx);
	CHECK(insn_vmclear(vmx_pa(vmx->vmcs)));
	vmx->launched = false;
	cpu->current = NULL;
}

/*
 * "VMX-Preemption Timer": counts down from the value, once in 2^shift TSC ticks. False: the time is
 * up already. Then the guest must not be entered, for the timer's exit comes only after an event's
 * delivery and after debug traps: a guest whose events raise #AC or #DB as they are delivered exits
 * for those each time, and this check is all that ends its slice.
 */
must_check static bool set_timer(const struct virt_vcpu *vcpu)
{
	u64 now = time_tsc(), steps;

	if (now >= vcpu->run_until_tsc)
		return false;
	if (!vmx_caps.timer) {
		time_arm(vcpu->run_until_tsc);
		return true;
	}
	steps = (vcpu->run_until_tsc - now) >> vmx_caps.timer_shift;
	vmwrite(VMCS_PREEMPTION_TIMER, min(steps, 0xffffffffull));
	return true;
}

static void vmx_run(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	u32 flags = (vmx->launched ? VMX_ENTER_LAUNCHED : 0) | (vmx_caps.verw ? VMX_ENTER_VERW : 0);
	bool failed;

	if (!set_timer(vcpu)) {
		exit->kind = EXIT_TIME_UP;
		exit->raw_reason = exit->raw_info = exit->insn_bytes = 0;
		return;
	}
	if (vcpu->state_dirty) {
		vmwrite(VMCS_GUEST_RIP, vcpu->rip);
		vmwrite(VMCS_GUEST_RFLAGS, vcpu->rflags);
		vmwrite(VMCS_GUEST_RSP, vcpu->gpr[GPR_RSP]);
		vcpu->state_dirty = false;
	}
	if (vcpu->tsc_dirty) {
		vmwrite(VMCS_TSC_OFFSET, vcpu->tsc_offset);
		vcpu->tsc_dirty = false;
	}
	vmx_event_prepare(vcpu);
	vmx_flush_stale(vcpu);
	if (vmx_caps.l1d_flush_msr)
		wrmsr(MSR_IA32_FLUSH_CMD, FLUSH_CMD_L1D);
	failed = vmx_enter(vcpu, flags, &vmx->host_rsp) != 0;
	tlb_leave(&vcpu->space->tlb);
	if (failed) {
		exit->kind = EXIT_ENTRY_FAILED;
		exit->raw_reason = exit->raw_info = exit->insn_bytes = 0;
		vmx_report_vmfail(vcpu);
		return;
	}
	vmx->launched = true;
	vcpu->rip = vmread(VMCS_GUEST_RIP);
	vcpu->rflags = vmread(VMCS_GUEST_RFLAGS);
	vcpu->gpr[GPR_RSP] = vmread(VMCS_GUEST_RSP);
	vcpu->tpr = vmx->apic_page[0x80] >> 4;
	/* Moved by CR8: what a window that is asked for waits for may be another thing now. */
	if (vcpu->tpr != vmx->tpr_at_exit)
		vmx->windows_dirty = true;
	vmx->tpr_at_exit = vcpu->tpr;
	vmx_exit_translate(vcpu, exit);
}

static bool vmx_has_dirty_bits(void)
{
	return vmx_caps.accessed_dirty;
}

static u64 vmx_get_cr4(struct virt_vcpu *vcpu)
{
	(void)vcpu;
	return vmx_cr4_get();
}

static void vmx_flush_tlb(struct virt_vcpu *vcpu)
{
	vmx_flush_linear(vmx_of(vcpu));
}

const struct virt_ops vmx_ops = {
	.name = "VT-x",
	.slat = &slat_ept,
	.probe = vmx_probe,
	.init = vmx_init,
	.has_dirty_bits = vmx_has_dirty_bits,
	.cpu_on = vmx_cpu_on,
	.cpu_off = vmx_cpu_off,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.load = vmx_load,
	.unload = vmx_unload,
	.run = vmx_run,
	.inject = vmx_inject,
	.interrupt_allowed = vmx_interrupt_allowed,
	.nmi_allowed = vmx_nmi_allowed,
	.request_window = vmx_request_window,
	.skip = vmx_skip,
	.get_sregs = vmx_get_sregs,
	.set_sregs = vmx_set_sregs,
	.get_cr4 = vmx_get_cr4,
	.get_cpl = vmx_get_cpl,
	.msr_read = vmx_msr_read,
	.msr_write = vmx_msr_write,
	.flush_tlb = vmx_flush_tlb,
	.dump = vmx_dump,
};
