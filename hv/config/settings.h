/* The command `set`: values of the configuration that are changed while the host runs. */
#ifndef HV_CONFIG_SETTINGS_H
#define HV_CONFIG_SETTINGS_H

#include "mm/base/types.h"

/* set; set NAME; set KEY VALUE; set NAME KEY VALUE */
void command_set(u32 count, char **words);

#endif
