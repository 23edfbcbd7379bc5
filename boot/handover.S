/*
 * The last instructions of the loader: firmware's tables, stack and settings are left here, in an order
 * in which nothing that is still needed goes away first. The code runs at va = pa, before and after.
 *
 * void handover_jump(const struct handover *h), struct handover in handover.h.
 */
#define HANDOVER_GDTR	   0
#define HANDOVER_IDTR	   16
#define HANDOVER_CR3	   32
#define HANDOVER_STACK	   40
#define HANDOVER_ENTRY	   48
#define HANDOVER_INFO	   56
#define HANDOVER_CR3_LEVEL5 64
#define HANDOVER_LOW	   72
#define HANDOVER_RESUME	   80

#define HANDOVER_CODE	   0x08
#define HANDOVER_DATA	   0x10
#define HANDOVER_CODE32	   0x18

#define CR0_PG		   (1 << 31)
#define CR4_PGE		   (1 << 7)
#define CR4_LA57	   (1 << 12)
#define CR4_PCIDE	   (1 << 17)
#define CR4_CET		   (1 << 23)

	.text
	.globl	handover_jump
	.type	handover_jump, @function
handover_jump:
	cli
	cld
	mov	%rdi, %rbx

	/* No translation of the firmware's outlives the switch, no indirect jump is refused. */
	mov	%cr4, %rcx
	and	$~(CR4_PGE | CR4_PCIDE | CR4_CET), %rcx
	mov	%rcx, %cr4
	mov	HANDOVER_CR3(%rbx), %rax
	test	$CR4_LA57, %ecx
	jz	1f
	mov	HANDOVER_CR3_LEVEL5(%rbx), %rax
1:	mov	%rax, %cr3

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
	test	$CR4_LA57, %ecx
	jz	handover_resume
	pushq	$HANDOVER_CODE32
	pushq	HANDOVER_LOW(%rbx)
	lretq

	.globl	handover_resume
handover_resume:
	/* An empty return address ends a backtrace; the stack is as after a call. */
	mov	HANDOVER_STACK(%rbx), %rsp
	xor	%ebp, %ebp
	push	%rbp
	mov	HANDOVER_INFO(%rbx), %rdi
	mov	HANDOVER_ENTRY(%rbx), %rdx
	pushq	$HANDOVER_CODE
	push	%rdx
	lretq
	.size	handover_jump, . - handover_jump

/*
 * From five levels of page tables to four: the number can only be changed while paging is off, which
 * is outside long mode, so this runs as 32-bit code from its copy in the low page. RBX = h. Registers
 * lose their upper halves on the way; h and its stack lie below 4 GiB.
 */
	.globl	handover_low, handover_low_end
	.code32
handover_low:
	mov	%cr0, %eax
	and	$~CR0_PG, %eax
	mov	%eax, %cr0
	mov	%cr4, %eax
	and	$~CR4_LA57, %eax
	mov	%eax, %cr4
	mov	HANDOVER_CR3(%ebx), %eax
	mov	%eax, %cr3
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
	mov	HANDOVER_LOW(%ebx), %eax
	add	$(long_mode - handover_low), %eax
	push	$HANDOVER_CODE
	push	%eax
	lret

	.code64
long_mode:
	mov	%ebx, %ebx
	jmp	*HANDOVER_RESUME(%rbx)
handover_low_end:

	.section .note.GNU-stack, "", @progbits
