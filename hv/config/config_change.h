/*
 * Values of the configuration at run time: changed one by one, and told, in the words that the file
 * has for them. Which keys can be changed, and what makes a new value work, is settings.c's to say.
 * Pure.
 */
#ifndef HV_CONFIG_CONFIG_CHANGE_H
#define HV_CONFIG_CONFIG_CHANGE_H

#include "hv/config/config.h"

/*
 * Change one value at run time, of a key that exists. Returns false with @why said where the value
 * is not what the key allows, or not together with the others: the caller then puts *@host or *@vm
 * back as it was.
 */
must_check bool config_change_host(
	struct host_config *host, const char *key, const char *value, char *why, size_t why_bytes);
must_check bool config_change_vm(
	struct vm_config *vm, const char *key, const char *value, char *why, size_t why_bytes);

/* The value in words that could stand in the file; of a key that exists. */
void config_change_print_host(
	const struct host_config *host, const char *key, char *text, size_t bytes);
void config_change_print_vm(const struct vm_config *vm, const char *key, char *text, size_t bytes);

#endif
