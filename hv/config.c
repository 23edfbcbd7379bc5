/*
 * The table of keys, and the one loop that reads it. A key knows its section, its kind, its range,
 * and the words that tell an administrator what is allowed; so a new key is a new line here.
 */
#include "hv/config.h"
#include "mm/base/fmt.h"
#include "mm/base/ini.h"
#include "mm/base/str.h"
#include "mm/space.h"

enum kind {
	KIND_BOOL,
	KIND_NUMBER,
	KIND_PERCENT,
	KIND_SIZE,
	KIND_TEXT,
	KIND_AMOUNT,
	KIND_SHARES,
	KIND_WORD
};

struct key {
	const char *name;
	enum kind kind;
	u32 offset;      /* in struct host_config or struct vm_config */
	u64 least, most; /* KIND_TEXT: most = bytes of the field */
	const char *allowed;
	const char *words[2]; /* KIND_WORD: for 0 and 1 */
};

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

static bool parse_percent(struct ini_str s, u64 *out)
{
	if (s.bytes > 0 && s.at[s.bytes - 1] == '%')
		s.bytes--;
	return ini_parse_u64(s, out) == 0;
}

static bool in_range(const struct key *key, u64 value)
{
	return value >= key->least && value <= key->most;
}

static bool set_text(const struct key *key, struct ini_str s, char *to)
{
	if (s.bytes < key->least || s.bytes >= key->most)
		return false;
	memcpy(to, s.at, s.bytes);
	to[s.bytes] = '\0';
	return true;
}

static bool set_amount(const struct key *key, struct ini_str s, struct config_amount *to)
{
	u64 value;

	if (s.bytes > 0 && s.at[s.bytes - 1] == '%') {
		if (!parse_percent(s, &value) || value > 100)
			return false;
		/* 0% is no bytes, whatever the memory. */
		*to = (struct config_amount){.pct = (u32)value};
		return true;
	}
	if (ini_parse_bytes(s, &value) != 0 || !in_range(key, value))
		return false;
	*to = (struct config_amount){.bytes = value};
	return true;
}

static bool set_shares(struct parser *p, const struct key *key, struct ini_str s, u64 *to)
{
	static const struct {
		const char *word;
		u32 per_mib;
	} levels[] = {{"low", 5}, {"normal", 10}, {"high", 20}};

	for (u32 i = 0; i < ARRAY_COUNT(levels); i++) {
		if (ini_str_is(s, levels[i].word)) {
			p->shares_per_mib = levels[i].per_mib;
			return true;
		}
	}
	p->shares_per_mib = 0;
	return ini_parse_u64(s, to) == 0 && in_range(key, *to);
}

static bool set_word(const struct key *key, struct ini_str s, u32 *to)
{
	for (u32 i = 0; i < ARRAY_COUNT(key->words); i++) {
		if (ini_str_is(s, key->words[i])) {
			*to = i;
			return true;
		}
	}
	return false;
}

static bool set_number(const struct key *key, u64 value, u32 *to)
{
	if (!in_range(key, value))
		return false;
	*to = (u32)value;
	return true;
}

/* Parse @s into the field; false if it is not what the key allows. The field is then as it was. */
static bool set_value(struct parser *p, const struct key *key, struct ini_str s, void *to)
{
	bool flag;
	u64 value;

	switch (key->kind) {
	case KIND_BOOL:
		if (ini_parse_bool(s, &flag) != 0)
			return false;
		*(bool *)to = flag;
		return true;
	case KIND_NUMBER:
		return ini_parse_u64(s, &value) == 0 && set_number(key, value, to);
	case KIND_PERCENT:
		return parse_percent(s, &value) && set_number(key, value, to);
	case KIND_SIZE:
		if (ini_parse_bytes(s, &value) != 0 || !in_range(key, value) ||
			!IS_ALIGNED(value, PAGE_BYTES))
			return false;
		*(u64 *)to = value;
		return true;
	case KIND_TEXT:
		return set_text(key, s, to);
	case KIND_AMOUNT:
		return set_amount(key, s, to);
	case KIND_SHARES:
		return set_shares(p, key, s, to);
	case KIND_WORD:
		return set_word(key, s, to);
	}
	return false;
}

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
		if (!set_value(p, &keys[i], line->value, base + keys[i].offset))
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

/* What follows from what was not stated, and whether the sums are possible. */
static void finish_vm(struct parser *p)
{
	struct vm_config *vm = p->vm;

	if (!p->vm_lines[VM_MEMORY])
		complain(p, vm->line, "[vm %s] has no memory; say memory = " A_SIZE, vm->name);
	if (!p->vm_lines[VM_KERNEL])
		complain(p, vm->line, "[vm %s] has no kernel; say kernel = " A_PATH, vm->name);
	if (!p->vm_lines[VM_LIMIT])
		vm->limit_bytes = vm->memory_bytes;
	if (!p->vm_lines[VM_STARTUP])
		vm->startup_bytes = vm->memory_bytes;
	if (!p->vm_lines[VM_MIN])
		vm->min_bytes = vm->startup_bytes;
	vm->reservation_given = p->vm_lines[VM_RESERVATION] != 0;
	vm->swap_dir_line = p->vm_lines[VM_SWAP_DIR];
	if (p->shares_per_mib)
		vm->shares = p->shares_per_mib * (vm->memory_bytes >> 20);
	if (!vm->startable)
		return;
	if (vm->reservation_bytes > vm->memory_bytes)
		complain(p, line_of(p, VM_RESERVATION),
			"sched.mem.min is %llu MiB, more than the VM's memory of %llu MiB",
			AS_MIB(vm->reservation_bytes), AS_MIB(vm->memory_bytes));
	else if (vm->limit_bytes < vm->reservation_bytes || vm->limit_bytes > vm->memory_bytes)
		complain(p, line_of(p, VM_LIMIT),
			"sched.mem.max is %llu MiB; allowed is from sched.mem.min (%llu) to memory (%llu)",
			AS_MIB(vm->limit_bytes), AS_MIB(vm->reservation_bytes),
			AS_MIB(vm->memory_bytes));
	if (vm->startup_bytes > vm->memory_bytes)
		complain(p, line_of(p, VM_STARTUP),
			"memory.startup is %llu MiB, more than the VM's memory of %llu MiB",
			AS_MIB(vm->startup_bytes), AS_MIB(vm->memory_bytes));
	if (vm->min_bytes > vm->startup_bytes)
		complain(p, line_of(p, VM_MIN),
			"memory.min is %llu MiB, more than memory.startup of %llu MiB",
			AS_MIB(vm->min_bytes), AS_MIB(vm->startup_bytes));
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
