/*
 * Salts are numbered by VMs: a text has the number of the first VM that states it, a VM that is to
 * be alone its own. So equal numbers mean equal texts, with no table to keep.
 */
#include "hv/share_salt.h"
#include "mm/share_index.h"
#include "mm/base/str.h"

enum { SALT_NONE, SALT_ALL, SALT_FIRST_VM };

enum { FORCE_NONE, FORCE_IF_GIVEN, FORCE_ALONE };

static u32 number_of(u32 index)
{
	u32 number = SALT_FIRST_VM + index;

	return number <= SHARE_SALT_MAX ? number : SALT_NONE;
}

static u32 first_with(const struct config *config, const char *salt)
{
	u32 index = 0;

	while (strcmp(config->vms[index].share_salt, salt) != 0)
		index++;
	return index;
}

u32 share_salt_of(const struct config *config, u32 index)
{
	const struct vm_config *vm = &config->vms[index];

	if (!vm->share_enable)
		return SALT_NONE;
	if (config->host.share_force_salting == FORCE_NONE)
		return SALT_ALL;
	if (vm->share_salt[0])
		return number_of(first_with(config, vm->share_salt));
	return config->host.share_force_salting == FORCE_IF_GIVEN ? SALT_ALL : number_of(index);
}
