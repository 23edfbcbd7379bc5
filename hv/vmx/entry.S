/*
 * Into the guest and back. Everything that C may rely on across the call is saved on the stack; the guest's
 * general registers and CR2, which the VMCS does not hold, are switched here. HOST_RSP is written
 * only when the stack depth differs from the last time. SDM vol. 3C, "VM Entries", "Loading Host State".
 *
 * int vmx_enter(struct virt_vcpu *vcpu, u32 flags, u64 *host_rsp): 0 after an exit, 1 if the entry failed
 * before it left root mode (VMfailInvalid, VMfailValid).
 */
#include "hv/vmx/vmcs.h"
#include "hv/vmx/layout.h"

	.text
	.globl	vmx_enter
	.type	vmx_enter, @function
vmx_enter:
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdi

	cmpq	%rsp, (%rdx)
	je	1f
	movq	%rsp, (%rdx)
	movl	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
1:
	/* A write of CR2 costs more than a read. */
	movq	VCPU_CR2(%rdi), %rax
	movq	%cr2, %rcx
	cmpq	%rcx, %rax
	je	2f
	movq	%rax, %cr2
2:
	/* CF: VMX_ENTER_LAUNCHED, SF: VMX_ENTER_VERW. MOV leaves flags alone, VERW changes ZF only. */
	shlb	$1, %sil
	movq	VCPU_RAX(%rdi), %rax
	movq	VCPU_RCX(%rdi), %rcx
	movq	VCPU_RDX(%rdi), %rdx
	movq	VCPU_RBX(%rdi), %rbx
	movq	VCPU_RBP(%rdi), %rbp
	movq	VCPU_RSI(%rdi), %rsi
	movq	VCPU_R8(%rdi), %r8
	movq	VCPU_R9(%rdi), %r9
	movq	VCPU_R10(%rdi), %r10
	movq	VCPU_R11(%rdi), %r11
	movq	VCPU_R12(%rdi), %r12
	movq	VCPU_R13(%rdi), %r13
	movq	VCPU_R14(%rdi), %r14
	movq	VCPU_R15(%rdi), %r15
	movq	VCPU_RDI(%rdi), %rdi
	jns	3f
	/* Microcode clears the CPU's buffers when VERW has a writable data selector in memory. */
	verw	vmx_verw_selector(%rip)
3:
	jnc	4f
	vmresume
	jmp	5f
4:
	vmlaunch
5:
	movl	$1, %eax
	jmp	6f

	.globl	vmx_exit_point
	.type	vmx_exit_point, @function
vmx_exit_point:
	pushq	%rdi
	movq	8(%rsp), %rdi
	movq	%rax, VCPU_RAX(%rdi)
	movq	%rcx, VCPU_RCX(%rdi)
	movq	%rdx, VCPU_RDX(%rdi)
	movq	%rbx, VCPU_RBX(%rdi)
	movq	%rbp, VCPU_RBP(%rdi)
	movq	%rsi, VCPU_RSI(%rdi)
	movq	%r8, VCPU_R8(%rdi)
	movq	%r9, VCPU_R9(%rdi)
	movq	%r10, VCPU_R10(%rdi)
	movq	%r11, VCPU_R11(%rdi)
	movq	%r12, VCPU_R12(%rdi)
	movq	%r13, VCPU_R13(%rdi)
	movq	%r14, VCPU_R14(%rdi)
	movq	%r15, VCPU_R15(%rdi)
	popq	VCPU_RDI(%rdi)
	movq	%cr2, %rax
	movq	%rax, VCPU_CR2(%rdi)
	xorl	%eax, %eax
6:
	/* No guest value stays in a register for speculation to use. */
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	popq	%rdi
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	vmx_enter, . - vmx_enter

	.section .note.GNU-stack, "", @progbits
