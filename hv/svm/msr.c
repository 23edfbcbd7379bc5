/*
 * The MSRs that are in the VMCB, or in the CPU while the vCPU is loaded, and the permission map
 * that says which of them the guest reads and writes without an exit: those that VMLOAD and VMSAVE
 * switch. EFER is not among them, for the guest must not see or clear SVME. AMD APM vol. 2, "MSR
 * Intercepts".
 */
#include "hv/svm/svm.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/cpu.h"
#include "hv/x86/paging.h"
#include "mm/base/str.h"
#include "mm/platform.h"

#define MSRPM_BYTES (2 * PAGE_BYTES)

static u8 *msrpm;

static const u32 passthrough[] = {MSRS_OF_A_GUEST};

/* Two bits each, read and write, in three ranges of 8192 MSRs and 2 KiB. */
static void msr_allow(u32 index)
{
	u32 offset = index >= 0xc0000000u ? 0x800 + (index - 0xc0000000u) / 4 : index / 4;

	msrpm[offset] &= ~(3u << (index % 4 * 2));
}

err_t svm_msr_init(void)
{
	msrpm = kmem_alloc(MSRPM_BYTES);
	if (!msrpm)
		return E_NOMEM;
	memset(msrpm, 0xff, MSRPM_BYTES);
	for (size_t i = 0; i < ARRAY_COUNT(passthrough); i++)
		msr_allow(passthrough[i]);
	return E_OK;
}

u64 svm_msrpm_pa(void)
{
	return pfn_to_hpa(platform_va_frame(msrpm)).v;
}

static bool is_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

/* Types 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC-: APM, "PAT Register". */
static bool is_pat(u64 value)
{
	for (int i = 0; i < 64; i += 8) {
		u8 type = value >> i;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

/* APM, "Extended Feature Enable Register". LMA is the CPU's: the guest's value is ignored. */
static err_t efer_write(struct vmcb_save *save, u64 value)
{
	if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return E_INVAL;
	if (((value ^ save->efer) & EFER_LME) && (save->cr0 & CR0_PG))
		return E_INVAL;
	save->efer = (value & ~EFER_LMA) | (save->efer & EFER_LMA) | EFER_SVME;
	return E_OK;
}

/* Where the register is in the VMCB; @address: it holds an address, which must be canonical. */
static u64 *msr_slot(struct vmcb_save *save, u32 index, bool *address)
{
	*address = true;
	switch (index) {
	case MSR_IA32_FS_BASE:
		return &save->fs.base;
	case MSR_IA32_GS_BASE:
		return &save->gs.base;
	case MSR_IA32_KERNEL_GS_BASE:
		return &save->kernel_gs_base;
	case MSR_IA32_LSTAR:
		return &save->lstar;
	case MSR_IA32_CSTAR:
		return &save->cstar;
	case MSR_IA32_SYSENTER_ESP:
		return &save->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP:
		return &save->sysenter_eip;
	}
	*address = false;
	switch (index) {
	case MSR_IA32_STAR:
		return &save->star;
	case MSR_IA32_FMASK:
		return &save->sfmask;
	case MSR_IA32_SYSENTER_CS:
		return &save->sysenter_cs;
	}
	return NULL;
}

err_t svm_msr_read(struct virt_vcpu *vcpu, u32 index, u64 *value)
{
	struct vmcb_save *save = &svm_of(vcpu)->vmcb->save;
	bool address;
	u64 *slot = msr_slot(save, index, &address);

	if (slot) {
		*value = *slot;
		return E_OK;
	}
	switch (index) {
	case MSR_IA32_EFER:
		*value = save->efer & ~EFER_SVME;
		return E_OK;
	case MSR_IA32_PAT:
		*value = save->g_pat;
		return E_OK;
	case MSR_IA32_TSC_AUX:
		if (!svm_features.tsc_aux)
			return E_NOTFOUND;
		*value = svm_of(vcpu)->tsc_aux;
		return E_OK;
	}
	return E_NOTFOUND;
}

err_t svm_msr_write(struct virt_vcpu *vcpu, u32 index, u64 value)
{
	struct vmcb_save *save = &svm_of(vcpu)->vmcb->save;
	bool address;
	u64 *slot = msr_slot(save, index, &address);

	if (slot) {
		if (address && !is_canonical(value))
			return E_INVAL;
		*slot = value;
		return E_OK;
	}
	switch (index) {
	case MSR_IA32_EFER:
		return efer_write(save, value);
	case MSR_IA32_PAT:
		if (!is_pat(value))
			return E_INVAL;
		save->g_pat = value;
		return E_OK;
	case MSR_IA32_TSC_AUX:
		if (!svm_features.tsc_aux)
			return E_NOTFOUND;
		if (value >> 32)
			return E_INVAL;
		svm_of(vcpu)->tsc_aux = value;
		if (this_cpu()->loaded == vcpu)
			wrmsr(MSR_IA32_TSC_AUX, value);
		return E_OK;
	}
	return E_NOTFOUND;
}
