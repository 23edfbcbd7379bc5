/*
 * A VMCS from nothing: the controls, the host's half, and the guest's half as a CPU comes out of
 * reset. SDM vol. 3C, "Virtual Machine Control Structures"; vol. 3A, "Processor State After Reset".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "mm/base/str.h"

/* Two PAUSEs are of one loop if at most GAP ticks lie between; a loop of WINDOW ticks exits. */
#define PAUSE_LOOP_GAP    128
#define PAUSE_LOOP_WINDOW 4096

#define VECTOR_DB 1
#define VECTOR_AC 17
#define VECTOR_MC 18

#define PAT_AT_RESET 0x0007040600070406ull

static u8 *io_bitmaps; /* [I] two pages, all ones: every port access exits */

err_t vmx_setup_init(void)
{
	io_bitmaps = kmem_alloc(2 * PAGE_BYTES);
	if (!io_bitmaps)
		return E_NOMEM;
	memset(io_bitmaps, 0xff, 2 * PAGE_BYTES);
	return E_OK;
}

void vmx_setup_controls(struct virt_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->proc = vmx_caps.proc;
	vmwrite(VMCS_PIN_CONTROLS, vmx_caps.pin);
	vmwrite(VMCS_PROC_CONTROLS, vmx->proc);
	vmwrite(VMCS_PROC2_CONTROLS, vmx_caps.proc2);
	vmwrite(VMCS_EXIT_CONTROLS, vmx_caps.exit);
	vmwrite(VMCS_ENTRY_CONTROLS, vmx_caps.entry);
	/*
	 * A guest can make #AC or #DB raise itself while it is delivered, for ever, with no
	 * instruction boundary at which an interrupt could get in (CVE-2015-5307, CVE-2015-8104):
	 * so they exit.
	 */
	vmwrite(VMCS_EXCEPTION_BITMAP, BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC));
	vmwrite(VMCS_PF_ERROR_MASK, 0);
	vmwrite(VMCS_PF_ERROR_MATCH, 0);
	vmwrite(VMCS_CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_EVENT, 0);
	vmwrite(VMCS_LINK_POINTER, ~0ull);
	vmwrite(VMCS_IO_BITMAP_A, vmx_pa(io_bitmaps));
	vmwrite(VMCS_IO_BITMAP_B, vmx_pa(io_bitmaps + PAGE_BYTES));
	vmwrite(VMCS_MSR_BITMAP, vmx_msr_bitmap_pa());
	vmwrite(VMCS_VIRTUAL_APIC_PAGE, vmx_pa(vmx->apic_page));
	vmwrite(VMCS_TPR_THRESHOLD, 0);
	vmwrite(VMCS_VPID, vmx->vpid);
	vmwrite(VMCS_EPT_POINTER, vmx->eptp);
	vmwrite(VMCS_TSC_OFFSET, vcpu->tsc_offset);
	vmwrite(VMCS_CR0_MASK, vmx_cr0_mask());
	vmwrite(VMCS_CR4_MASK, vmx_cr4_mask());
	if (vmx_caps.proc2 & PROC2_PAUSE_LOOP) {
		vmwrite(VMCS_PLE_GAP, PAUSE_LOOP_GAP);
		vmwrite(VMCS_PLE_WINDOW, PAUSE_LOOP_WINDOW);
	}
	/* IA32_XSS is 0 in host and guest: XSAVES and XRSTORS touch user components only. */
	if (vmx_caps.xsaves)
		vmwrite(VMCS_XSS_EXITING_BITMAP, 0);
}

/* Base of the TSS that TR names: "TSS Descriptor in 64-bit Mode". */
static u64 tss_base(void)
{
	const u64 *d = (const u64 *)(read_gdtr().base + (read_tr() & ~7u));
	u64 base = ((d[0] >> 16) & 0xffffff) | ((d[0] >> 32) & 0xff000000);

	return base | (d[1] << 32);
}

void vmx_setup_host(struct vmx_vcpu *vmx)
{
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_CS_SELECTOR, read_cs() & ~7u);
	vmwrite(VMCS_HOST_SS_SELECTOR, read_ss() & ~7u);
	vmwrite(VMCS_HOST_DS_SELECTOR, read_ds() & ~7u);
	vmwrite(VMCS_HOST_ES_SELECTOR, read_es() & ~7u);
	vmwrite(VMCS_HOST_FS_SELECTOR, read_fs() & ~7u);
	vmwrite(VMCS_HOST_GS_SELECTOR, read_gs() & ~7u);
	vmwrite(VMCS_HOST_TR_SELECTOR, read_tr() & ~7u);
	vmwrite(VMCS_HOST_FS_BASE, rdmsr(MSR_IA32_FS_BASE));
	vmwrite(VMCS_HOST_GS_BASE, rdmsr(MSR_IA32_GS_BASE));
	vmwrite(VMCS_HOST_TR_BASE, tss_base());
	vmwrite(VMCS_HOST_GDTR_BASE, read_gdtr().base);
	vmwrite(VMCS_HOST_IDTR_BASE, read_idtr().base);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_PAT, rdmsr(MSR_IA32_PAT));
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_IA32_EFER));
	vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_point);
	vmx->host_rsp = 0;
	vmx->host_cpu = this_cpu()->id;
}

static void sregs_at_reset(struct virt_sregs *s)
{
	const struct virt_segment data = {0, 0xffff, 0x93, 0};
	u32 i;

	memset(s, 0, sizeof(*s));
	s->cr0 = CR0_ET | CR0_CD | CR0_NW;
	for (i = 0; i < SEG_COUNT; i++)
		s->seg[i] = data;
	s->seg[SEG_CS] = (struct virt_segment){0xf000, 0xffff, 0x9b, 0xffff0000};
	s->tr = (struct virt_segment){0, 0xffff, 0x8b, 0};
	s->ldtr = (struct virt_segment){0, 0xffff, 0x82, 0};
	s->gdtr_limit = 0xffff;
	s->idtr_limit = 0xffff;
}

void vmx_setup_power_on(struct virt_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct virt_sregs sregs;

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[GPR_RDX] = 0x600; /* family 6 */
	vcpu->rip = 0xfff0;
	vcpu->rflags = RFLAGS_FIXED;
	vcpu->state_dirty = true;
	vcpu->tsc_dirty = true;
	vcpu->tpr = 0;
	vcpu->reinject.valid = false;
	vcpu->reinject_nmi_unblock = false;
	vmx->event_set = false;
	vmx->window_class = 0;
	vmx->window_nmi = false;
	vmx->star = vmx->lstar = vmx->cstar = vmx->fmask = 0;
	vmx->kernel_gs_base = vmx->tsc_aux = 0;
	memset(vmx->dr, 0, sizeof(vmx->dr));
	vmx->dr6 = 0xffff0ff0;
	vmx->debug_live = false;
	vmx->windows_dirty = true;

	vmwrite(VMCS_ENTRY_EVENT, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_DR7, 0x400);
	vmwrite(VMCS_GUEST_PAT, PAT_AT_RESET);
	vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
	sregs_at_reset(&sregs);
	vmx_set_sregs(vcpu, &sregs);
	vcpu->started = false;
}
