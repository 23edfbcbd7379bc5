/*
 * The page below 1 MiB in which an application processor wakes up in real mode. smp.c copies the
 * code there and fills the arguments at the page's end.
 */
#ifndef HV_X86_TRAMPOLINE_H
#define HV_X86_TRAMPOLINE_H

/* Offsets in the page. */
#define TRAMPOLINE_ARGS 0xf00
#define TRAMPOLINE_GDTR (TRAMPOLINE_ARGS + 0x00) /* limit (2 bytes), base (4) */
#define TRAMPOLINE_FAR                                                                             \
	(TRAMPOLINE_ARGS + 0x08) /* offset (4), selector (2): 64-bit code in this page */
#define TRAMPOLINE_CR3     (TRAMPOLINE_ARGS + 0x10)
#define TRAMPOLINE_STACK   (TRAMPOLINE_ARGS + 0x18)
#define TRAMPOLINE_ENTRY   (TRAMPOLINE_ARGS + 0x20) /* void entry(struct cpu *) */
#define TRAMPOLINE_CPU     (TRAMPOLINE_ARGS + 0x28)
#define TRAMPOLINE_APIC_ID (TRAMPOLINE_ARGS + 0x30) /* whose the arguments are */
#define TRAMPOLINE_GDT     (TRAMPOLINE_ARGS + 0x40) /* null, 64-bit code, data */

#ifndef __ASSEMBLER__
extern const char trampoline_start[], trampoline_long_mode[], trampoline_end[];
#endif

#endif
