/*
 * Which keys of the configuration can be changed at run time, and what makes a new value work.
 *
 * What a key may hold is config_keys.c's to say, here as in the file. Whoever reads a value each
 * time it is needed gets the new one by itself; anybody else has a function in the table, which may
 * refuse: then the old value stands again, and nothing has happened. A change lasts until the host
 * is switched off; a VM that is off is started with it. Boot CPU only, like all commands.
 */
#include "hv/config/settings.h"
#include "hv/config/config_change.h"
#include "hv/console/console.h"
#include "hv/memory/memsched_set.h"
#include "hv/sched/sched.h"
#include "hv/memory/share.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

struct setting {
	const char *key; /* of config_keys.c; NULL: the table's end */
	/*
	 * The value has just been changed: make it work. @vm: whose it is, on or off; NULL: the
	 * host's. Any error, with @why said, and the old value is put back. NULL: nothing to do.
	 */
	err_t (*apply)(struct vm *vm, char *why, size_t why_bytes);
};

static const struct setting host_settings[] = {
	{"Mem.ShareForceSalting", share_salts_changed},
	{"Mem.ShareScanTime", NULL},
	{"Mem.ShareScanGHz", NULL},
	{"Mem.ShareRateMax", NULL},
	{"Mem.IdleTax", memsched_set_any},
	{"Mem.SamplePeriod", NULL},
	{"Mem.BalancePeriod", memsched_set_any},
	{"Mem.MemMinFreePct", memsched_set_states},
	{"states", memsched_set_states},
	{0},
};

static const struct setting vm_settings[] = {
	{"sched.mem.min", memsched_set_reservation},
	{"sched.mem.max", memsched_set_any},
	{"sched.mem.shares", memsched_set_any},
	{"sched.mem.pshare.enable", share_salts_changed},
	{"sched.mem.pshare.salt", share_salts_changed},
	{0},
};

/* --- Showing --------------------------------------------------------------------------------- */

static void print_value(const char *name, const char *key, const char *value)
{
	console_printf("%-16s %s = %s\n", name, key, value[0] ? value : "\"\"");
}

static void show_host(void)
{
	char value[CONFIG_PROBLEM_BYTES];

	for (const struct setting *s = host_settings; s->key; s++) {
		config_change_print_host(&sched_config()->host, s->key, value, sizeof(value));
		print_value("host", s->key, value);
	}
}

static void show_vm(const struct vm *vm)
{
	char value[CONFIG_PROBLEM_BYTES];

	for (const struct setting *s = vm_settings; s->key; s++) {
		config_change_print_vm(vm->config, s->key, value, sizeof(value));
		print_value(vm_name(vm), s->key, value);
	}
}

static void show_all(void)
{
	const struct vm *vm;

	show_host();
	list_for_each_entry (vm, sched_vms(), all)
		show_vm(vm);
}

/* --- Changing -------------------------------------------------------------------------------- */

/* NULL: said why. */
static const struct setting *find(const struct setting *settings, const char *key)
{
	for (const struct setting *s = settings; s->key; s++) {
		if (strcmp(s->key, key) == 0)
			return s;
	}
	console_printf("%s cannot be set %s; set alone lists what can\n", key,
		settings == host_settings ? "for the host" : "for a VM");
	return NULL;
}

/* Two quotes stand for no text at all, which could not be typed otherwise. */
static const char *unquoted(const char *word)
{
	return strcmp(word, "\"\"") == 0 ? "" : word;
}

static void said(const char *name, const char *key, bool done, const char *value, const char *why)
{
	if (done)
		log_info("%s: %s = %s, by command", name, key, value[0] ? value : "\"\"");
	else
		console_printf("%s: not changed: %s\n", name, why);
}

static void set_host(const char *key, const char *word)
{
	struct host_config *host = &sched_config_to_change()->host, before = *host;
	const struct setting *s = find(host_settings, key);
	const char *value = unquoted(word);
	char why[CONFIG_PROBLEM_BYTES];
	bool done;

	if (!s)
		return;
	done = config_change_host(host, key, value, why, sizeof(why)) &&
	       (!s->apply || s->apply(NULL, why, sizeof(why)) == 0);
	if (!done)
		*host = before;
	said("host", key, done, value, why);
}

static struct vm_config *config_of(const struct vm *vm)
{
	struct config *config = sched_config_to_change();

	return &config->vms[vm->config - config->vms];
}

static void set_vm(struct vm *vm, const char *key, const char *word)
{
	static struct vm_config before; /* too large for the stack */
	const struct setting *s = find(vm_settings, key);
	const char *value = unquoted(word);
	struct vm_config *config = config_of(vm);
	char why[CONFIG_PROBLEM_BYTES];
	bool done;

	if (!s)
		return;
	before = *config;
	done = config_change_vm(config, key, value, why, sizeof(why)) &&
	       (!s->apply || s->apply(vm, why, sizeof(why)) == 0);
	if (!done)
		*config = before;
	said(vm_name(vm), key, done, value, why);
}

void command_set(u32 count, char **words)
{
	struct vm *vm = count == 2 || count == 4 ? sched_find_vm(words[1]) : NULL;

	if (count == 1)
		show_all();
	else if (count == 3)
		set_host(words[1], words[2]);
	else if (!vm)
		console_printf("no VM is called \"%s\"; try vms\n", words[1]);
	else if (count == 2)
		show_vm(vm);
	else
		set_vm(vm, words[2], words[3]);
}
