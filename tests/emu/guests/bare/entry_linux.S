/*
 * What makes a flat program a kernel that the hypervisor can start: the setup header of Linux's 64-bit
 * boot protocol (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"), and the 64-bit entry
 * 200H bytes into the program.
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
	xor %edi, %edi			/* BOOT_LINUX */
	call bare_start
1:	hlt
	jmp 1b
