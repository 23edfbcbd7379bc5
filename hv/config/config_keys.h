/*
 * Which keys bellows.conf has, what each may hold, and which values of a VM cannot be together: for
 * who reads the file (config.c) and who changes a value at run time (config_change.c). A key knows
 * its kind, its range, and the words that tell an administrator what is allowed; so a new key is a
 * new line in config_keys.c. Pure.
 */
#ifndef HV_CONFIG_CONFIG_KEYS_H
#define HV_CONFIG_CONFIG_KEYS_H

#include "mm/base/types.h"
#include "mm/base/ini.h"
#include "hv/config/config.h"
#include "hv/config/config_value.h"

/* Of a section, by offset in struct host_config or struct vm_config. */
struct config_keys {
	const struct key *keys;
	u32 count; /* CONFIG_KEYS_MAX at most */
};

#define CONFIG_KEYS_MAX 32u

extern const struct config_keys config_host_keys, config_vm_keys;

/* Indexes in config_vm_keys of those that must be there, or are held against each other. */
enum {
	CONFIG_KEY_MEMORY,
	CONFIG_KEY_KERNEL,
	CONFIG_KEY_RESERVATION,
	CONFIG_KEY_LIMIT,
	CONFIG_KEY_STARTUP,
	CONFIG_KEY_MIN,
	CONFIG_KEY_SWAP_DIR
};

/* NULL: there is none of that name. Cost: O(keys). */
const struct key *config_keys_find(const struct config_keys *keys, struct ini_str name);

#define CONFIG_BAD_SUMS_MAX 3u

struct config_bad_sum {
	u32 key; /* index in config_vm_keys: whose value is to blame */
	char message[CONFIG_PROBLEM_BYTES];
};

/* Values of @vm that cannot be together. Returns how many there are: CONFIG_BAD_SUMS_MAX fit. */
u32 config_keys_bad_sums(const struct vm_config *vm, struct config_bad_sum *out);

/* A size for messages, as fmt wants it. */
#define CONFIG_AS_MIB(bytes) ((unsigned long long)((bytes) >> 20))

#endif
