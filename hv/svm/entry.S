/*
 * Into the guest and out again. The order matters (APM vol. 2, "Global Interrupt Flag, STGI and
 * CLGI Instructions"): GIF=0 holds every interrupt back, so that setting IF is safe; IF=1 at VMRUN,
 * with V_INTR_MASKING, is what makes a host interrupt end the guest's run; #VMEXIT clears GIF
 * again, and IF is cleared before GIF is set, so that only an NMI is taken here. VMSAVE keeps the
 * guest's FS, GS, TR, LDTR, syscall and sysenter registers, and VMLOAD puts the host's back before
 * STGI lets an NMI in, whose handler needs GS.
 */
	.text

	/* void svm_enter(u64 vmcb_pa (rdi), u64 *gpr (rsi), u64 host_pa (rdx)) */
	.globl svm_enter
	.type svm_enter, @function
svm_enter:
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi

	clgi
	sti
	movq	%rdi, %rax
	vmload	%rax

	/* By instruction encoding; RAX (0) and RSP (4) are in the VMCB. RSI last: it points here. */
	movq	1*8(%rsi), %rcx
	movq	2*8(%rsi), %rdx
	movq	3*8(%rsi), %rbx
	movq	5*8(%rsi), %rbp
	movq	7*8(%rsi), %rdi
	movq	8*8(%rsi), %r8
	movq	9*8(%rsi), %r9
	movq	10*8(%rsi), %r10
	movq	11*8(%rsi), %r11
	movq	12*8(%rsi), %r12
	movq	13*8(%rsi), %r13
	movq	14*8(%rsi), %r14
	movq	15*8(%rsi), %r15
	movq	6*8(%rsi), %rsi

	vmrun	%rax

	/* RAX = VMCB and RSP are the host's again. */
	vmsave	%rax
	movq	8(%rsp), %rax
	movq	%rcx, 1*8(%rax)
	movq	%rdx, 2*8(%rax)
	movq	%rbx, 3*8(%rax)
	movq	%rbp, 5*8(%rax)
	movq	%rsi, 6*8(%rax)
	movq	%rdi, 7*8(%rax)
	movq	%r8, 8*8(%rax)
	movq	%r9, 9*8(%rax)
	movq	%r10, 10*8(%rax)
	movq	%r11, 11*8(%rax)
	movq	%r12, 12*8(%rax)
	movq	%r13, 13*8(%rax)
	movq	%r14, 14*8(%rax)
	movq	%r15, 15*8(%rax)

	movq	16(%rsp), %rax
	vmload	%rax

	/* No guest value stays where a mispredicted path could use it. */
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d

	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	cli
	stgi
	ret
	.size svm_enter, . - svm_enter

	.section .note.GNU-stack, "", @progbits
