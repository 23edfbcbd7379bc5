/*
 * One piece of code for each kind of event. SNIPPET_at is the instruction that causes it, SNIPPET_after
 * the one behind it: a fault is to be found at the one, a trap at the other. All end with a plain ret,
 * in ring 0 as in ring 3.
 */
#define LAPIC_ICR_LOW  0xfee00300
#define LAPIC_ICR_HIGH 0xfee00310

	.macro snippet name, instruction:vararg
	.globl snippet_\name, snippet_\name\()_at, snippet_\name\()_after
snippet_\name:
snippet_\name\()_at:
	\instruction
snippet_\name\()_after:
	ret
	.endm

	.text
	/* RDI points to what each needs: a divisor of zero, an address that is not mapped. */
	snippet divide, divl (%rdi)
	snippet debug_trap, .byte 0xf1
	snippet breakpoint, int3
	snippet undefined, ud2
	snippet protection, mov %edi, %fs
	snippet page_fault, mov (%rdi), %eax
	snippet software, int $0x80

	snippet refused, monitor

	.globl snippet_bad_msr, snippet_bad_msr_at, snippet_bad_msr_after
snippet_bad_msr:
	mov $0x40ffffff, %ecx
snippet_bad_msr_at:
	rdmsr
snippet_bad_msr_after:
	ret

	/* Single steps: of an instruction that the CPU executes, and of one that the hypervisor does. */
	.globl snippet_step, snippet_step_at, snippet_step_after
snippet_step:
	pushfq
	orl $0x100, (%rsp)
	popfq
snippet_step_at:
	nop
snippet_step_after:
	ret

	.globl snippet_step_emulated, snippet_step_emulated_at, snippet_step_emulated_after
snippet_step_emulated:
	push %rbx
	pushfq
	orl $0x100, (%rsp)
	popfq
snippet_step_emulated_at:
	cpuid
snippet_step_emulated_after:
	pop %rbx
	ret

	/* What comes from outside may come anywhere between _at and _after. */
	.globl snippet_nmi, snippet_nmi_at, snippet_nmi_after
snippet_nmi:
	mov $LAPIC_ICR_HIGH, %eax
	movl $0, (%rax)
	mov $LAPIC_ICR_LOW, %eax
snippet_nmi_at:
	movl $0x4400, (%rax)
	mov $64, %ecx
1:	dec %ecx
	jnz 1b
snippet_nmi_after:
	ret

	.globl snippet_external, snippet_external_at, snippet_external_after
snippet_external:
	mov %cs, %eax
	test $3, %al
	jnz snippet_external_at
	sti
snippet_external_at:
	nop
	mov $64, %ecx
1:	dec %ecx
	jnz 1b
snippet_external_after:
	ret

	/* CR8 of the vector's own class holds it back; at 0 it comes. Ring 0 only. */
	.globl snippet_masked, snippet_masked_at, snippet_masked_after
snippet_masked:
	mov $4, %eax
	mov %rax, %cr8
	sti
	mov $64, %ecx
1:	dec %ecx
	jnz 1b
	xor %eax, %eax
	mov %rax, %cr8
snippet_masked_at:
	mov $64, %ecx
1:	dec %ecx
	jnz 1b
snippet_masked_after:
	ret

	/* enter_user(code, stack, rflags, argument): run code in ring 3 until it returns, then come back. */
	.globl enter_user
enter_user:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, kernel_rsp(%rip)
	lea user_exit(%rip), %rax
	mov %rax, -8(%rsi)
	lea -8(%rsi), %rsi
	push $0x1b			/* USER_DS */
	push %rsi
	push %rdx
	push $0x23			/* USER_CS */
	push %rdi
	mov %rcx, %rdi
	iretq
user_exit:
	int $0x90

	/* Where the handler of vector 90H goes on, in ring 0. */
	.globl leave_user
leave_user:
	mov kernel_rsp(%rip), %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.bss
	.balign 8
kernel_rsp:
	.skip 8
