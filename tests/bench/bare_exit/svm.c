/*
 * A bare exit on SVM: see vmx.c. VMRUN saves and restores little, so the guest keeps most of its
 * registers where they are. APM vol. 2, "Secure Virtual Machine".
 */
#include "tests/bench/bare_exit/bare_exit.h"
#include "hv/svm/vmcb.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"

#pragma GCC visibility push(hidden)

#define STACK_PAGES 4u
#define NPT_ALL     7u
#define NPT_LARGE   (BIT(7) | NPT_ALL)

void bare_svm_enter(u64 vmcb_pa);
extern u64 *bare_npt_leaves;
u64 *bare_npt_leaves;

/*
 * VMRUN until the guest ends. RAX is the VMCB's address after each exit; the two registers that a
 * nested fault needs are saved on this function's own stack.
 */
__asm__(".text\n"
	".globl bare_svm_enter\n"
	".hidden bare_svm_enter\n"
	"bare_svm_enter:\n"
	"	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	clgi\n"
	"	movq %rdi, %rax\n"
	"1:	vmrun %rax\n"
	"	cmpl $0x72, 0x70(%rax)\n" /* exit code: CPUID */
	"	jne 2f\n"
	"	addq $2, 0x578(%rax)\n" /* RIP */
	"	jmp 1b\n"
	"2:	cmpl $0x400, 0x70(%rax)\n" /* nested page fault */
	"	jne 3f\n"
	"	pushq %rcx; pushq %rdx\n"
	"	movq 0x80(%rax), %rdx\n" /* EXITINFO2: the guest's physical address */
	"	movq %rdx, %rcx\n"
	"	shrq $12, %rcx\n"
	"	andl $511, %ecx\n"
	"	andq $-4096, %rdx\n"
	"	orq $7, %rdx\n"
	"	shlq $3, %rcx\n"
	"	addq bare_npt_leaves(%rip), %rcx\n"
	"	movq %rdx, (%rcx)\n"
	"	popq %rdx; popq %rcx\n"
	"	jmp 1b\n"
	"3:	stgi\n"
	"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
	"	ret\n");
_Static_assert(offsetof(struct vmcb, control.exit_code) == 0x70, "bare_svm_enter");
_Static_assert(offsetof(struct vmcb, control.exit_info2) == 0x80, "bare_svm_enter");
_Static_assert(offsetof(struct vmcb, save.rip) == 0x578, "bare_svm_enter");

static void guest_start(void)
{
	bare_guest();
	for (;;)
		__asm__ volatile("vmmcall");
}

static u64 make_npt(void)
{
	u64 *root = bare_pages(1, PAGE_BYTES), *top = bare_pages(1, PAGE_BYTES);
	u64 *middle = bare_pages(4, PAGE_BYTES);

	bare_npt_leaves = bare_pages(1, PAGE_BYTES);
	bare_touch_area = bare_pages(BARE_TOUCH_PAGES, MIB(2));
	root[0] = (u64)top | NPT_ALL;
	for (u64 i = 0; i < 4; i++)
		top[i] = (u64)(middle + i * 512) | NPT_ALL;
	for (u64 i = 0; i < 2048; i++)
		middle[i] = MIB(2) * i | NPT_LARGE;
	middle[(u64)bare_touch_area / MIB(2)] = (u64)bare_npt_leaves | NPT_ALL;
	return (u64)root;
}

static void intercept(struct vmcb *vmcb, u32 which)
{
	vmcb->control.intercepts[which / 32] |= 1u << which % 32;
}

static void set_guest(struct vmcb_save *save)
{
	const struct vmcb_segment data = {read_ss(), 0xc93, ~0u, 0};

	save->cs = (struct vmcb_segment){read_cs(), 0xa9b, ~0u, 0};
	save->ss = save->ds = save->es = data;
	save->gdtr.base = read_gdtr().base;
	save->gdtr.limit = read_gdtr().limit;
	save->idtr.base = read_idtr().base;
	save->idtr.limit = read_idtr().limit;
	save->efer = rdmsr(MSR_IA32_EFER);
	save->cr0 = read_cr0();
	save->cr3 = read_cr3();
	save->cr4 = read_cr4();
	save->g_pat = rdmsr(MSR_IA32_PAT);
	save->dr6 = 0xffff0ff0;
	save->dr7 = 0x400;
	save->rflags = 2;
	save->rsp = (u64)bare_pages(STACK_PAGES, PAGE_BYTES) + STACK_PAGES * PAGE_BYTES - 8;
	save->rip = (u64)guest_start;
}

const char *bare_svm_run(void)
{
	struct vmcb *vmcb = bare_pages(1, PAGE_BYTES);

	interrupts_off();
	if (rdmsr(MSR_AMD_VM_CR) & VM_CR_SVMDIS)
		return "SVM is locked off";
	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_SVME);
	wrmsr(MSR_AMD_VM_HSAVE_PA, (u64)bare_pages(1, PAGE_BYTES));
	vmcb->control.asid = 1;
	vmcb->control.nested_control = VMCB_NESTED_PAGING;
	vmcb->control.nested_cr3 = make_npt();
	intercept(vmcb, VMCB_INTERCEPT_CPUID);
	intercept(vmcb, VMCB_INTERCEPT_VMMCALL);
	intercept(vmcb, VMCB_INTERCEPT_VMRUN);
	intercept(vmcb, VMCB_INTERCEPT_SHUTDOWN);
	set_guest(&vmcb->save);
	bare_svm_enter((u64)vmcb);
	if ((u32)vmcb->control.exit_code != VMEXIT_VMMCALL)
		return "an exit that was not expected";
	return NULL;
}
