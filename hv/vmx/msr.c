/*
 * MSRs: which ones the guest reaches without an exit, which the hypervisor switches by hand, and
 * the access to those that live in the VMCS. The host uses neither SYSCALL nor SWAPGS, so the
 * SYSCALL family and KERNEL_GS_BASE change only when a vCPU is loaded or unloaded. SDM vol. 3C,
 * "MSR-Bitmap Address".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/str.h"

#define DEBUGCTL_BTF 2ull

static u8 *msr_bitmap; /* [I] a set bit exits: reads of 0.., of C0000000.., then writes */

static void bitmap_clear(u32 msr, bool read, bool write)
{
	u32 base = msr >= 0xc0000000u ? 1024 : 0;
	u32 bit = msr & 0x1fff;

	if (read)
		msr_bitmap[base + bit / 8] &= (u8) ~(1u << bit % 8);
	if (write)
		msr_bitmap[2048 + base + bit / 8] &= (u8) ~(1u << bit % 8);
}

static bool have_tsc_aux(void)
{
	return (vmx_caps.proc2 & PROC2_RDTSCP) != 0;
}

err_t vmx_msr_init(void)
{
	static const u32 free_msrs[] = {MSRS_OF_A_GUEST, MSR_IA32_PAT};
	u32 i;

	msr_bitmap = kmem_alloc(PAGE_BYTES);
	if (!msr_bitmap)
		return E_NOMEM;
	memset(msr_bitmap, 0xff, PAGE_BYTES);
	for (i = 0; i < ARRAY_COUNT(free_msrs); i++)
		bitmap_clear(free_msrs[i], true, true);
	if (have_tsc_aux())
		bitmap_clear(MSR_IA32_TSC_AUX, true, true);
	bitmap_clear(MSR_IA32_EFER, true, false);
	bitmap_clear(MSR_IA32_TSC, true, false); /* reads are offset like RDTSC */
	return E_OK;
}

u64 vmx_msr_bitmap_pa(void)
{
	return vmx_pa(msr_bitmap);
}

void vmx_msr_load(const struct vmx_vcpu *vmx)
{
	wrmsr(MSR_IA32_STAR, vmx->star);
	wrmsr(MSR_IA32_LSTAR, vmx->lstar);
	wrmsr(MSR_IA32_CSTAR, vmx->cstar);
	wrmsr(MSR_IA32_FMASK, vmx->fmask);
	wrmsr(MSR_IA32_KERNEL_GS_BASE, vmx->kernel_gs_base);
	if (have_tsc_aux())
		wrmsr(MSR_IA32_TSC_AUX, vmx->tsc_aux);
}

void vmx_msr_unload(struct vmx_vcpu *vmx)
{
	vmx->star = rdmsr(MSR_IA32_STAR);
	vmx->lstar = rdmsr(MSR_IA32_LSTAR);
	vmx->cstar = rdmsr(MSR_IA32_CSTAR);
	vmx->fmask = rdmsr(MSR_IA32_FMASK);
	vmx->kernel_gs_base = rdmsr(MSR_IA32_KERNEL_GS_BASE);
	if (have_tsc_aux())
		vmx->tsc_aux = rdmsr(MSR_IA32_TSC_AUX);
}

/* The VMCS field that holds an MSR, or 0. */
static u32 vmcs_field_of(u32 msr)
{
	switch (msr) {
	case MSR_IA32_PAT:
		return VMCS_GUEST_PAT;
	case MSR_IA32_FS_BASE:
		return VMCS_GUEST_FS_BASE;
	case MSR_IA32_GS_BASE:
		return VMCS_GUEST_GS_BASE;
	case MSR_IA32_SYSENTER_CS:
		return VMCS_GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP:
		return VMCS_GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP:
		return VMCS_GUEST_SYSENTER_EIP;
	case MSR_IA32_DEBUGCTL:
		return VMCS_GUEST_DEBUGCTL;
	default:
		return 0;
	}
}

static bool is_in_cpu(u32 msr)
{
	switch (msr) {
	case MSR_IA32_STAR:
	case MSR_IA32_LSTAR:
	case MSR_IA32_CSTAR:
	case MSR_IA32_FMASK:
	case MSR_IA32_KERNEL_GS_BASE:
		return true;
	case MSR_IA32_TSC_AUX:
		return have_tsc_aux();
	default:
		return false;
	}
}

err_t vmx_msr_read(struct virt_vcpu *vcpu, u32 index, u64 *value)
{
	u32 field = vmcs_field_of(index);

	if (field)
		*value = vmread(field);
	else if (is_in_cpu(index))
		*value = rdmsr(index);
	else if (index == MSR_IA32_EFER)
		*value = vmread(VMCS_GUEST_EFER);
	else if (index == MSR_IA32_TSC)
		*value = time_tsc() + vcpu->tsc_offset;
	else if (index == MSR_IA32_XSS && vmx_caps.xsaves)
		*value = 0;
	else
		return E_NOTFOUND;
	return E_OK;
}

static bool pat_is_good(u64 pat)
{
	u32 i;

	for (i = 0; i < 8; i++) {
		u8 type = (u8)(pat >> 8 * i);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

static err_t write_efer(u64 value)
{
	u64 old = vmread(VMCS_GUEST_EFER);
	u64 allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

	if (value & ~allowed)
		return E_INVAL;
	if (((value ^ old) & EFER_LME) && (vmx_cr0_get() & CR0_PG))
		return E_INVAL;
	/* LMA is read-only. */
	vmx_efer_set((value & ~EFER_LMA) | (old & EFER_LMA));
	return E_OK;
}

/* Would a WRMSR of @value raise #GP? */
static bool value_is_good(u32 index, u64 value)
{
	switch (index) {
	case MSR_IA32_PAT:
		return pat_is_good(value);
	case MSR_IA32_FMASK:
	case MSR_IA32_TSC_AUX:
	case MSR_IA32_SYSENTER_CS:
		return value <= 0xffffffffu;
	case MSR_IA32_STAR:
		return true;
	case MSR_IA32_XSS:
		return value == 0;
	case MSR_IA32_DEBUGCTL:
		return (value & ~(DEBUGCTL_BTF | 1)) == 0;
	default:
		return is_canonical(value);
	}
}

err_t vmx_msr_write(struct virt_vcpu *vcpu, u32 index, u64 value)
{
	u32 field = vmcs_field_of(index);

	if (index == MSR_IA32_EFER)
		return write_efer(value);
	if (index == MSR_IA32_TSC) {
		vcpu->tsc_offset = value - time_tsc();
		vcpu->tsc_dirty = true;
		return E_OK;
	}
	if (!field && !is_in_cpu(index) && !(index == MSR_IA32_XSS && vmx_caps.xsaves))
		return E_NOTFOUND;
	if (!value_is_good(index, value))
		return E_INVAL;
	/* Last-branch records would show other VMs' branches: the bit is accepted and ignored. */
	if (index == MSR_IA32_DEBUGCTL)
		value &= DEBUGCTL_BTF;
	if (field)
		vmwrite(field, value);
	else if (is_in_cpu(index))
		wrmsr(index, value);
	return E_OK;
}
