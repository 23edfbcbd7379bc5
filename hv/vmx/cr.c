/*
 * Control registers. The guest owns what hardware can leave to it; a guest/host mask and a read
 * shadow keep the rest: CR0.PE and PG (they switch EFER.LMA and the entry's IA-32e control), NE, CD
 * and NW (VMX wants NE, and caching stays on), CR4.VMXE (must be 1), MCE (the host's machine checks
 * stay enabled), and every bit whose feature guests don't get. SDM vol. 3C, "Guest/Host Masks and
 * Read Shadows for CR0 and CR4"; vol. 3A, "Control Registers", "Initializing IA-32e Mode", "PDPTE
 * Registers".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/msr.h"
#include "mm/fault/fault.h"
#include "mm/space/space.h"
#include "mm/base/check.h"

#define CR0_GUEST_OWNED (CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM)
#define CR0_DEFINED     (CR0_GUEST_OWNED | CR0_PE | CR0_ET | CR0_NE | CR0_NW | CR0_CD | CR0_PG)

/* Exit qualification for control-register accesses: "Exit Qualification". */
#define CRQ_NUMBER(q) ((u32)(q)&0xf)
#define CRQ_TYPE(q)   ((u32)((q) >> 4) & 3)
#define CRQ_GPR(q)    ((u32)((q) >> 8) & 0xf)
#define CRQ_LMSW(q)   (((q) >> 16) & 0xffff)
enum { CR_MOV_TO, CR_MOV_FROM, CR_CLTS, CR_LMSW };

u64 vmx_cr0_mask(void)
{
	return ~CR0_GUEST_OWNED;
}

u64 vmx_cr4_mask(void)
{
	return ~(vmx_caps.cr4_guest_allowed & ~CR4_MCE);
}

u64 vmx_cr0_get(void)
{
	return (vmread(VMCS_GUEST_CR0) & CR0_GUEST_OWNED) |
	       (vmread(VMCS_CR0_SHADOW) & ~CR0_GUEST_OWNED);
}

u64 vmx_cr4_get(void)
{
	u64 mask = vmx_cr4_mask();

	return (vmread(VMCS_GUEST_CR4) & ~mask) | (vmread(VMCS_CR4_SHADOW) & mask);
}

static void cr0_write(u64 cr0)
{
	u64 forced = (vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG)) | CR0_ET;

	vmwrite(VMCS_GUEST_CR0, ((cr0 & ~(CR0_CD | CR0_NW)) | forced) & vmx_caps.cr0_fixed1);
	vmwrite(VMCS_CR0_SHADOW, cr0 | CR0_ET);
}

static void cr4_write(u64 cr4)
{
	vmwrite(VMCS_GUEST_CR4, (cr4 & ~CR4_MCE) | vmx_caps.cr4_forced);
	vmwrite(VMCS_CR4_SHADOW, cr4);
}

void vmx_efer_set(u64 efer)
{
	u32 entry = (u32)vmread(VMCS_ENTRY_CONTROLS) & ~ENTRYCTL_IA32E;

	vmwrite(VMCS_GUEST_EFER, efer);
	vmwrite(VMCS_ENTRY_CONTROLS, entry | ((efer & EFER_LMA) ? ENTRYCTL_IA32E : 0));
}

void vmx_flush_linear(const struct vmx_vcpu *vmx)
{
	CHECK(insn_invvpid(INVVPID_SINGLE, vmx->vpid));
}

void vmx_cr_set(struct virt_vcpu *vcpu, u64 cr0, u64 cr4, u64 efer)
{
	cr0_write(cr0 & CR0_DEFINED);
	cr4_write(cr4 & vmx_caps.cr4_guest_allowed);
	vmx_efer_set(efer & (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE));
	vmx_flush_linear(vmx_of(vcpu));
}

/* Reserved in a present PDPTE: "Format of a PAE Page-Directory-Pointer-Table Entry". */
static bool pdpte_is_good(u64 e)
{
	u64 reserved = BITS(2, 1) | BITS(8, 5) | BITS(63, vmx_caps.physical_bits);

	return !(e & 1) || !(e & reserved);
}

err_t vmx_pdptes_load(struct virt_vcpu *vcpu, gpa_t *gpa)
{
	u64 entries[4];
	const u64 *table;
	pfn_t pfn;
	u32 i;

	*gpa = GPA(vmread(VMCS_GUEST_CR3) & 0xffffffe0u);
	if (space_pin(vcpu->space, gpa_to_gfn(*gpa), false, &pfn) != E_OK)
		return E_NOTFOUND;
	table = (const u64 *)((const u8 *)platform_frame_va(pfn) + (gpa->v & (PAGE_BYTES - 1)));
	for (i = 0; i < 4; i++)
		entries[i] = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
	space_unpin(vcpu->space, pfn);
	for (i = 0; i < 4; i++) {
		if (!pdpte_is_good(entries[i]))
			return E_INVAL;
	}
	for (i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, entries[i]);
	return E_OK;
}

/* Would the CPU refuse this CR0 with #GP? "MOV - Move to/from Control Registers". */
static bool cr0_is_good(u64 cr0)
{
	if (cr0 >> 32)
		return false;
	if ((cr0 & CR0_PG) && !(cr0 & CR0_PE))
		return false;
	return !(cr0 & CR0_NW) || (cr0 & CR0_CD);
}

/* The EFER that goes with a new CR0, or E_INVAL where the switch of paging deserves #GP. */
static err_t efer_for_cr0(u64 old, u64 new, u64 cr4, u64 *efer)
{
	bool code_is_long = (vmread(VMCS_GUEST_CS_RIGHTS) & RIGHTS_LONG) != 0;

	*efer = vmread(VMCS_GUEST_EFER);
	if (!((old ^ new) & CR0_PG))
		return E_OK;
	if (!(new &CR0_PG)) {
		if ((cr4 & CR4_PCIDE) || ((*efer & EFER_LMA) && code_is_long))
			return E_INVAL;
		*efer &= ~EFER_LMA;
		return E_OK;
	}
	if (!(*efer & EFER_LME))
		return E_OK;
	/* A 16-bit TSS in TR can't go along to IA-32e mode. */
	if (!(cr4 & CR4_PAE) || code_is_long || (vmread(VMCS_GUEST_TR_RIGHTS) & RIGHTS_TYPE) != 11)
		return E_INVAL;
	*efer |= EFER_LMA;
	return E_OK;
}

/* E_OK; E_INVAL: #GP; E_NOTFOUND: fault *@gpa in first. Nothing is changed unless E_OK. */
static err_t guest_sets_cr0(struct virt_vcpu *vcpu, u64 cr0, gpa_t *gpa)
{
	u64 old = vmx_cr0_get(), cr4 = vmx_cr4_get(), new, efer;
	err_t err;

	if (!cr0_is_good(cr0))
		return E_INVAL;
	new = (cr0 & CR0_DEFINED) | CR0_ET;
	err = efer_for_cr0(old, new, cr4, &efer);
	if (err != E_OK)
		return err;
	if ((new &CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA) &&
		((old ^ new) & (CR0_PG | CR0_CD | CR0_NW))) {
		err = vmx_pdptes_load(vcpu, gpa);
		if (err != E_OK)
			return err;
	}
	cr0_write(new);
	if (efer != vmread(VMCS_GUEST_EFER))
		vmx_efer_set(efer);
	if ((old ^ new) & (CR0_PG | CR0_PE | CR0_WP))
		vmx_flush_linear(vmx_of(vcpu));
	return E_OK;
}

static err_t guest_sets_cr4(struct virt_vcpu *vcpu, u64 cr4, gpa_t *gpa)
{
	u64 old = vmx_cr4_get(), efer = vmread(VMCS_GUEST_EFER), cr0 = vmx_cr0_get();
	u64 paging = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_PCIDE;
	err_t err;

	if (cr4 & ~vmx_caps.cr4_guest_allowed)
		return E_INVAL;
	if ((efer & EFER_LMA) && !(cr4 & CR4_PAE))
		return E_INVAL;
	if ((cr4 & ~old & CR4_PCIDE) && (!(efer & EFER_LMA) || (vmread(VMCS_GUEST_CR3) & 0xfff)))
		return E_INVAL;
	if ((cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA) &&
		((old ^ cr4) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP))) {
		err = vmx_pdptes_load(vcpu, gpa);
		if (err != E_OK)
			return err;
	}
	cr4_write(cr4);
	if ((old ^ cr4) & paging)
		vmx_flush_linear(vmx_of(vcpu));
	return E_OK;
}

static err_t guest_moves_to_cr(struct virt_vcpu *vcpu, u64 qualification, gpa_t *gpa)
{
	u64 value = vcpu->gpr[CRQ_GPR(qualification)];
	bool is_long = (vmread(VMCS_GUEST_EFER) & EFER_LMA) &&
		       (vmread(VMCS_GUEST_CS_RIGHTS) & RIGHTS_LONG);

	if (!is_long)
		value = (u32)value;
	if (CRQ_NUMBER(qualification) == 0)
		return guest_sets_cr0(vcpu, value, gpa);
	if (CRQ_NUMBER(qualification) == 4)
		return guest_sets_cr4(vcpu, value, gpa);
	return E_UNSUPPORTED;
}

static err_t guest_accesses_cr(struct virt_vcpu *vcpu, u64 qualification, gpa_t *gpa)
{
	u64 cr0;

	switch (CRQ_TYPE(qualification)) {
	case CR_MOV_TO:
		return guest_moves_to_cr(vcpu, qualification, gpa);
	case CR_CLTS:
		return guest_sets_cr0(vcpu, vmx_cr0_get() & ~CR0_TS, gpa);
	case CR_LMSW: /* can set PE, never clear it */
		cr0 = vmx_cr0_get() & ~(CR0_MP | CR0_EM | CR0_TS);
		return guest_sets_cr0(vcpu, cr0 | (CRQ_LMSW(qualification) & 0xf), gpa);
	default: /* reads of CR3 and CR8 do not exit */
		return E_UNSUPPORTED;
	}
}

void vmx_cr_exit(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	gpa_t gpa = GPA(0);

	switch (guest_accesses_cr(vcpu, exit->raw_info, &gpa)) {
	case E_OK:
		vmx_skip(vcpu, exit->insn_bytes);
		exit->kind = EXIT_AGAIN;
		break;
	case E_INVAL:
		exit->kind = EXIT_GP;
		break;
	case E_NOTFOUND: /* the instruction runs again when the page is there */
		exit->kind = EXIT_GPA_FAULT;
		exit->fault.gpa = gpa;
		exit->fault.access = SLAT_READ | FAULT_WALK;
		exit->fault.linear = 0;
		exit->fault.linear_valid = false;
		break;
	default:
		exit->kind = EXIT_UNKNOWN;
		break;
	}
}
