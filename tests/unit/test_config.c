/* SRCS: hv/config/config.c hv/config/config_keys.c hv/config/config_change.c
 * hv/config/config_value.c mm/base/ini.c mm/base/fmt.c */
/*
 * bellows.conf: what a good one says, and for each kind of mistake the line, the words, and which
 * VM it stops. The example configuration is read too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/config/config_change.h"

static struct vm_config vms[4];
static struct config config;
static char reports[4096]; /* "LINE: message\n" each */

static void report(void *context, u32 line, const char *message)
{
	size_t used = strlen(reports);

	assert_ptr_equal(context, &config);
	snprintf(reports + used, sizeof(reports) - used, "%u: %s\n", line, message);
}

static err_t parse(const char *text)
{
	/* In a buffer of exactly its size, so that the sanitizer sees a read beyond it. */
	size_t bytes = strlen(text);
	char *copy = malloc(bytes ? bytes : 1);
	err_t err;

	memcpy(copy, text, bytes);
	memset(reports, 0, sizeof(reports));
	config = (struct config){.vms = vms, .vm_capacity = 4};
	err = config_parse(copy, bytes, &config, report, &config);
	free(copy);
	return err;
}

#define REPORTED(text) assert_non_null(strstr(reports, text))

#define VM1 "[vm a]\nmemory = 256M\nkernel = \\k\n"

static void defaults_are_those_of_the_design_page(void **state)
{
	(void)state;
	assert_int_equal(parse(VM1), 0);
	assert_int_equal(config.vm_count, 1);
	assert_string_equal(vms[0].name, "a");
	assert_true(vms[0].startable && vms[0].autostart && vms[0].share_enable);
	assert_int_equal(vms[0].vcpus, 1);
	assert_int_equal(vms[0].memory_bytes, MIB(256));
	assert_int_equal(vms[0].limit_bytes, MIB(256));
	assert_int_equal(vms[0].startup_bytes, MIB(256));
	assert_int_equal(vms[0].min_bytes, 0);
	assert_int_equal(vms[0].reservation_bytes, 0);
	assert_false(vms[0].reservation_given);
	assert_int_equal(vms[0].shares, 2560);
	assert_int_equal(vms[0].balloon_max.pct, 65);
	assert_string_equal(vms[0].initrd, "");
	assert_false(config.host.autostop);
	assert_int_equal(config.host.share_scan_time_min, 60);
	assert_int_equal(config.host.idle_tax_pct, 75);
	assert_int_equal(config.host.min_free_pct, 0);
	assert_true(config.host.large_pages);
}

static void every_key_is_read(void **state)
{
	(void)state;
	assert_int_equal(
		parse("[host]\nautostop = yes\nstates = fixed\nMem.ShareScanTime = 10\n"
		      "Mem.ShareScanGHz = 8\nMem.ShareRateMax = 2048\nMem.ShareForceSalting = 0\n"
		      "Mem.MemZipEnable = 0\nMem.MemZipMaxPct = 20%\nMem.IdleTax = 50\n"
		      "Mem.SamplePeriod = 30\nMem.BalancePeriod = 5\nMem.CtlMaxPercent = 40\n"
		      "Mem.AppBalloonMaxSlack = 32\nMem.MemMinFreePct = 6\n"
		      "Mem.BalloonInflateRate = 100\nMem.BalloonDeflateRate = 200\n"
		      "Mem.AllocGuestLargePage = no\nMem.VictimPolicy = random\n"
		      "[vm web-1.x]\nmemory = 1G\nvcpus = 1\nkernel = \\b\\vmlinuz\n"
		      "initrd = \\b\\initrd.img\ncmdline = console=ttyS0 a=b # not a comment\n"
		      "disk = data\nautostart = no\nsched.mem.min = 256M\nsched.mem.max = 768M\n"
		      "sched.mem.shares = high\nmemory.startup = 512M\nmemory.min = 300M\n"
		      "sched.mem.maxmemctl = 40%\nsched.mem.pshare.enable = no\n"
		      "sched.mem.pshare.salt = blue\nsched.swap.dir = swap1\n"
		      "debug.hypercalls = yes\ndebug.hide = 500\n"),
		0);
	assert_true(config.host.autostop);
	assert_int_equal(config.host.states, CONFIG_STATES_FIXED);
	assert_int_equal(config.host.victims, CONFIG_VICTIMS_RANDOM);
	assert_int_equal(config.host.zip_max_pct, 20);
	assert_int_equal(config.host.balloon_max_slack_bytes, MIB(32));
	assert_int_equal(config.host.balloon_deflate_pages_s, 200);
	assert_false(config.host.large_pages || config.host.zip_enable);
	assert_string_equal(vms[0].name, "web-1.x");
	assert_string_equal(vms[0].cmdline, "console=ttyS0 a=b # not a comment");
	assert_string_equal(vms[0].initrd, "\\b\\initrd.img");
	assert_string_equal(vms[0].disk, "data");
	assert_string_equal(vms[0].share_salt, "blue");
	assert_string_equal(vms[0].swap_dir, "swap1");
	assert_int_not_equal(vms[0].swap_dir_line, 0);
	assert_false(vms[0].autostart || vms[0].share_enable);
	assert_true(vms[0].reservation_given && vms[0].debug_hypercalls);
	assert_int_equal(vms[0].reservation_bytes, MIB(256));
	assert_int_equal(vms[0].limit_bytes, MIB(768));
	assert_int_equal(vms[0].startup_bytes, MIB(512));
	assert_int_equal(vms[0].min_bytes, MIB(300));
	assert_int_equal(vms[0].shares, 20480);
	assert_int_equal(vms[0].balloon_max.pct, 40);
	assert_int_equal(vms[0].debug_hide_every, 500);
}

static void a_mistake_stops_its_vm_and_no_other(void **state)
{
	(void)state;
	assert_int_equal(
		parse("[vm a]\nmemory = lots\nkernel = k\n[vm b]\nmemory = 64M\nkernel = k\n"),
		E_INVAL);
	assert_int_equal(config.problem_count, 1);
	assert_false(vms[0].startable);
	assert_true(vms[1].startable);
	assert_non_null(strstr(vms[0].problem, "line 2: memory = lots: allowed is a size"));
	REPORTED("2: memory = lots: allowed is a size such as 256M or 2G");
}

static void each_kind_of_bad_value_says_what_is_allowed(void **state)
{
	static const struct {
		const char *line, *says;
	} bad[] = {
		{"memory = 4M", "4: memory is given twice, first in line 2"},
		{"vcpus = 65", "4: vcpus = 65: allowed is a number from 1 to 64"},
		{"vcpus = 0", "vcpus = 0: allowed is a number from 1"},
		{"autostart = perhaps", "allowed is yes or no"},
		{"sched.mem.shares = many", "allowed is low, normal, high, or a number"},
		{"sched.mem.shares = 0", "allowed is low, normal, high, or a number"},
		{"sched.mem.maxmemctl = 101%", "a percentage from 0% to 100%"},
		{"sched.mem.maxmemctl = x%", "a percentage from 0% to 100%"},
		{"sched.mem.min = 12.5M", "a size such as 256M"},
		{"sched.mem.min = 1K", "a size such as 256M"}, /* not whole pages */
		{"sched.mem.min = 99999999999999G", "a size such as 256M"},
		{"colour = red", "unknown key 'colour' in [vm]"},
		{"autostop = yes", "unknown key 'autostop' in [vm]"},
		{"no equals sign", "neither a [section] nor key = value"},
	};
	char text[300];

	(void)state;
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), VM1 "%s\n[vm b]\nmemory = 64M\nkernel = k\n",
			bad[i].line);
		assert_int_equal(parse(text), E_INVAL);
		assert_int_equal(config.problem_count, 1);
		REPORTED(bad[i].says);
		assert_false(vms[0].startable);
		assert_true(vms[1].startable);
	}
}

static void impossible_sums_name_both_numbers(void **state)
{
	static const struct {
		const char *lines, *says;
	} bad[] = {
		{"sched.mem.min = 300M",
			"4: sched.mem.min is 300 MiB, more than the VM's memory of 256 MiB"},
		{"sched.mem.min = 100M\nsched.mem.max = 50M",
			"5: sched.mem.max is 50 MiB; allowed is from sched.mem.min (100) to memory (256)"},
		{"sched.mem.max = 512M", "4: sched.mem.max is 512 MiB"},
		{"memory.startup = 512M\nmemory.min = 64M",
			"4: memory.startup is 512 MiB, more than"},
		{"memory.startup = 64M\nmemory.min = 128M", "5: memory.min is 128 MiB, more than"},
		{"sched.mem.min = 100M\nmemory.startup = 64M",
			"5: memory.startup is 64 MiB, less than sched.mem.min of 100 MiB"},
	};
	char text[300];

	(void)state;
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), VM1 "%s\n", bad[i].lines);
		assert_int_equal(parse(text), E_INVAL);
		REPORTED(bad[i].says);
		assert_int_equal(config.problem_count, 1);
		assert_false(vms[0].startable);
	}
}

#define RESERVES(name, mib, more)                                                                  \
	"[vm " name "]\nmemory = 4G\nkernel = k\nsched.mem.min = " mib "M\n" more

static void check_on_host(u64 mib, const char *text)
{
	assert_int_equal(parse(text), 0);
	config_check_reservations(&config, MIB(mib), report, &config);
}

static void reservations_beyond_the_host_are_told_by_line(void **state)
{
	(void)state;
	check_on_host(768, RESERVES("a", "512", "") RESERVES("b", "256", ""));
	assert_int_equal(config.problem_count, 0);
	check_on_host(
		768, RESERVES("a", "512", "") RESERVES("b", "257", "") RESERVES("c", "500", ""));
	assert_int_equal(config.problem_count, 1);
	REPORTED("8: sched.mem.min is 257 MiB, and the VMs before leave 256 of the host's 768");
	/* Which of them run is not the parser's to say. */
	assert_true(vms[0].startable && vms[1].startable && vms[2].startable);
	/* Who starts by hand finds out then. */
	check_on_host(768, RESERVES("a", "512", "") RESERVES("b", "512", "autostart = no\n"));
	assert_int_equal(config.problem_count, 0);
}

static void a_reservation_beyond_the_host_alone_stops_its_vm(void **state)
{
	(void)state;
	check_on_host(768, RESERVES("a", "769", "autostart = no\n") RESERVES("b", "768", ""));
	assert_int_equal(config.problem_count, 1);
	REPORTED("4: sched.mem.min is 769 MiB; allowed is up to the host's memory of 768");
	assert_false(vms[0].startable);
	assert_non_null(strstr(vms[0].problem, "line 4: sched.mem.min is 769 MiB"));
	assert_true(vms[1].startable);
}

static void shares_are_a_word_for_each_mb_or_a_number(void **state)
{
	static const struct {
		const char *value;
		u64 shares;
	} cases[] = {{"low", 1280}, {"normal", 2560}, {"high", 5120}, {"1", 1},
		{"1000000000", 1000000000}};
	char text[200];

	(void)state;
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), VM1 "sched.mem.shares = %s\n", cases[i].value);
		assert_int_equal(parse(text), 0);
		assert_int_equal(vms[0].shares, cases[i].shares);
	}
	assert_int_equal(parse(VM1 "sched.mem.shares = 1000000001\n"), E_INVAL);
	REPORTED(
		"4: sched.mem.shares = 1000000001: allowed is low, normal, high, or a number from 1 to 1000000000");
}

static void what_a_vm_cannot_do_without_is_asked_for(void **state)
{
	(void)state;
	assert_int_equal(parse("[vm a]\ninitrd = x\n"), E_INVAL);
	assert_int_equal(config.problem_count, 2);
	REPORTED("1: [vm a] has no memory");
	REPORTED("1: [vm a] has no kernel");
}

static void names_are_checked_and_unique(void **state)
{
	(void)state;
	assert_int_equal(parse(VM1 "[vm a]\nmemory = 1G\nkernel = k\n"), E_INVAL);
	REPORTED("4: there is a [vm a] already, in line 1");
	assert_true(vms[0].startable);
	assert_false(vms[1].startable);
	assert_int_equal(parse("[vm]\nmemory = 64M\nkernel = k\n"), E_INVAL);
	REPORTED("1: a VM's name has 1 to 31 letters");
	assert_int_equal(parse("[vm two words]\nmemory = 64M\nkernel = k\n"), E_INVAL);
	assert_int_equal(
		parse("[vm a23456789012345678901234567890123]\nmemory = 64M\nkernel = k\n"),
		E_INVAL);
	assert_int_equal(strlen(vms[0].name), 31);
}

static void host_mistakes_keep_the_default_and_stop_no_vm(void **state)
{
	(void)state;
	assert_int_equal(
		parse("[host]\nMem.IdleTax = 100\nMem.Nonsense = 1\nstates = odd\n" VM1), E_INVAL);
	assert_int_equal(config.problem_count, 3);
	REPORTED("2: Mem.IdleTax = 100: allowed is percent, from 0 to 99");
	REPORTED("3: unknown key 'Mem.Nonsense' in [host]");
	REPORTED("4: states = odd: allowed is sliding or fixed");
	assert_int_equal(config.host.idle_tax_pct, 75);
	assert_true(vms[0].startable);
}

static void lines_outside_known_sections_are_reported_once(void **state)
{
	(void)state;
	assert_int_equal(parse("memory = 1G\n" VM1), E_INVAL);
	REPORTED("1: 'memory' stands before any [host] or [vm NAME]");
	assert_true(vms[0].startable);
	assert_int_equal(parse("[disk x]\nsize = 1\nname = 2\n" VM1), E_INVAL);
	assert_int_equal(config.problem_count, 1);
	REPORTED("1: unknown section [disk]");
	assert_int_equal(parse(VM1 "[vm b\nmemory = 64M\n"), E_INVAL);
	REPORTED("4: ']' is missing");
	assert_int_equal(config.vm_count, 1);
	assert_true(vms[0].startable); /* the section that was meant is another's */
}

static void room_is_counted_first(void **state)
{
	const char *five = "[vm a]\n[vm b]\n[vm c]\n[vm d]\n[vm e]\n";

	(void)state;
	assert_int_equal(config_count_vms(five, strlen(five)), 5);
	assert_int_equal(parse(five), E_NOMEM);
	assert_int_equal(config.vm_count, 4);
	assert_int_equal(config_count_vms("", 0), 0);
	assert_int_equal(parse(""), 0);
	assert_int_equal(config.vm_count, 0);
}

/* --- At run time ----------------------------------------------------------------------------- */

static char why[CONFIG_PROBLEM_BYTES];

static const char *shown(const char *key)
{
	static char text[CONFIG_PROBLEM_BYTES];

	config_change_print_vm(&vms[0], key, text, sizeof(text));
	return text;
}

static bool change(const char *key, const char *value)
{
	return config_change_vm(&vms[0], key, value, why, sizeof(why));
}

static void a_value_is_changed_as_the_file_would_have_set_it(void **state)
{
	(void)state;
	assert_int_equal(parse(VM1), 0);
	assert_true(change("sched.mem.pshare.salt", "blue"));
	assert_string_equal(vms[0].share_salt, "blue");
	assert_true(change("sched.mem.pshare.salt", ""));
	assert_string_equal(vms[0].share_salt, "");
	assert_true(change("sched.mem.pshare.enable", "off"));
	assert_false(vms[0].share_enable);
	assert_true(change("sched.mem.shares", "high"));
	assert_int_equal(vms[0].shares, 20 * 256);
	assert_false(vms[0].reservation_given);
	assert_true(change("sched.mem.min", "64M"));
	assert_true(vms[0].reservation_given);
	assert_true(
		config_change_host(&config.host, "Mem.ShareForceSalting", "0", why, sizeof(why)));
	assert_int_equal(config.host.share_force_salting, 0);
}

static void a_bad_value_is_refused_in_the_words_of_the_file(void **state)
{
	static const struct {
		const char *key, *value, *says;
	} bad[] = {
		{"sched.mem.shares", "0", "sched.mem.shares = 0: allowed is low, normal, high"},
		{"sched.mem.pshare.enable", "", "sched.mem.pshare.enable = : allowed is yes or no"},
		{"sched.mem.pshare.salt", "a234567890123456789012345678901b",
			"allowed is a word of at most 31 characters"},
		{"sched.mem.min", "300M", "sched.mem.min is 300 MiB, more than the VM's memory"},
		{"sched.mem.max", "257M", "sched.mem.max is 257 MiB; allowed is from"},
	};

	(void)state;
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(VM1), 0);
		assert_false(change(bad[i].key, bad[i].value));
		assert_non_null(strstr(why, bad[i].says));
	}
	assert_false(
		config_change_host(&config.host, "Mem.ShareScanTime", "601", why, sizeof(why)));
	assert_string_equal(why, "Mem.ShareScanTime = 601: allowed is minutes, from 1 to 600");
	assert_int_equal(config.host.share_scan_time_min, 60);
}

static void what_is_shown_would_be_read_as_the_same_value(void **state)
{
	static const struct {
		const char *key, *value, *shown;
	} good[] = {
		{"sched.mem.min", "3145728K", "3G"},
		{"sched.mem.min", "65536K", "64M"},
		{"sched.mem.min", "4K", "4K"},
		{"sched.mem.min", "0", "0K"},
		{"sched.mem.maxmemctl", "40%", "40%"},
		{"sched.mem.maxmemctl", "128", "128M"},
		{"sched.mem.shares", "low", "20480"},
		{"sched.mem.pshare.salt", "blue", "blue"},
		{"sched.mem.pshare.enable", "1", "yes"},
	};
	char text[CONFIG_PROBLEM_BYTES];

	(void)state;
	assert_int_equal(parse("[host]\nMem.IdleTax = 50\nstates = fixed\n"
			       "[vm a]\nmemory = 4G\nkernel = k\n"),
		0);
	for (u32 i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(change(good[i].key, good[i].value));
		assert_string_equal(shown(good[i].key), good[i].shown);
		assert_true(change(good[i].key, good[i].shown));
		assert_string_equal(shown(good[i].key), good[i].shown);
	}
	config_change_print_host(&config.host, "Mem.IdleTax", text, sizeof(text));
	assert_string_equal(text, "50%");
	config_change_print_host(&config.host, "states", text, sizeof(text));
	assert_string_equal(text, "fixed");
	config_change_print_host(&config.host, "Mem.ShareScanTime", text, sizeof(text));
	assert_string_equal(text, "60");
}

static void the_example_configuration_is_good(void **state)
{
	FILE *file = fopen("boot/bellows.conf", "rb");
	char text[8192] = {0};

	(void)state;
	if (!file)
		skip(); /* run from elsewhere */
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_int_equal(parse(text), 0);
	assert_int_equal(config.vm_count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_design_page),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(a_mistake_stops_its_vm_and_no_other),
		cmocka_unit_test(each_kind_of_bad_value_says_what_is_allowed),
		cmocka_unit_test(impossible_sums_name_both_numbers),
		cmocka_unit_test(reservations_beyond_the_host_are_told_by_line),
		cmocka_unit_test(a_reservation_beyond_the_host_alone_stops_its_vm),
		cmocka_unit_test(shares_are_a_word_for_each_mb_or_a_number),
		cmocka_unit_test(what_a_vm_cannot_do_without_is_asked_for),
		cmocka_unit_test(names_are_checked_and_unique),
		cmocka_unit_test(host_mistakes_keep_the_default_and_stop_no_vm),
		cmocka_unit_test(lines_outside_known_sections_are_reported_once),
		cmocka_unit_test(room_is_counted_first),
		cmocka_unit_test(a_value_is_changed_as_the_file_would_have_set_it),
		cmocka_unit_test(a_bad_value_is_refused_in_the_words_of_the_file),
		cmocka_unit_test(what_is_shown_would_be_read_as_the_same_value),
		cmocka_unit_test(the_example_configuration_is_good),
	};
	return cmocka_run_group_tests_name("unit/config", tests, NULL, NULL);
}
