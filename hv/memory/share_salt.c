/* First whom each VM is to share with, then the numbers of those for whom that is new. */
#include "hv/memory/share_salt.h"
#include "mm/share/share_index.h"
#include "mm/base/str.h"

enum { NUMBER_NONE, NUMBER_ALL, NUMBER_FIRST };

#define NUMBER_COUNT (SHARE_SALT_MAX - NUMBER_FIRST + 1)

enum { FORCE_NONE, FORCE_IF_GIVEN, FORCE_ALONE };

void share_salts_init(struct share_salts *salts, struct share_salt *vms, u32 vm_count)
{
	memset(vms, 0, vm_count * sizeof(*vms));
	*salts = (struct share_salts){.vms = vms, .last = NUMBER_FIRST - 1};
}

static enum share_group group_of(const struct config *config, const struct vm_config *vm)
{
	u32 force = config->host.share_force_salting;

	if (!vm->share_enable)
		return SHARE_GROUP_NONE;
	if (force == FORCE_NONE)
		return SHARE_GROUP_ALL;
	if (vm->share_salt[0])
		return SHARE_GROUP_SALT;
	return force == FORCE_IF_GIVEN ? SHARE_GROUP_ALL : SHARE_GROUP_ALONE;
}

/* Where it is another than before, there is no number yet. */
static void group_update(struct share_salt *salt, enum share_group group, const char *text)
{
	if (salt->group == group && (group != SHARE_GROUP_SALT || strcmp(salt->text, text) == 0))
		return;
	*salt = (struct share_salt){.group = group};
	memcpy(salt->text, text, sizeof(salt->text));
}

static bool is_given(const struct share_salts *salts, u32 vm_count, u32 number)
{
	for (u32 i = 0; i < vm_count; i++) {
		if (salts->vms[i].number == number)
			return true;
	}
	return false;
}

static u32 fresh(struct share_salts *salts, u32 vm_count)
{
	for (u32 tries = 0; tries < NUMBER_COUNT; tries++) {
		salts->last = salts->last == SHARE_SALT_MAX ? NUMBER_FIRST : salts->last + 1;
		if (!is_given(salts, vm_count, salts->last)) {
			salts->given_count++;
			return salts->last;
		}
	}
	return NUMBER_NONE;
}

/* The number that somebody of the same text has already, or a fresh one. */
static u32 number_for_text(struct share_salts *salts, u32 vm_count, const char *text)
{
	for (u32 i = 0; i < vm_count; i++) {
		const struct share_salt *salt = &salts->vms[i];

		if (salt->group == SHARE_GROUP_SALT && salt->number != NUMBER_NONE &&
			strcmp(salt->text, text) == 0)
			return salt->number;
	}
	return fresh(salts, vm_count);
}

static u32 number_for(struct share_salts *salts, u32 vm_count, const struct share_salt *salt)
{
	switch (salt->group) {
	case SHARE_GROUP_ALL:
		return NUMBER_ALL;
	case SHARE_GROUP_SALT:
		return number_for_text(salts, vm_count, salt->text);
	case SHARE_GROUP_ALONE:
		return fresh(salts, vm_count);
	default:
		return NUMBER_NONE;
	}
}

err_t share_salts_update(struct share_salts *salts, const struct config *config, bool unsharing)
{
	u32 vm_count = config->vm_count;

	if (unsharing && salts->given_count + vm_count > NUMBER_COUNT)
		return E_BUSY;
	/* All groups first: who is to change shall not lend its old number. */
	for (u32 i = 0; i < vm_count; i++)
		group_update(&salts->vms[i], group_of(config, &config->vms[i]),
			config->vms[i].share_salt);
	for (u32 i = 0; i < vm_count; i++) {
		struct share_salt *salt = &salts->vms[i];

		if (salt->number == NUMBER_NONE)
			salt->number = number_for(salts, vm_count, salt);
	}
	return E_OK;
}
