/*
 * Who shares pages with whom: salts from the configuration, as ESXi defines Mem.ShareForceSalting.
 * Pure.
 */
#ifndef HV_SHARE_SALT_H
#define HV_SHARE_SALT_H

#include "hv/config.h"

/*
 * The salt for mm of config->vms[@index]: 0 shares with nobody, not even with itself; VMs of equal
 * number share. A text is as good as any equal text of another VM, and only that.
 */
u32 share_salt_of(const struct config *config, u32 index);

#endif
