/*
 * unaligned_stack(): #AC that raises itself (CVE-2015-5307). Only outside long mode does the delivery of an
 * exception push where the stack pointer happens to be; so back to 32-bit code without paging, into ring 3 with
 * alignment checks on, and a handler that stays in ring 3: its frame goes to the same unaligned stack.
 */
#define CS_KERNEL 0x08
#define DS_KERNEL 0x10
#define DS_USER	  0x1b
#define CS_USER	  0x23
#define CR0_PG	  0x80000000
#define CR0_AM	  0x40000
#define MSR_EFER  0xc0000080
#define EFER_LME  0x100
#define EFLAGS_AC 0x40002
#define GATE_USER 0xee00
#define VECTOR_AC 17

	.text
	.globl unaligned_stack
unaligned_stack:
	cli
	lgdt gdt_pointer
	lidt idt_pointer
	pushq $CS_KERNEL
	pushq $1f
	lretq

	.code32
1:	mov $DS_KERNEL, %eax
	mov %eax, %ds
	mov %eax, %ss
	mov %cr0, %eax
	and $~CR0_PG, %eax
	or $CR0_AM, %eax
	mov %eax, %cr0
	mov $MSR_EFER, %ecx
	rdmsr
	and $~EFER_LME, %eax
	wrmsr

	mov $in_ring_3, %eax
	movw %ax, idt + VECTOR_AC * 8
	movw $CS_USER, idt + VECTOR_AC * 8 + 2
	movw $GATE_USER, idt + VECTOR_AC * 8 + 4
	shr $16, %eax
	movw %ax, idt + VECTOR_AC * 8 + 6

	mov $stack_end, %esp
	pushl $EFLAGS_AC
	popfl
	pushl $DS_USER
	pushl $(stack_end - 63)
	pushl $CS_USER
	pushl $in_ring_3
	lret
in_ring_3:
	push %eax
	jmp in_ring_3
	.code64

	.data
	.balign 8
gdt:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00cffb000000ffff
gdt_pointer:
	.word . - gdt - 1
	.quad gdt
	.balign 8
idt:
	.fill 32, 8, 0
idt_pointer:
	.word . - idt - 1
	.quad idt
	.balign 8
	.fill 256, 1, 0
stack_end:
