/* Why a VM lost memory, or got it back: the memory scheduler's last orders for it. */
#ifndef HV_CONSOLE_WHY_H
#define HV_CONSOLE_WHY_H

#include "mm/base/types.h"

/* why NAME */
void command_why(u32 count, char **words);

#endif
