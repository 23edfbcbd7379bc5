/*
 * Reading the file: the one loop over its lines. It knows sections, defaults, and where each key
 * was given; which keys there are, and what each may hold, config_keys.c says.
 */
#include "hv/config/config.h"
#include "hv/config/config_keys.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

enum section { IN_NOTHING, IN_HOST, IN_VM, IN_UNKNOWN };

struct parser {
	struct config *out;
	void (*report)(void *context, u32 line, const char *message);
	void *context;
	enum section section;
	struct vm_config *vm;            /* in section IN_VM */
	u32 host_lines[CONFIG_KEYS_MAX]; /* where a key was given, 0: not yet */
	u32 vm_lines[CONFIG_KEYS_MAX];
	u32 shares_per_mib; /* of this VM, where shares were given as a word */
	bool overflow;
};

printf_like(3, 4) static void complain(struct parser *p, u32 line, const char *fmt, ...)
{
	char message[CONFIG_PROBLEM_BYTES];
	va_list args;

	va_start(args, fmt);
	fmt_vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	p->out->problem_count++;
	if (p->section == IN_VM && p->vm->startable) {
		p->vm->startable = false;
		fmt_snprintf(p->vm->problem, sizeof(p->vm->problem), "line %u: %s", line, message);
	}
	if (p->report)
		p->report(p->context, line, message);
}

/* Pieces of the text in messages: "%.*s". Long ones are cut. */
#define PIECE(s) (int)min((s).bytes, (size_t)64), (s).at

static void take_key(struct parser *p, const struct ini_line *line)
{
	bool host = p->section == IN_HOST;
	const struct config_keys *keys = host ? &config_host_keys : &config_vm_keys;
	char *base = host ? (char *)&p->out->host : (char *)p->vm;
	const struct key *key = config_keys_find(keys, line->key);
	u32 *given;

	if (!key) {
		complain(p, line->line, "unknown key '%.*s' in %s; the README lists the keys",
			PIECE(line->key), host ? "[host]" : "[vm]");
		return;
	}
	given = &(host ? p->host_lines : p->vm_lines)[key - keys->keys];
	if (*given) {
		complain(p, line->line, "%s is given twice, first in line %u", key->name, *given);
		return;
	}
	*given = line->line;
	if (!config_value_set(key, line->value, base + key->offset, &p->shares_per_mib))
		complain(p, line->line, "%s = %.*s: allowed is %s", key->name, PIECE(line->value),
			key->allowed);
}

static u32 line_of(const struct parser *p, u32 key)
{
	return p->vm_lines[key] ? p->vm_lines[key] : p->vm->line;
}

static void check_given(struct parser *p, u32 key)
{
	const struct key *k = &config_vm_keys.keys[key];

	if (!p->vm_lines[key])
		complain(p, p->vm->line, "[vm %s] has no %s; say %s = %s", p->vm->name, k->name,
			k->name, k->allowed);
}

/* What follows from what was not stated, and whether the sums are possible. */
static void finish_vm(struct parser *p)
{
	struct vm_config *vm = p->vm;
	struct config_bad_sum bad[CONFIG_BAD_SUMS_MAX];

	check_given(p, CONFIG_KEY_MEMORY);
	check_given(p, CONFIG_KEY_KERNEL);
	if (!p->vm_lines[CONFIG_KEY_LIMIT])
		vm->limit_bytes = vm->memory_bytes;
	if (!p->vm_lines[CONFIG_KEY_STARTUP])
		vm->startup_bytes = vm->memory_bytes;
	vm->reservation_line = p->vm_lines[CONFIG_KEY_RESERVATION];
	vm->reservation_given = vm->reservation_line != 0;
	vm->swap_dir_line = p->vm_lines[CONFIG_KEY_SWAP_DIR];
	if (p->shares_per_mib)
		vm->shares = p->shares_per_mib * (vm->memory_bytes >> 20);
	if (!vm->startable)
		return;
	for (u32 i = 0, count = config_keys_bad_sums(vm, bad); i < count; i++)
		complain(p, line_of(p, bad[i].key), "%s", bad[i].message);
}

static void leave_section(struct parser *p)
{
	if (p->section == IN_VM)
		finish_vm(p);
	p->section = IN_NOTHING;
	p->vm = NULL;
}

static bool name_ok(struct ini_str name)
{
	if (name.bytes == 0 || name.bytes >= CONFIG_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.bytes; i++) {
		char c = name.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

static void start_vm(struct parser *p, const struct ini_line *line)
{
	struct config *out = p->out;
	struct vm_config *vm;
	size_t name_bytes = min(line->name.bytes, (size_t)CONFIG_NAME_BYTES - 1);

	if (out->vm_count == out->vm_capacity) {
		p->overflow = true;
		p->section = IN_UNKNOWN;
		return;
	}
	vm = &out->vms[out->vm_count++];
	*vm = (struct vm_config){
		.line = line->line,
		.startable = true,
		.autostart = true,
		.vcpus = 1,
		.balloon_max = {.pct = 65},
		.share_enable = true,
	};
	memcpy(vm->name, line->name.at, name_bytes);
	p->section = IN_VM;
	p->vm = vm;
	p->shares_per_mib = 10;
	memset(p->vm_lines, 0, sizeof(p->vm_lines));
	if (!name_ok(line->name))
		complain(p, line->line,
			"a VM's name has 1 to 31 letters, digits, '-', '_' and '.': [vm NAME]");
	for (u32 i = 0; i + 1 < out->vm_count; i++) {
		if (strcmp(out->vms[i].name, vm->name) == 0) {
			complain(p, line->line, "there is a [vm %s] already, in line %u", vm->name,
				out->vms[i].line);
			break;
		}
	}
}

static void start_section(struct parser *p, const struct ini_line *line)
{
	leave_section(p);
	if (ini_str_is(line->section, "vm")) {
		start_vm(p, line);
	} else if (ini_str_is(line->section, "host") && line->name.bytes == 0) {
		p->section = IN_HOST;
	} else {
		complain(p, line->line, "unknown section [%.*s]; there are [host] and [vm NAME]",
			PIECE(line->section));
		p->section = IN_UNKNOWN;
	}
}

/* A line that is no INI. If it was meant as a section, what follows belongs to none. */
static void take_bad_line(struct parser *p, const struct ini_line *line)
{
	bool section = line->section.bytes == 0 && p->section != IN_NOTHING;

	if (section)
		leave_section(p);
	complain(p, line->line, "%s", line->problem);
	if (section)
		p->section = IN_UNKNOWN;
}

static void take_line(struct parser *p, const struct ini_line *line)
{
	switch (line->kind) {
	case INI_SECTION:
		start_section(p, line);
		return;
	case INI_BAD:
		take_bad_line(p, line);
		return;
	case INI_KEY:
		if (p->section == IN_HOST || p->section == IN_VM)
			take_key(p, line);
		else if (p->section == IN_NOTHING)
			complain(p, line->line, "'%.*s' stands before any [host] or [vm NAME]",
				PIECE(line->key));
		return;
	case INI_END:
		return;
	}
}

static const struct host_config host_defaults = {
	.guest_output = true,
	.share_scan_time_min = 60,
	.share_scan_mib_s_per_ghz = 4,
	.share_rate_max_pages_s = 1024,
	.share_force_salting = 2,
	.zip_enable = true,
	.zip_max_pct = 10,
	.idle_tax_pct = 75,
	.sample_period_s = 60,
	.balance_period_s = 15,
	.ctl_max_pct = 65,
	.balloon_max_slack_bytes = MIB(16),
	.large_pages = true,
	.states = CONFIG_STATES_SLIDING,
	.victims = CONFIG_VICTIMS_COLD,
};

u32 config_count_vms(const char *text, size_t bytes)
{
	struct ini_reader reader;
	struct ini_line line;
	u32 count = 0;

	ini_start(&reader, text, bytes);
	do {
		line = ini_next(&reader);
		count += line.kind == INI_SECTION && ini_str_is(line.section, "vm");
	} while (line.kind != INI_END);
	return count;
}

err_t config_parse(const char *text, size_t bytes, struct config *out,
	void (*report)(void *context, u32 line, const char *message), void *context)
{
	struct parser p = {.out = out, .report = report, .context = context};
	struct ini_reader reader;
	struct ini_line line;

	out->host = host_defaults;
	out->vm_count = 0;
	out->problem_count = 0;
	ini_start(&reader, text, bytes);
	do {
		line = ini_next(&reader);
		take_line(&p, &line);
	} while (line.kind != INI_END);
	leave_section(&p);
	if (p.overflow)
		return E_NOMEM;
	return out->problem_count ? E_INVAL : 0;
}

void config_check_reservations(struct config *out, u64 host_bytes,
	void (*report)(void *context, u32 line, const char *message), void *context)
{
	struct parser p = {.out = out, .report = report, .context = context};
	u64 left = host_bytes;

	for (u32 i = 0; i < out->vm_count; i++) {
		struct vm_config *vm = &out->vms[i];

		if (!vm->startable)
			continue;
		if (vm->reservation_bytes > host_bytes) {
			p.section = IN_VM;
			p.vm = vm;
			complain(&p, vm->reservation_line,
				"sched.mem.min is %llu MiB; allowed is up to the host's memory of %llu",
				CONFIG_AS_MIB(vm->reservation_bytes), CONFIG_AS_MIB(host_bytes));
		} else if (vm->autostart && vm->reservation_bytes > left) {
			p.section = IN_NOTHING;
			complain(&p, vm->reservation_line,
				"sched.mem.min is %llu MiB, and the VMs before leave %llu of the host's %llu",
				CONFIG_AS_MIB(vm->reservation_bytes), CONFIG_AS_MIB(left),
				CONFIG_AS_MIB(host_bytes));
			return;
		} else if (vm->autostart) {
			left -= vm->reservation_bytes;
		}
	}
}
