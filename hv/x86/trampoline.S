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
	movl	%ebx, %ebx
	movl	$0x10, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	/* One CPU takes the arguments; one that comes late, when it was given up, finds none. */
	xorl	%edi, %edi
	xchgq	%rdi, TRAMPOLINE_CPU(%rbx)
	testq	%rdi, %rdi
	jz	1f
	movq	TRAMPOLINE_STACK(%rbx), %rsp
	movq	TRAMPOLINE_ENTRY(%rbx), %rax
	xorl	%ebp, %ebp
	pushq	%rbp
	pushq	%rbp
	call	*%rax
1:	cli
	hlt
	jmp	1b
trampoline_end:
