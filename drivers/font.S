/* The file's bytes among the constants (see drivers/font.h). FONT_FILE comes from the Makefile. */
	.section .rodata
	.balign 16
	.globl font_psf, font_psf_end
font_psf:
	.incbin FONT_FILE
font_psf_end:
