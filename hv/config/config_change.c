/* By the rules of the file: config_keys.h. */
#include "hv/config/config_change.h"
#include "hv/config/config_keys.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

static const struct key *find(const struct config_keys *keys, const char *name)
{
	return config_keys_find(keys, (struct ini_str){name, strlen(name)});
}

static bool change(const struct key *key, void *base, const char *value, u32 *shares_per_mib,
	char *why, size_t why_bytes)
{
	struct ini_str s = {value, strlen(value)};

	if (config_value_set(key, s, (char *)base + key->offset, shares_per_mib))
		return true;
	fmt_snprintf(why, why_bytes, "%s = %.64s: allowed is %s", key->name, value, key->allowed);
	return false;
}

bool config_change_host(
	struct host_config *host, const char *key, const char *value, char *why, size_t why_bytes)
{
	u32 shares_per_mib;

	return change(find(&config_host_keys, key), host, value, &shares_per_mib, why, why_bytes);
}

bool config_change_vm(
	struct vm_config *vm, const char *name, const char *value, char *why, size_t why_bytes)
{
	const struct key *key = find(&config_vm_keys, name);
	struct config_bad_sum bad[CONFIG_BAD_SUMS_MAX];
	u32 shares_per_mib = 0;

	if (!change(key, vm, value, &shares_per_mib, why, why_bytes))
		return false;
	if (shares_per_mib)
		vm->shares = shares_per_mib * (vm->memory_bytes >> 20);
	if (key == &config_vm_keys.keys[CONFIG_KEY_RESERVATION])
		vm->reservation_given = true;
	if (config_keys_bad_sums(vm, bad) == 0)
		return true;
	fmt_snprintf(why, why_bytes, "%s", bad[0].message);
	return false;
}

static void print(const struct key *key, const void *base, char *text, size_t bytes)
{
	config_value_print(key, (const char *)base + key->offset, text, bytes);
}

void config_change_print_host(
	const struct host_config *host, const char *key, char *text, size_t bytes)
{
	print(find(&config_host_keys, key), host, text, bytes);
}

void config_change_print_vm(const struct vm_config *vm, const char *key, char *text, size_t bytes)
{
	print(find(&config_vm_keys, key), vm, text, bytes);
}
