/*
 * Debug registers. DR7 and DEBUGCTL are in the VMCS; DR0-3 and DR6 are not, and most guests never
 * touch them: until the first MOV DR (which exits), or while DR7 arms a breakpoint, they stay in
 * memory. #DB exits (see setup.c), so what it does to DR6, DR7.GD and DEBUGCTL is done here. SDM
 * vol. 3B, "Debug Registers"; vol. 3C, "Debug Exceptions" under "VM Exits".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"

#define DR7_ENABLES  0xffull
#define DR7_GD       (1ull << 13)
#define DR6_BD       (1ull << 13)
#define DR6_BS       (1ull << 14)
#define DR6_CAUSES   (0xfull | DR6_BD | DR6_BS)
#define DEBUGCTL_BTF 2ull

static void make_live(struct vmx_vcpu *vmx)
{
	write_dr0(vmx->dr[0]);
	write_dr1(vmx->dr[1]);
	write_dr2(vmx->dr[2]);
	write_dr3(vmx->dr[3]);
	write_dr6(vmx->dr6);
	vmx->debug_live = true;
	vmx->windows_dirty = true;
}

void vmx_debug_load(struct vmx_vcpu *vmx)
{
	if (vmread(VMCS_GUEST_DR7) & DR7_ENABLES)
		make_live(vmx);
}

void vmx_debug_unload(struct vmx_vcpu *vmx)
{
	if (!vmx->debug_live)
		return;
	vmx->dr[0] = read_dr0();
	vmx->dr[1] = read_dr1();
	vmx->dr[2] = read_dr2();
	vmx->dr[3] = read_dr3();
	vmx->dr6 = read_dr6();
	vmx->debug_live = false;
	vmx->windows_dirty = true;
}

/* MOV DR exits only while the registers are not live: bring them in, and it runs again. */
void vmx_debug_exit_mov_dr(struct virt_vcpu *vcpu, struct vm_exit *exit)
{
	make_live(vmx_of(vcpu));
	exit->kind = EXIT_AGAIN;
}

/* @qualification: DR6's causes, as the exit reports them. */
void vmx_debug_exit_db(struct virt_vcpu *vcpu, u64 qualification)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	u32 blocking = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY);

	if (!vmx->debug_live)
		make_live(vmx);
	/* B0-B3 are replaced, BD and BS are sticky. */
	write_dr6((read_dr6() & ~0xfull) | (qualification & DR6_CAUSES));
	vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
	/*
	 * An entry with TF set and a shadow needs BS pending, or the CPU refuses it ("Checks on
	 * Guest Non-Register State"); the exit has cleared the field.
	 */
	if ((blocking & (BLOCKING_STI | BLOCKING_MOV_SS)) && (vcpu->rflags & RFLAGS_TF))
		vmwrite(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS);
	vmwrite(VMCS_GUEST_DEBUGCTL, vmread(VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_BTF);
}
