/*
 * The end: registers, backtrace with symbols, which VM, to serial and screen; then halt. The line begins
 * with "BELLOWS PANIC", which test runners look for.
 */
#ifndef HV_X86_PANIC_H
#define HV_X86_PANIC_H

#include "mm/base/types.h"
#include "boot/boot_info.h"

/* Remember where the ELF file with the symbols lies. */
void panic_init(const struct boot_info *info);

noreturn_fn void panic(const char *fmt, ...) printf_like(1, 2);

/* Name of the function that holds @address and the offset in it; NULL if unknown. */
const char *panic_symbol(u64 address, u64 *offset, size_t *name_bytes);

#endif
