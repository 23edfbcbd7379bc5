/* The console's view of memory: one line of the host, one of each VM, columns as esxtop's. */
#ifndef HV_CONSOLE_MEMTOP_H
#define HV_CONSOLE_MEMTOP_H

#include "mm/base/types.h"

/* memtop */
void command_memtop(u32 count, char **words);

#endif
