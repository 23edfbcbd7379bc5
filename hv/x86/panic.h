/*
 * The end: registers, backtrace with symbols, which VM, to serial and screen; then halt. The line
 * begins with "BELLOWS PANIC", which test runners look for.
 */
#ifndef HV_X86_PANIC_H
#define HV_X86_PANIC_H

#include "mm/base/types.h"
#include "boot/boot_info.h"

struct trap_frame; /* hv/x86/trap.h */

/* Remember where the ELF file with the symbols lies. */
void panic_init(const struct boot_info *info);

noreturn_fn void panic(const char *fmt, ...) printf_like(1, 2);

/* An exception in root mode that nothing expects. */
noreturn_fn void panic_trap(const struct trap_frame *frame);

/*
 * An NMI came. If another CPU panicked, this one stops here for good. If none did, the machine
 * wants attention: its NMI button, or an error that the chipset reports; returns true, and the
 * caller panics.
 */
must_check bool panic_nmi_is_news(void);

#define PANIC_NMI "NMI: the machine's NMI button, or a hardware error that it reports"

/* Where its text goes; takes no lock. Before this is called, a panic is silent. */
void panic_set_output(void (*write)(const char *text, size_t bytes));

/* Name of the function that holds @address and the offset in it; NULL if unknown. */
const char *panic_symbol(u64 address, u64 *offset, size_t *name_bytes);

#endif
