/*
 * Where a CPU begins that was sent INIT and SIPI: the page from cpus_start on is copied to CPUS_START_AT
 * (cpus.h), and leads from real mode to 64-bit mode in one step, with the first CPU's page tables, to a stack
 * of its own. And how it sleeps.
 */
#define AT(symbol)	(symbol - cpus_start + 0x40000)
#define CR0_PE_PG	0x80000001
#define CR4_PAE		0x20
#define EFER		0xc0000080
#define EFER_LME	0x100

	.text
	/* void cpus_sti_hlt(void); cpus_hlt is where no interrupt may be delivered. */
	.globl cpus_sti_hlt, cpus_hlt
cpus_sti_hlt:
	sti
cpus_hlt:
	hlt
	cli
	ret

	.section .rodata
	.balign 16
	.globl cpus_start, cpus_start_cr3, cpus_start_stack, cpus_start_end
	.code16
cpus_start:
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl gdtr - cpus_start
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov cpus_start_cr3 - cpus_start, %eax
	mov %eax, %cr3
	mov $EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov %cr0, %eax
	or $CR0_PE_PG, %eax
	mov %eax, %cr0
	ljmpl $8, $AT(long_mode)
	.code64
long_mode:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov AT(cpus_start_stack), %rsp
	movabs $cpus_main, %rax
	call *%rax

	.balign 8
gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:
	.word gdtr - gdt - 1
	.long AT(gdt)
	.balign 8
cpus_start_cr3:
	.quad 0
cpus_start_stack:
	.quad 0
cpus_start_end:
