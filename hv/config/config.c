/*
 * The table of keys, and the one loop that reads it. A key knows its section, its kind, its range,
 * and the words that tell an administrator what is allowed; so a new key is a new line here.
 */
#include "hv/config/config.h"
#include "hv/config/config_value.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"
#include "mm/space/space.h"

#define HOST(field) offsetof(struct host_config, field)
#define VM(field)   offsetof(struct vm_config, field)
#define YES_NO      "yes or no"
#define A_SIZE      "a size such as 256M or 2G (a bare number is MiB)"
#define A_PATH      "a path of at most 127 characters"

static const struct key host_keys[] = {
	{"autostop", KIND_BOOL, HOST(autostop), 0, 0, YES_NO, {0}},
	{"guest.output", KIND_BOOL, HOST(guest_output), 0, 0, YES_NO, {0}},
	{"states", KIND_WORD, HOST(states), 0, 0, "sliding or fixed", {"sliding", "fixed"}},
	{"Mem.ShareScanTime", KIND_NUMBER, HOST(share_scan_time_min), 1, 600,
		"minutes, from 1 to 600", {0}},
	{"Mem.ShareScanGHz", KIND_NUMBER, HOST(share_scan_mib_s_per_ghz), 0, 32,
		"MB/s per GHz, from 0 (no sharing) to 32", {0}},
	{"Mem.ShareRateMax", KIND_NUMBER, HOST(share_rate_max_pages_s), 0, 1048576,
		"pages per second, from 0 to 1048576", {0}},
	{"Mem.ShareForceSalting", KIND_NUMBER, HOST(share_force_salting), 0, 2,
		"0 (all share), 1 (by salt if given) or 2 (by salt, else the VM alone)", {0}},
	{"Mem.MemZipEnable", KIND_BOOL, HOST(zip_enable), 0, 0, YES_NO, {0}},
	{"Mem.MemZipMaxPct", KIND_PERCENT, HOST(zip_max_pct), 5, 100, "percent, from 5 to 100",
		{0}},
	{"Mem.IdleTax", KIND_PERCENT, HOST(idle_tax_pct), 0, 99, "percent, from 0 to 99", {0}},
	{"Mem.SamplePeriod", KIND_NUMBER, HOST(sample_period_s), 1, 180, "seconds, from 1 to 180",
		{0}},
	{"Mem.BalancePeriod", KIND_NUMBER, HOST(balance_period_s), 1, 120, "seconds, from 1 to 120",
		{0}},
	{"Mem.CtlMaxPercent", KIND_PERCENT, HOST(ctl_max_pct), 0, 75, "percent, from 0 to 75", {0}},
	{"Mem.AppBalloonMaxSlack", KIND_SIZE, HOST(balloon_max_slack_bytes), MIB(1), MIB(256),
		A_SIZE ", from 1 to 256 MiB", {0}},
	{"Mem.MemMinFreePct", KIND_PERCENT, HOST(min_free_pct), 0, 20,
		"percent, from 0 (sliding scale) to 20", {0}},
	{"Mem.BalloonInflateRate", KIND_NUMBER, HOST(balloon_inflate_pages_s), 1, 16777216,
		"pages per second, from 1 to 16777216", {0}},
	{"Mem.BalloonDeflateRate", KIND_NUMBER, HOST(balloon_deflate_pages_s), 1, 16777216,
		"pages per second, from 1 to 16777216", {0}},
	{"Mem.AllocGuestLargePage", KIND_BOOL, HOST(large_pages), 0, 0, YES_NO, {0}},
	{"Mem.VictimPolicy", KIND_WORD, HOST(victims), 0, 0, "cold or random", {"cold", "random"}},
};

/* Indexes of keys whose values are held against each other. */
enum {
	VM_MEMORY,
	VM_VCPUS,
	VM_KERNEL,
	VM_RESERVATION,
	VM_LIMIT,
	VM_STARTUP,
	VM_MIN,
	VM_SHARES,
	VM_SWAP_DIR
};

static const struct key vm_keys[] = {
	[VM_MEMORY] = {"memory", KIND_SIZE, VM(memory_bytes), CONFIG_VM_MEMORY_MIN,
		SPACE_MEMORY_MAX, A_SIZE ", at least 8 MiB", {0}},
	[VM_VCPUS] = {"vcpus", KIND_NUMBER, VM(vcpus), 1, CONFIG_VCPUS_MAX, "a number from 1 to 64",
		{0}},
	[VM_KERNEL] = {"kernel", KIND_TEXT, VM(kernel), 1, CONFIG_PATH_BYTES, A_PATH, {0}},
	[VM_RESERVATION] = {"sched.mem.min", KIND_SIZE, VM(reservation_bytes), 0, SPACE_MEMORY_MAX,
		A_SIZE ", from 0 to the VM's memory", {0}},
	[VM_LIMIT] = {"sched.mem.max", KIND_SIZE, VM(limit_bytes), 0, SPACE_MEMORY_MAX,
		A_SIZE ", from sched.mem.min to the VM's memory", {0}},
	[VM_STARTUP] = {"memory.startup", KIND_SIZE, VM(startup_bytes), CONFIG_VM_MEMORY_MIN,
		SPACE_MEMORY_MAX, A_SIZE ", from memory.min to the VM's memory", {0}},
	[VM_MIN] = {"memory.min", KIND_SIZE, VM(min_bytes), CONFIG_VM_MEMORY_MIN, SPACE_MEMORY_MAX,
		A_SIZE ", from 8 MiB to memory.startup", {0}},
	[VM_SHARES] = {"sched.mem.shares", KIND_SHARES, VM(shares), 1, 1000000000,
		"low, normal, high, or a number from 1 to 1000000000", {0}},
	[VM_SWAP_DIR] = {"sched.swap.dir", KIND_TEXT, VM(swap_dir), 0, CONFIG_PATH_BYTES,
		"a swap volume's name, at most 127 characters", {0}},
	{"initrd", KIND_TEXT, VM(initrd), 0, CONFIG_PATH_BYTES, A_PATH, {0}},
	{"modules", KIND_TEXT, VM(modules), 0, CONFIG_MODULES_BYTES,
		"PATH [WORDS], PATH [WORDS] ...; at most 1023 characters", {0}},
	{"cmdline", KIND_TEXT, VM(cmdline), 0, CONFIG_CMDLINE_BYTES, "at most 2047 characters",
		{0}},
	{"disk", KIND_TEXT, VM(disk), 0, CONFIG_PATH_BYTES,
		"a partition's GPT name or unique GUID, at most 127 characters", {0}},
	{"autostart", KIND_BOOL, VM(autostart), 0, 0, YES_NO, {0}},
	{"debug.hypercalls", KIND_BOOL, VM(debug_hypercalls), 0, 0, YES_NO, {0}},
	{"debug.hide", KIND_NUMBER, VM(debug_hide_every), 0, 1000000000,
		"exits, from 0 (never) to 1000000000", {0}},
	{"debug.reclaim", KIND_NUMBER, VM(debug_reclaim_every), 0, 1000000000,
		"exits, from 0 (never) to 1000000000", {0}},
	{"sched.mem.maxmemctl", KIND_AMOUNT, VM(balloon_max), 0, SPACE_MEMORY_MAX,
		"a percentage from 0% to 100%, or " A_SIZE, {0}},
	{"sched.mem.pshare.enable", KIND_BOOL, VM(share_enable), 0, 0, YES_NO, {0}},
	{"sched.mem.pshare.salt", KIND_TEXT, VM(share_salt), 0, CONFIG_NAME_BYTES,
		"a word of at most 31 characters", {0}},
};

enum section { IN_NOTHING, IN_HOST, IN_VM, IN_UNKNOWN };

#define KEYS_MAX 32u
_Static_assert(
	ARRAY_COUNT(host_keys) <= KEYS_MAX && ARRAY_COUNT(vm_keys) <= KEYS_MAX, "line tables");

struct parser {
	struct config *out;
	void (*report)(void *context, u32 line, const char *message);
	void *context;
	enum section section;
	struct vm_config *vm;     /* in section IN_VM */
	u32 host_lines[KEYS_MAX]; /* where a key was given, 0: not yet */
	u32 vm_lines[KEYS_MAX];
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
	const struct key *keys = host ? host_keys : vm_keys;
	u32 count = host ? ARRAY_COUNT(host_keys) : ARRAY_COUNT(vm_keys);
	u32 *lines = host ? p->host_lines : p->vm_lines;
	char *base = host ? (char *)&p->out->host : (char *)p->vm;

	for (u32 i = 0; i < count; i++) {
		if (!ini_str_is(line->key, keys[i].name))
			continue;
		if (lines[i]) {
			complain(p, line->line, "%s is given twice, first in line %u", keys[i].name,
				lines[i]);
			return;
		}
		lines[i] = line->line;
		if (!config_value_set(
			    &keys[i], line->value, base + keys[i].offset, &p->shares_per_mib))
			complain(p, line->line, "%s = %.*s: allowed is %s", keys[i].name,
				PIECE(line->value), keys[i].allowed);
		return;
	}
	complain(p, line->line, "unknown key '%.*s' in %s; the README lists the keys",
		PIECE(line->key), host ? "[host]" : "[vm]");
}

static u32 line_of(const struct parser *p, u32 key)
{
	return p->vm_lines[key] ? p->vm_lines[key] : p->vm->line;
}

#define AS_MIB(bytes) ((unsigned long long)((bytes) >> 20))

#define SUMS_MAX 3u

struct bad_sum {
	u32 key; /* of vm_keys: whose value is to blame */
	char message[CONFIG_PROBLEM_BYTES];
};

printf_like(3, 4) static void bad_sum(struct bad_sum *out, u32 key, const char *fmt, ...)
{
	va_list args;

	out->key = key;
	va_start(args, fmt);
	fmt_vsnprintf(out->message, sizeof(out->message), fmt, args);
	va_end(args);
}

/* Values of a VM that cannot be together. Returns how many there are, SUMS_MAX at most. */
static u32 find_bad_sums(const struct vm_config *vm, struct bad_sum *out)
{
	u32 count = 0;

	if (vm->reservation_bytes > vm->memory_bytes)
		bad_sum(&out[count++], VM_RESERVATION,
			"sched.mem.min is %llu MiB, more than the VM's memory of %llu MiB",
			AS_MIB(vm->reservation_bytes), AS_MIB(vm->memory_bytes));
	else if (vm->limit_bytes < vm->reservation_bytes || vm->limit_bytes > vm->memory_bytes)
		bad_sum(&out[count++], VM_LIMIT,
			"sched.mem.max is %llu MiB; allowed is from sched.mem.min (%llu) to memory (%llu)",
			AS_MIB(vm->limit_bytes), AS_MIB(vm->reservation_bytes),
			AS_MIB(vm->memory_bytes));
	if (vm->startup_bytes > vm->memory_bytes)
		bad_sum(&out[count++], VM_STARTUP,
			"memory.startup is %llu MiB, more than the VM's memory of %llu MiB",
			AS_MIB(vm->startup_bytes), AS_MIB(vm->memory_bytes));
	else if (vm->startup_bytes < min(vm->reservation_bytes, vm->memory_bytes))
		bad_sum(&out[count++], VM_STARTUP,
			"memory.startup is %llu MiB, less than sched.mem.min of %llu MiB",
			AS_MIB(vm->startup_bytes), AS_MIB(vm->reservation_bytes));
	if (vm->min_bytes > vm->startup_bytes)
		bad_sum(&out[count++], VM_MIN,
			"memory.min is %llu MiB, more than memory.startup of %llu MiB",
			AS_MIB(vm->min_bytes), AS_MIB(vm->startup_bytes));
	return count;
}

/* What follows from what was not stated, and whether the sums are possible. */
static void finish_vm(struct parser *p)
{
	struct vm_config *vm = p->vm;
	struct bad_sum bad[SUMS_MAX];

	if (!p->vm_lines[VM_MEMORY])
		complain(p, vm->line, "[vm %s] has no memory; say memory = " A_SIZE, vm->name);
	if (!p->vm_lines[VM_KERNEL])
		complain(p, vm->line, "[vm %s] has no kernel; say kernel = " A_PATH, vm->name);
	if (!p->vm_lines[VM_LIMIT])
		vm->limit_bytes = vm->memory_bytes;
	if (!p->vm_lines[VM_STARTUP])
		vm->startup_bytes = vm->memory_bytes;
	vm->reservation_line = p->vm_lines[VM_RESERVATION];
	vm->reservation_given = vm->reservation_line != 0;
	vm->swap_dir_line = p->vm_lines[VM_SWAP_DIR];
	if (p->shares_per_mib)
		vm->shares = p->shares_per_mib * (vm->memory_bytes >> 20);
	if (!vm->startable)
		return;
	for (u32 i = 0, count = find_bad_sums(vm, bad); i < count; i++)
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
				AS_MIB(vm->reservation_bytes), AS_MIB(host_bytes));
		} else if (vm->autostart && vm->reservation_bytes > left) {
			p.section = IN_NOTHING;
			complain(&p, vm->reservation_line,
				"sched.mem.min is %llu MiB, and the VMs before leave %llu of the host's %llu",
				AS_MIB(vm->reservation_bytes), AS_MIB(left), AS_MIB(host_bytes));
			return;
		} else if (vm->autostart) {
			left -= vm->reservation_bytes;
		}
	}
}

/* --- At run time ----------------------------------------------------------------------------- */

static const struct key *find_key(const struct key *keys, u32 count, const char *name)
{
	for (u32 i = 0; i < count; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

static const struct key *find_host_key(const char *name)
{
	return find_key(host_keys, ARRAY_COUNT(host_keys), name);
}

static const struct key *find_vm_key(const char *name)
{
	return find_key(vm_keys, ARRAY_COUNT(vm_keys), name);
}

static bool change(const struct key *key, void *base, const char *value, u32 *shares_per_mib,
	char *why, size_t why_bytes)
{
	struct ini_str s = {value, strlen(value)};

	if (config_value_set(key, s, (char *)base + key->offset, shares_per_mib))
		return true;
	fmt_snprintf(why, why_bytes, "%s = %.*s: allowed is %s", key->name, PIECE(s), key->allowed);
	return false;
}

bool config_change_host(
	struct host_config *host, const char *key, const char *value, char *why, size_t why_bytes)
{
	u32 shares_per_mib;

	return change(find_host_key(key), host, value, &shares_per_mib, why, why_bytes);
}

bool config_change_vm(
	struct vm_config *vm, const char *name, const char *value, char *why, size_t why_bytes)
{
	const struct key *key = find_vm_key(name);
	struct bad_sum bad[SUMS_MAX];
	u32 shares_per_mib = 0;

	if (!change(key, vm, value, &shares_per_mib, why, why_bytes))
		return false;
	if (shares_per_mib)
		vm->shares = shares_per_mib * (vm->memory_bytes >> 20);
	if (key == &vm_keys[VM_RESERVATION])
		vm->reservation_given = true;
	if (find_bad_sums(vm, bad) == 0)
		return true;
	fmt_snprintf(why, why_bytes, "%s", bad[0].message);
	return false;
}

static void print(const struct key *key, const void *base, char *text, size_t bytes)
{
	config_value_print(key, (const char *)base + key->offset, text, bytes);
}

void config_print_host(const struct host_config *host, const char *key, char *text, size_t bytes)
{
	print(find_host_key(key), host, text, bytes);
}

void config_print_vm(const struct vm_config *vm, const char *key, char *text, size_t bytes)
{
	print(find_vm_key(key), vm, text, bytes);
}
