/* The console command that ends it all; hv/console/commands.c names it. */
#ifndef HV_CONSOLE_CRASH_H
#define HV_CONSOLE_CRASH_H

#include "mm/base/types.h"

/* Panic: at once, by stack overflow ("stack"), by a write to code ("text"). */
void command_crash(u32 count, char **words);

#endif
