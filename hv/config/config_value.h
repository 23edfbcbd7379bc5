/*
 * What a key of the configuration is, and its value in words: read into a field, and written as one
 * would write it in the file. Pure. The keys stand in config_keys.c.
 */
#ifndef HV_CONFIG_CONFIG_VALUE_H
#define HV_CONFIG_CONFIG_VALUE_H

#include "mm/base/types.h"
#include "mm/base/ini.h"

enum kind {
	KIND_BOOL,    /* bool */
	KIND_NUMBER,  /* u32 */
	KIND_PERCENT, /* u32 */
	KIND_SIZE,    /* u64, bytes, whole pages */
	KIND_TEXT,    /* char[], with the NUL */
	KIND_AMOUNT,  /* struct config_amount */
	KIND_SHARES,  /* u64 */
	KIND_WORD     /* enum, as u32 */
};

struct key {
	const char *name;
	enum kind kind;
	u32 offset;      /* in struct host_config or struct vm_config */
	u64 least, most; /* KIND_TEXT: most = bytes of the field */
	const char *allowed;
	const char *words[2]; /* KIND_WORD: for 0 and 1 */
};

/*
 * Parse @s into the field @to. @shares_per_mib: for KIND_SHARES, what a word says is worth for each
 * MiB of the VM's memory, or 0: the field holds the number. Returns false if it is not what the key
 * allows; the field is then as it was.
 */
bool config_value_set(const struct key *key, struct ini_str s, void *to, u32 *shares_per_mib);

/* The field @from in words that config_value_set() reads again; shares as a number. */
void config_value_print(const struct key *key, const void *from, char *text, size_t bytes);

#endif
