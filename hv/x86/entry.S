/*
 * Where the boot CPU comes in from the loader (boot/boot_info.h tells in which state, RDI = boot_info), on a
 * stack of its own in .bss, and how it changes to its final stack once there are guard pages.
 */
	.section .text.entry, "ax"
	.globl	entry
	.type	entry, @function
entry:
	cli
	cld
	leaq	boot_stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	pushq	%rbp
	pushq	%rbp
	call	main_entry
	ud2
	.size	entry, . - entry

/* void entry_switch_stack(u64 top, void (*function)(void)): never returns; the backtrace ends there. */
	.globl	entry_switch_stack
	.type	entry_switch_stack, @function
entry_switch_stack:
	movq	%rdi, %rsp
	xorl	%ebp, %ebp
	pushq	%rbp
	pushq	%rbp
	call	*%rsi
	ud2
	.size	entry_switch_stack, . - entry_switch_stack

	.bss
	.balign	4096
	.skip	16384
boot_stack_top:
