/*
 * The two tables, of [host] and of [vm NAME], the look-up, and the rules that hold values of a VM
 * against each other.
 */
#include "hv/config/config_keys.h"
#include "mm/base/fmt.h"
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

static const struct key vm_keys[] = {
	[CONFIG_KEY_MEMORY] = {"memory", KIND_SIZE, VM(memory_bytes), CONFIG_VM_MEMORY_MIN,
		SPACE_MEMORY_MAX, A_SIZE ", at least 8 MiB", {0}},
	[CONFIG_KEY_KERNEL] = {"kernel", KIND_TEXT, VM(kernel), 1, CONFIG_PATH_BYTES, A_PATH, {0}},
	[CONFIG_KEY_RESERVATION] = {"sched.mem.min", KIND_SIZE, VM(reservation_bytes), 0,
		SPACE_MEMORY_MAX, A_SIZE ", from 0 to the VM's memory", {0}},
	[CONFIG_KEY_LIMIT] = {"sched.mem.max", KIND_SIZE, VM(limit_bytes), 0, SPACE_MEMORY_MAX,
		A_SIZE ", from sched.mem.min to the VM's memory", {0}},
	[CONFIG_KEY_STARTUP] = {"memory.startup", KIND_SIZE, VM(startup_bytes),
		CONFIG_VM_MEMORY_MIN, SPACE_MEMORY_MAX,
		A_SIZE ", from memory.min to the VM's memory", {0}},
	[CONFIG_KEY_MIN] = {"memory.min", KIND_SIZE, VM(min_bytes), CONFIG_VM_MEMORY_MIN,
		SPACE_MEMORY_MAX, A_SIZE ", from 8 MiB to memory.startup", {0}},
	[CONFIG_KEY_SWAP_DIR] = {"sched.swap.dir", KIND_TEXT, VM(swap_dir), 0, CONFIG_PATH_BYTES,
		"a swap volume's name, at most 127 characters", {0}},
	{"vcpus", KIND_NUMBER, VM(vcpus), 1, CONFIG_VCPUS_MAX, "a number from 1 to 64", {0}},
	{"sched.mem.shares", KIND_SHARES, VM(shares), 1, 1000000000,
		"low, normal, high, or a number from 1 to 1000000000", {0}},
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

_Static_assert(ARRAY_COUNT(host_keys) <= CONFIG_KEYS_MAX && ARRAY_COUNT(vm_keys) <= CONFIG_KEYS_MAX,
	"line tables");

const struct config_keys config_host_keys = {host_keys, ARRAY_COUNT(host_keys)};
const struct config_keys config_vm_keys = {vm_keys, ARRAY_COUNT(vm_keys)};

const struct key *config_keys_find(const struct config_keys *keys, struct ini_str name)
{
	for (u32 i = 0; i < keys->count; i++) {
		if (ini_str_is(name, keys->keys[i].name))
			return &keys->keys[i];
	}
	return NULL;
}

printf_like(3, 4) static void bad_sum(struct config_bad_sum *out, u32 key, const char *fmt, ...)
{
	va_list args;

	out->key = key;
	va_start(args, fmt);
	fmt_vsnprintf(out->message, sizeof(out->message), fmt, args);
	va_end(args);
}

u32 config_keys_bad_sums(const struct vm_config *vm, struct config_bad_sum *out)
{
	u32 count = 0;

	if (vm->reservation_bytes > vm->memory_bytes)
		bad_sum(&out[count++], CONFIG_KEY_RESERVATION,
			"sched.mem.min is %llu MiB, more than the VM's memory of %llu MiB",
			CONFIG_AS_MIB(vm->reservation_bytes), CONFIG_AS_MIB(vm->memory_bytes));
	else if (vm->limit_bytes < vm->reservation_bytes || vm->limit_bytes > vm->memory_bytes)
		bad_sum(&out[count++], CONFIG_KEY_LIMIT,
			"sched.mem.max is %llu MiB; allowed is from sched.mem.min (%llu) to memory (%llu)",
			CONFIG_AS_MIB(vm->limit_bytes), CONFIG_AS_MIB(vm->reservation_bytes),
			CONFIG_AS_MIB(vm->memory_bytes));
	if (vm->startup_bytes > vm->memory_bytes)
		bad_sum(&out[count++], CONFIG_KEY_STARTUP,
			"memory.startup is %llu MiB, more than the VM's memory of %llu MiB",
			CONFIG_AS_MIB(vm->startup_bytes), CONFIG_AS_MIB(vm->memory_bytes));
	else if (vm->startup_bytes < min(vm->reservation_bytes, vm->memory_bytes))
		bad_sum(&out[count++], CONFIG_KEY_STARTUP,
			"memory.startup is %llu MiB, less than sched.mem.min of %llu MiB",
			CONFIG_AS_MIB(vm->startup_bytes), CONFIG_AS_MIB(vm->reservation_bytes));
	if (vm->min_bytes > vm->startup_bytes)
		bad_sum(&out[count++], CONFIG_KEY_MIN,
			"memory.min is %llu MiB, more than memory.startup of %llu MiB",
			CONFIG_AS_MIB(vm->min_bytes), CONFIG_AS_MIB(vm->startup_bytes));
	return count;
}
