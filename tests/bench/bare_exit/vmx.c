/*
 * A bare exit on VT-x. Host and guest share one address space, and the guest is the caller: its
 * state is read from the CPU. SDM vol. 3C, "VM Entries", "VM Exits".
 */
#include "tests/bench/bare_exit/bare_exit.h"
#include "hv/vmx/insn.h"
#include "hv/vmx/vmcs.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"

#pragma GCC visibility push(hidden)

#define TSS_BYTES      104u
#define STACK_PAGES    4u
#define EPT_LARGE      (BIT(7) | EPT_ALL | EPT_WRITE_BACK)
#define EPT_ALL        7u
#define EPT_WRITE_BACK (6u << 3)
#define CR4_VMXE       BIT(13)
#define RIGHTS_NULL    0x10000u

int bare_vmx_enter(void);
void bare_vmx_exit(void);
extern u64 *bare_ept_leaves;
u64 *bare_ept_leaves;
void vmx_field_failed(u64 field) __attribute__((noreturn));

/* No result comes then, and the driver says so. */
void vmx_field_failed(u64 field)
{
	(void)field;
	for (;;)
		__asm__ volatile("cli; hlt");
}

/*
 * VMLAUNCH with this function's own stack as the host's; returns when the guest ends. The exit
 * point saves the three registers that it uses, and nothing else changes hands.
 */
__asm__(".text\n"
	".globl bare_vmx_enter, bare_vmx_exit\n"
	".hidden bare_vmx_enter, bare_vmx_exit\n"
	"bare_vmx_enter:\n"
	"	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	movl $0x6c14, %eax\n" /* VMCS_HOST_RSP */
	"	vmwrite %rsp, %rax\n"
	"	vmlaunch\n"
	"	movl $1, %eax\n"
	"	jmp 3f\n"
	"bare_vmx_exit:\n"
	"	pushq %rax; pushq %rdx\n"
	"	movl $0x4402, %eax\n" /* VMCS_EXIT_REASON */
	"	vmread %rax, %rdx\n"
	"	cmpl $10, %edx\n" /* CPUID */
	"	jne 1f\n"
	"	movl $0x681e, %eax\n" /* VMCS_GUEST_RIP */
	"	vmread %rax, %rdx\n"
	"	addq $2, %rdx\n"
	"	vmwrite %rdx, %rax\n"
	"	popq %rdx; popq %rax\n"
	"	vmresume\n"
	"1:	cmpl $48, %edx\n" /* EPT violation */
	"	jne 2f\n"
	"	pushq %rcx\n"
	"	movl $0x2400, %eax\n" /* VMCS_GUEST_PHYSICAL */
	"	vmread %rax, %rdx\n"
	"	movq %rdx, %rax\n"
	"	shrq $12, %rax\n"
	"	andl $511, %eax\n"
	"	andq $-4096, %rdx\n"
	"	orq $0x37, %rdx\n"
	"	movq bare_ept_leaves(%rip), %rcx\n"
	"	movq %rdx, (%rcx,%rax,8)\n"
	"	popq %rcx; popq %rdx; popq %rax\n"
	"	vmresume\n"
	"2:	addq $16, %rsp\n"
	"	xorl %eax, %eax\n"
	"3:	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
	"	ret\n");

static void guest_start(void)
{
	bare_guest();
	for (;;)
		__asm__ volatile("vmcall");
}

/* Controls as wanted, within what the CPU allows and demands. */
static u32 allowed(u32 msr, u32 want)
{
	u64 caps = rdmsr(msr);

	return (want | (u32)caps) & (u32)(caps >> 32);
}

static u64 pa(const void *at)
{
	return (u64)at; /* the firmware's address space is flat */
}

/* A GDT of our own with a TSS, which VM entries and exits insist on and UEFI has none of. */
static u16 make_task(u64 *tss_base)
{
	struct descriptor_pointer gdtr = read_gdtr();
	u64 *gdt = bare_pages(1, PAGE_BYTES);
	u64 tss = pa(bare_pages(1, PAGE_BYTES));
	u32 count = (gdtr.limit + 1u) / 8;

	for (u32 i = 0; i < count; i++)
		gdt[i] = ((u64 *)gdtr.base)[i];
	gdt[count] =
		(TSS_BYTES - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
	gdt[count + 1] = tss >> 32;
	gdtr = (struct descriptor_pointer){(u16)((count + 2) * 8 - 1), pa(gdt)};
	__asm__ volatile("lgdt %0\n\tltr %w1" : : "m"(gdtr), "r"(count * 8) : "memory");
	*tss_base = tss;
	return (u16)(count * 8);
}

/* The first 4 GiB at themselves, except for the area that the guest touches. */
static u64 make_ept(void)
{
	u64 *root = bare_pages(1, PAGE_BYTES), *top = bare_pages(1, PAGE_BYTES);
	u64 *middle = bare_pages(4, PAGE_BYTES);

	bare_ept_leaves = bare_pages(1, PAGE_BYTES);
	bare_touch_area = bare_pages(BARE_TOUCH_PAGES, MIB(2));
	root[0] = pa(top) | EPT_ALL;
	for (u64 i = 0; i < 4; i++)
		top[i] = pa(middle + i * 512) | EPT_ALL;
	for (u64 i = 0; i < 2048; i++)
		middle[i] = MIB(2) * i | EPT_LARGE;
	middle[pa(bare_touch_area) / MIB(2)] = pa(bare_ept_leaves) | EPT_ALL;
	return pa(root) | EPTP_WRITE_BACK | EPTP_4_LEVEL;
}

static void set_controls(u64 eptp)
{
	vmwrite(VMCS_PIN_CONTROLS, allowed(MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0));
	vmwrite(VMCS_PROC_CONTROLS, allowed(MSR_IA32_VMX_TRUE_PROCBASED_CTLS, PROC_SECONDARY));
	vmwrite(VMCS_PROC2_CONTROLS, allowed(MSR_IA32_VMX_PROCBASED_CTLS2, PROC2_EPT | PROC2_VPID));
	vmwrite(VMCS_EXIT_CONTROLS, allowed(MSR_IA32_VMX_TRUE_EXIT_CTLS, EXITCTL_HOST_64));
	vmwrite(VMCS_ENTRY_CONTROLS, allowed(MSR_IA32_VMX_TRUE_ENTRY_CTLS, ENTRYCTL_IA32E));
	vmwrite(VMCS_EXCEPTION_BITMAP, 0);
	vmwrite(VMCS_CR0_MASK, 0);
	vmwrite(VMCS_CR4_MASK, 0);
	vmwrite(VMCS_CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_EVENT, 0);
	vmwrite(VMCS_EPT_POINTER, eptp);
	vmwrite(VMCS_VPID, 1);
	vmwrite(VMCS_LINK_POINTER, ~0ull);
}

static void set_host(u16 tr, u64 tss)
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
	vmwrite(VMCS_HOST_TR_SELECTOR, tr);
	vmwrite(VMCS_HOST_FS_BASE, rdmsr(MSR_IA32_FS_BASE));
	vmwrite(VMCS_HOST_GS_BASE, rdmsr(MSR_IA32_GS_BASE));
	vmwrite(VMCS_HOST_TR_BASE, tss);
	vmwrite(VMCS_HOST_GDTR_BASE, read_gdtr().base);
	vmwrite(VMCS_HOST_IDTR_BASE, read_idtr().base);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_RIP, (u64)bare_vmx_exit);
}

static void set_guest_segment(u32 index, u16 selector, u32 limit, u32 rights, u64 base)
{
	vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * index, selector);
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * index, limit);
	vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * index, rights);
	vmwrite(VMCS_GUEST_ES_BASE + 2 * index, base);
}

static void set_guest(u16 tr, u64 tss)
{
	enum { ES, CS, SS, DS, FS, GS, LDTR, TR };
	const u32 code = 0xa09b, data = 0xc093;

	vmwrite(VMCS_GUEST_CR0, read_cr0());
	vmwrite(VMCS_GUEST_CR3, read_cr3());
	vmwrite(VMCS_GUEST_CR4, read_cr4());
	set_guest_segment(CS, read_cs(), ~0u, code, 0);
	set_guest_segment(SS, read_ss(), ~0u, data, 0);
	set_guest_segment(DS, read_ds(), ~0u, data, 0);
	set_guest_segment(ES, read_es(), ~0u, data, 0);
	set_guest_segment(FS, 0, 0, RIGHTS_NULL, 0);
	set_guest_segment(GS, 0, 0, RIGHTS_NULL, 0);
	set_guest_segment(LDTR, 0, 0, RIGHTS_NULL, 0);
	set_guest_segment(TR, tr, TSS_BYTES - 1, 0x8b, tss);
	vmwrite(VMCS_GUEST_GDTR_BASE, read_gdtr().base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, read_gdtr().limit);
	vmwrite(VMCS_GUEST_IDTR_BASE, read_idtr().base);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, read_idtr().limit);
	vmwrite(VMCS_GUEST_DR7, 0x400);
	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_RFLAGS, 2);
	vmwrite(VMCS_GUEST_RSP,
		pa(bare_pages(STACK_PAGES, PAGE_BYTES)) + STACK_PAGES * PAGE_BYTES - 8);
	vmwrite(VMCS_GUEST_RIP, (u64)guest_start);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
}

static void vmx_on(void)
{
	u64 control = rdmsr(MSR_IA32_FEATURE_CONTROL);

	if (!(control & FEATURE_CONTROL_LOCKED))
		wrmsr(MSR_IA32_FEATURE_CONTROL,
			control | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
	write_cr0((read_cr0() | rdmsr(MSR_IA32_VMX_CR0_FIXED0)) & rdmsr(MSR_IA32_VMX_CR0_FIXED1));
	write_cr4((read_cr4() | rdmsr(MSR_IA32_VMX_CR4_FIXED0) | CR4_VMXE) &
		  rdmsr(MSR_IA32_VMX_CR4_FIXED1));
}

const char *bare_vmx_run(void)
{
	u32 revision = (u32)(rdmsr(MSR_IA32_VMX_BASIC) & BASIC_REVISION);
	u32 *vmxon_region = bare_pages(1, PAGE_BYTES), *vmcs = bare_pages(1, PAGE_BYTES);
	u64 eptp = make_ept(), tss;
	u16 tr;
	const char *problem = NULL;

	*vmxon_region = *vmcs = revision;
	interrupts_off();
	tr = make_task(&tss);
	vmx_on();
	if (!insn_vmxon(pa(vmxon_region)) || !insn_vmclear(pa(vmcs)) || !insn_vmptrld(pa(vmcs)))
		return "VT-x cannot be switched on";
	set_controls(eptp);
	set_host(tr, tss);
	set_guest(tr, tss);
	if (bare_vmx_enter())
		problem = "the first VM entry was refused";
	else if ((u32)vmread(VMCS_EXIT_REASON) != REASON_VMCALL)
		problem = "an exit that was not expected";
	vmxoff();
	return problem;
}
