/* Console commands about the host machine itself, as hv/console/commands.h tells of all. */
#ifndef HV_CONSOLE_HOST_COMMANDS_H
#define HV_CONSOLE_HOST_COMMANDS_H

#include "mm/base/types.h"

/* All page frames by use, and what the hypervisor costs against what it may cost. */
void command_frames(u32 count, char **words);
/* All CPUs: whether they came up, the time they slept, the interrupts they took. */
void command_cpus(u32 count, char **words);
/* All PCI functions with their base addresses. */
void command_pci(u32 count, char **words);

#endif
