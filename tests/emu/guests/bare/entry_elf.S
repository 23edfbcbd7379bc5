/*
 * The other two ways in: a Multiboot header and a PVH note, both leading to a 32-bit entry in protected
 * mode without paging. From there it is a few steps to what entry_linux.S is given: 64-bit mode with the
 * first 4 GiB at va = pa.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 3	/* modules on pages of their own, memory information */
#define CR0_PG		0x80000000
#define CR4_PAE		0x20
#define EFER		0xc0000080
#define EFER_LME	0x100
#define BOOT_PVH	1	/* as in boot.c */
#define BOOT_MULTIBOOT	2

	.section .start, "ax"
	.balign 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long entry_pvh

	.section .start, "ax"
	.code32
	.globl entry_multiboot
entry_multiboot:
	mov $BOOT_MULTIBOOT, %ebp
	cmp $0x2badb002, %eax
	je 1f
	hlt				/* with interrupts off: the VM is stopped for it */
entry_pvh:
	mov $BOOT_PVH, %ebp
1:	cli
	cld
	mov $bss_start, %edi
	mov $bss_end, %ecx
	sub %edi, %ecx
	xor %eax, %eax
	rep stosb
	mov $stack_top, %esp

	/* 4 GiB of 2 MiB pages; the upper halves of the entries are zero. */
	movl $boot_tables + 0x1000 + 3, boot_tables
	mov $boot_tables + 0x2000 + 3, %eax
	mov $boot_tables + 0x1000, %edi
2:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	cmp $boot_tables + 0x1020, %edi
	jne 2b
	mov $0x83, %eax
	mov $boot_tables + 0x2000, %edi
3:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	cmp $boot_tables + 0x6000, %edi
	jne 3b

	mov $boot_tables, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $CR4_PAE, %eax
	mov %eax, %cr4
	mov $EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov %cr0, %eax
	or $CR0_PG, %eax
	mov %eax, %cr0
	lgdt boot_gdtr
	ljmp $8, $4f
	.code64
4:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %ebp, %edi
	mov %ebx, %esi
	call bare_start
5:	hlt
	jmp 5b

	.data
	.balign 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdtr:
	.word boot_gdtr - boot_gdt - 1
	.long boot_gdt

	.bss
	.balign 4096
boot_tables:
	.skip 6 * 4096
