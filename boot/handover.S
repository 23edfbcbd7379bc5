/*
 * The last instructions of the loader: firmware's tables, stack and settings are left here, in an order
 * in which nothing that is still needed goes away first. The code runs at va = pa, before and after.
 *
 * void handover_jump(const struct handover *h), struct handover in handover.h.
 */
#define HANDOVER_GDTR	 0
#define HANDOVER_IDTR	 16
#define HANDOVER_CR3	 32
#define HANDOVER_STACK	 40
#define HANDOVER_ENTRY	 48
#define HANDOVER_INFO	 56

#define HANDOVER_CODE	 0x08
#define HANDOVER_DATA	 0x10

#define CR4_PGE		 (1 << 7)
#define CR4_PCIDE	 (1 << 17)
#define CR4_CET		 (1 << 23)

	.text
	.globl	handover_jump
	.type	handover_jump, @function
handover_jump:
	cli
	cld
	mov	%rdi, %rbx

	/* No translation of the firmware's outlives the switch, no indirect jump is refused. */
	mov	%cr4, %rax
	and	$~(CR4_PGE | CR4_PCIDE | CR4_CET), %rax
	mov	%rax, %cr4
	mov	HANDOVER_CR3(%rbx), %rax
	mov	%rax, %cr3

	lgdt	HANDOVER_GDTR(%rbx)
	lidt	HANDOVER_IDTR(%rbx)
	mov	HANDOVER_STACK(%rbx), %rsp
	mov	$HANDOVER_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs

	/* An empty return address ends a backtrace; the stack is as after a call. */
	push	%rax
	xor	%ebp, %ebp
	mov	HANDOVER_INFO(%rbx), %rdi
	mov	HANDOVER_ENTRY(%rbx), %rdx
	pushq	$HANDOVER_CODE
	push	%rdx
	lretq
	.size	handover_jump, . - handover_jump

	.section .note.GNU-stack, "", @progbits
