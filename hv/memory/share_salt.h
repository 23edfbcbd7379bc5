/*
 * Who shares pages with whom: salts from the configuration, as ESXi defines Mem.ShareForceSalting,
 * as numbers for mm. Pure.
 *
 * A VM keeps its number for as long as the configuration says the same of it, on or off. A change
 * gives it the number of whom it is to share with, or one that nobody has had. Only when all
 * numbers have been given once do they come up again, and then only while no VM still has pages
 * shared under a number that it has left.
 */
#ifndef HV_MEMORY_SHARE_SALT_H
#define HV_MEMORY_SHARE_SALT_H

#include "hv/config/config.h"
#include "mm/base/err.h"

enum share_group {
	SHARE_GROUP_NONE, /* shares with nobody, not even with itself */
	SHARE_GROUP_ALL,
	SHARE_GROUP_SALT,  /* with those of equal text */
	SHARE_GROUP_ALONE, /* with itself */
};

/* What a VM's number was given for. */
struct share_salt {
	enum share_group group;
	char text[CONFIG_NAME_BYTES];
	u32 number; /* mm's: 0 shares with nobody; VMs of equal number share */
};

struct share_salts {
	struct share_salt *vms; /* as many as, and in the order of, config->vms */
	u32 last;               /* number that was given */
	u64 given_count;        /* so many were, since the host's start */
};

/* Nothing is numbered yet. @vms: the caller's, for ever. */
void share_salts_init(struct share_salts *salts, struct share_salt *vms, u32 vm_count);

/*
 * Number all VMs as @config says now. @unsharing: a VM has pages shared under a number that it has
 * left. Returns E_BUSY: the numbers are used up, and some may be in use; nothing is changed. Where
 * there are more VMs than numbers, the last share with nobody. Cost: O(VMs^2).
 */
must_check err_t share_salts_update(
	struct share_salts *salts, const struct config *config, bool unsharing);

#endif
