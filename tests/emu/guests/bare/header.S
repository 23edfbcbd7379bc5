/*
 * What makes a flat program a kernel that the hypervisor can start: the setup header of Linux's 64-bit
 * boot protocol (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"), and the 64-bit entry
 * 200H bytes into the program. It also holds the stubs of the interrupt vectors.
 */
#define SETUP_BYTES 1024
#define LOAD_AT	    0x100000

	.section .header, "a"
setup:
	.org 0x1f1
	.byte SETUP_BYTES / 512 - 1	/* setup_sects, the boot sector not counted */
	.word 0
	.long program_paragraphs	/* syssize */
	.word 0, 0, 0
	.word 0xaa55
	.byte 0xeb, header_end - 1f	/* jump: its distance tells where the header ends */
1:	.ascii "HdrS"
	.word 0x020f			/* protocol 2.15 */
	.long 0
	.word 0, 0
	.byte 0xff			/* type_of_loader, the loader's to fill */
	.byte 1				/* loadflags: LOADED_HIGH */
	.word 0
	.long LOAD_AT			/* code32_start */
	.long 0, 0			/* ramdisk */
	.long 0
	.word 0
	.byte 0, 0
	.long 0				/* cmd_line_ptr */
	.long 0x7fffffff		/* initrd_addr_max */
	.long 0x1000			/* kernel_alignment */
	.byte 0				/* not relocatable: linked for LOAD_AT */
	.byte 12
	.word 1				/* xloadflags: XLF_KERNEL_64 */
	.long 2047			/* cmdline_size */
	.long 0
	.quad 0
	.long 0, 0
	.quad 0
	.quad LOAD_AT			/* pref_address */
	.long program_memory_bytes	/* init_size */
	.long 0
header_end:
	.org SETUP_BYTES

	.section .start, "ax"
	.org 0x200
	.globl entry64
entry64:
	cli
	lea stack_top(%rip), %rsp
	lea bss_start(%rip), %rdi
	lea bss_end(%rip), %rcx
	sub %rdi, %rcx
	xor %eax, %eax
	cld
	rep stosb
	mov %rsi, %rdi
	call bare_main
1:	hlt
	jmp 1b

/* Vector stubs: an error code or a zero in its place, the vector, and the common frame. */
	.text
	.globl vector_stubs
	.balign 16
vector_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
	.else
	push $0
	.endif
	push $vector
	jmp common_stub
	.set vector, vector + 1
	.endr

common_stub:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	mov %rsp, %rbp
	and $-16, %rsp
	call bare_interrupt
	mov %rbp, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	.bss
	.balign 4096
	.skip 16384
stack_top:
