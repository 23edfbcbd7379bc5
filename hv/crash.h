/* The console command that ends it all; hv/commands.c names it. */
#ifndef HV_CRASH_H
#define HV_CRASH_H

#include "mm/base/types.h"

/* Panic: at once, by stack overflow ("stack"), by a write to code ("text"). */
void command_crash(u32 count, char **words);

#endif
