/*
 * What a hostile guest needs in assembly: a way to run code with any registers and to come back from
 * it whatever happens, and a trip through the CPU's modes.
 */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10

	.text
	/* hostile_attempt(function, argument): 0 if it returned, else 1 + the vector that ended it. */
	.globl hostile_attempt
hostile_attempt:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, hostile_rsp(%rip)
	mov %rdi, %rax
	mov %rsi, %rdi
	call *%rax
	xor %eax, %eax
	/* The handler comes here with the vector in RAX. */
	.globl hostile_recover
hostile_recover:
	cld
	mov hostile_rsp(%rip), %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	/* hostile_execute(frame): IRETQ to it with hostile_registers[]; its code ends with an exception. */
	.globl hostile_execute
hostile_execute:
	pushq 32(%rdi)
	pushq 24(%rdi)
	pushq 16(%rdi)
	pushq 8(%rdi)
	pushq (%rdi)
	lea hostile_registers(%rip), %rsi
	mov (%rsi), %rax
	mov 8(%rsi), %rcx
	mov 16(%rsi), %rdx
	mov 24(%rsi), %rbx
	mov 40(%rsi), %rbp
	mov 56(%rsi), %rdi
	mov 64(%rsi), %r8
	mov 72(%rsi), %r9
	mov 80(%rsi), %r10
	mov 88(%rsi), %r11
	mov 96(%rsi), %r12
	mov 104(%rsi), %r13
	mov 112(%rsi), %r14
	mov 120(%rsi), %r15
	mov 48(%rsi), %rsi
	iretq

	.bss
	.balign 16
	.globl hostile_rsp, hostile_registers
hostile_rsp:
	.skip 8
hostile_registers:
	.skip 16 * 8

/*
 * The trip: 64-bit -> compatibility -> protected without paging -> PAE or 32-bit paging, or real mode ->
 * back. It is copied to LOW, below 1 MiB. In each mode there is a slot for instructions; an exception in
 * one leads to what follows it.
 */
#define LOW	     0x40000
#define ADDR(symbol) (LOW + symbol - modes_blob)
#define OFF(symbol)  (symbol - modes_blob)
#define SLOT_BYTES   48
#define CODE_64	     0x08
#define DATA	     0x10
#define CODE_32	     0x18
#define CODE_16	     0x20
#define DATA_16	     0x28

	.section .rodata
	.balign 4096
	.globl modes_blob, modes_blob_end, modes_slots, modes_values
	.globl modes_idt32, modes_ivt, modes_handler32, modes_handler16, modes_tss
modes_blob:
	.code64
	lgdt ADDR(gdtr)
	pushq $CODE_32
	pushq $ADDR(compat)
	lretq

	.code32
compat:
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $ADDR(stack_end), %esp
	mov $ADDR(stack), %esi
	mov %esi, %edi
slot_compat:
	.fill SLOT_BYTES, 1, 0x90
	cmpl $0, ADDR(depth)
	je up_from_compat
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	mov $0xc0000080, %ecx
	rdmsr
	and $~0x100, %eax
	wrmsr
	lidt ADDR(idtr32)
	movl $ADDR(after_protected), ADDR(next)
	mov $ADDR(stack_end), %esp
	mov $ADDR(stack), %esi
	mov %esi, %edi
slot_protected:
	.fill SLOT_BYTES, 1, 0x90
after_protected:
	movl $ADDR(up), ADDR(next)
	cmpl $1, ADDR(depth)
	je up
	cmpl $2, ADDR(depth)
	jne to_real

	movl $ADDR(after_paging), ADDR(next)
	mov ADDR(value_cr4), %eax
	mov %eax, %cr4
	mov ADDR(value_cr3), %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	mov $ADDR(stack_end), %esp
	mov $ADDR(stack), %esi
	mov %esi, %edi
slot_paging:
	.fill SLOT_BYTES, 1, 0x90
after_paging:
	movl $ADDR(up), ADDR(next)
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	jmp up

to_real:
	ljmp $CODE_16, $OFF(protected16)
	.code16
protected16:
	mov $DATA_16, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov %ax, %fs
	mov %ax, %gs
	lidtl OFF(idtr16)
	mov %cr0, %eax
	and $~1, %eax
	mov %eax, %cr0
	ljmp $(LOW >> 4), $OFF(real)
real:
	mov $(LOW >> 4), %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $OFF(stack_end), %esp
	mov $OFF(stack), %esi
	mov %esi, %edi
	mov %esi, %ebx
slot_real:
	.fill SLOT_BYTES, 1, 0x90
modes_handler16:
	cli
	cld
	mov $(LOW >> 4), %ax
	mov %ax, %ds
	mov %ax, %ss
	mov $OFF(stack_end), %esp
	lgdtl OFF(gdtr)
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $CODE_32, $ADDR(up)

	.code32
modes_handler32:
	cli
	cld
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $ADDR(stack_end), %esp
	jmp *ADDR(next)

up:
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $ADDR(stack_end), %esp
	mov ADDR(value_good_cr4), %eax
	mov %eax, %cr4
	mov ADDR(value_good_cr3), %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov ADDR(value_good_cr0), %eax
	mov %eax, %cr0
up_from_compat:
	ljmp $CODE_64, $ADDR(up64)
	.code64
up64:
	xor %eax, %eax
	mov $hostile_recover, %edx
	jmp *%rdx

	.balign 8
gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
	.quad 0x00009b000000ffff | (LOW & 0xffff) << 16 | (LOW >> 16 & 0xff) << 32
	.quad 0x000093000000ffff | (LOW & 0xffff) << 16 | (LOW >> 16 & 0xff) << 32
	.quad 0x0000890000000067 | (ADDR(modes_tss) & 0xffff) << 16 | (ADDR(modes_tss) >> 16) << 32
	.quad 0x0000890000000067 | ((ADDR(modes_tss) + 104) & 0xffff) << 16 | ((ADDR(modes_tss) + 104) >> 16) << 32
	.quad 0x0000e50000380000	/* a task gate */
gdtr:
	.word gdtr - gdt - 1
	.quad ADDR(gdt)
idtr32:
	.word 2047
	.long ADDR(modes_idt32)
idtr16:
	.word 1023
	.long ADDR(modes_ivt)
	.balign 8
modes_slots:
	.long OFF(slot_compat), OFF(slot_protected), OFF(slot_paging), OFF(slot_real)
modes_values:
depth:
	.long 0
value_cr3:
	.long 0
value_cr4:
	.long 0
value_good_cr0:
	.long 0
value_good_cr3:
	.long 0
value_good_cr4:
	.long 0
next:
	.long 0
modes_tss:
	.skip 2 * 104
	.balign 8
modes_idt32:
	.skip 2048
modes_ivt:
	.skip 1024
stack:
	.skip 2048
stack_end:
modes_blob_end:
