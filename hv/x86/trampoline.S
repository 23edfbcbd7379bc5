/*
 * Real mode to long mode in one step: with PAE, the tables and EFER.LME set, switching paging and protection on
 * at once enters compatibility mode, and a far jump the 64-bit code. CS tells where the page lies.
 * SDM vol. 3, "Initializing IA-32e Mode".
 */
#include "hv/x86/trampoline.h"

	.section .rodata
	.balign	16
	.globl	trampoline_start, trampoline_long_mode, trampoline_end
	.code16
trampoline_start:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	xorl	%ebx, %ebx
	movw	%cs, %bx
	shll	$4, %ebx
	lgdtl	TRAMPOLINE_GDTR
	movl	$0x20, %eax		/* CR4.PAE */
	movl	%eax, %cr4
	movl	TRAMPOLINE_CR3, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER: LME, NXE */
	rdmsr
	orl	$0x900, %eax
	wrmsr
	movl	$0x80000011, %eax	/* CR0: PG, ET, PE; caches on */
	movl	%eax, %cr0
	ljmpl	*TRAMPOLINE_FAR

	.code64
trampoline_long_mode:
	movl	%ebx, %r8d
	movl	$0x10, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	/* EDX: this CPU's APIC id, as own_apic_id() in smp.c finds it. */
	xorl	%eax, %eax
	cpuid
	cmpl	$0xb, %eax
	jb	2f
	movl	$0xb, %eax
	xorl	%ecx, %ecx
	cpuid
	testl	%ebx, %ebx
	jnz	3f
2:	movl	$1, %eax
	cpuid
	movl	%ebx, %edx
	shrl	$24, %edx
	/* The CPU that is called takes the arguments, once; one that comes late, when it was given up, does not. */
3:	cmpl	%edx, TRAMPOLINE_APIC_ID(%r8)
	jne	1f
	xorl	%edi, %edi
	xchgq	%rdi, TRAMPOLINE_CPU(%r8)
	testq	%rdi, %rdi
	jz	1f
	movq	TRAMPOLINE_STACK(%r8), %rsp
	movq	TRAMPOLINE_ENTRY(%r8), %rax
	xorl	%ebp, %ebp
	pushq	%rbp
	pushq	%rbp
	call	*%rax
1:	cli
	hlt
	jmp	1b
trampoline_end:
