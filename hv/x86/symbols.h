/*
 * Names for code addresses, from the symbol table of bellows.elf as the loader keeps it in memory.
 * Used by a panic, so every offset in the file is checked against its size, each time.
 */
#ifndef HV_X86_SYMBOLS_H
#define HV_X86_SYMBOLS_H

#include "mm/base/types.h"

/* @elf: the whole file, which must stay; @bytes may be 0: then no name is ever found. */
void symbols_init(const void *elf, u64 bytes);

/* The function that holds @address, *name_bytes long with no NUL, and the offset. NULL: unknown. */
const char *symbols_find(u64 address, u64 *offset, size_t *name_bytes);

#endif
