/* SRCS: mm/base/fmt.c mm/base/err.c mm/base/log.c */
/*
 * The formatter against the C library's: whatever both understand must come out alike, in every
 * buffer size. Then what is ours alone: unknown conversions stand as they are, long log lines say
 * so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/base/err.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/platform.h"

static char last_line[LOG_LINE_BYTES + 1];
static enum log_level last_level;

void platform_log(enum log_level level, const char *line)
{
	last_level = level;
	assert_true(strlen(line) < sizeof(last_line));
	strcpy(last_line, line);
}

#define SAME(...)                                                                                  \
	do {                                                                                       \
		for (size_t room = 0; room <= 64; room++) {                                        \
			char *want = malloc(room + 1), *got = malloc(room + 1);                    \
			memset(want, '~', room + 1);                                               \
			memset(got, '~', room + 1);                                                \
			assert_int_equal(snprintf(want, room, __VA_ARGS__),                        \
				fmt_snprintf(got, room, __VA_ARGS__));                             \
			assert_memory_equal(want, got, room + 1);                                  \
			free(want);                                                                \
			free(got);                                                                 \
		}                                                                                  \
	} while (0)

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"

static void conversions_match_the_c_library(void **state)
{
	(void)state;
	SAME("plain");
	SAME("%s", "");
	SAME("[%s|%10s|%-10s|%.2s|%-8.3s|]", "abc", "def", "ghi", "jkl", "mnopq");
	SAME("%c%c%5c%-5c|", 'a', 'b', 'c', 'd');
	SAME("%d %i %u", -5, 17, 4000000000u);
	SAME("%d %d", INT32_MIN, INT32_MAX);
	SAME("%lld %llu %llx", (long long)INT64_MIN, ~0ull, ~0ull);
	SAME("%ld %lu %lx %zu %zx %jd %ju", -1L, ~0ul, 0xabcdefUL, (size_t)7, (size_t)0xff,
		(intmax_t)-9, (uintmax_t)9);
	SAME("%hd %hu %hx %hhd %hhu %hhx", 70000, 70000, 70000, 300, 300, 511);
	SAME("%x %X %#x %08x %-8x| %8x", 0xbeef, 0xbeef, 0xbeef, 0xbeef, 0xbeef, 0xbeef);
	SAME("%#010x %#x %.4x %.0u %.0u", 0xbeef, 0, 0xbe, 0, 3);
	SAME("%05d %05d %-5d| %5.3d %05.3d", -42, 42, 42, 42, 42);
	SAME("%*d %-*d| %*d %.*s %.*d", 6, 42, 6, 42, -6, 42, 2, "abc", 4, 42);
	SAME("%p", (void *)0x1234);
	SAME("100%% %d%%", 5);
}

static void random_specs_match_the_c_library(void **state)
{
	static const char *const lengths[] = {"hh", "h", "", "l", "ll", "z", "j"};
	static const char conversions[] = "diuxX";

	(void)state;
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		char spec[64];
		unsigned long long v =
			(unsigned long long)random() << 33 ^ random() << 11 ^ random();
		int length = random() % 7, n;

		v >>= random() % 64;
		n = sprintf(spec, "<%%%s%s", random() % 3 ? "" : "-", random() % 3 ? "" : "0");
		if (random() % 2)
			n += sprintf(spec + n, "%ld", random() % 30);
		if (random() % 3 == 0)
			n += sprintf(spec + n, ".%ld", random() % 25);
		sprintf(spec + n, "%s%c>", lengths[length], conversions[random() % 5]);
		if (length < 3)
			SAME(spec, (unsigned)v);
		else
			SAME(spec, v);
	}
}

static void unknown_conversions_stand_as_written(void **state)
{
	char buf[64];

	(void)state;
	fmt_snprintf(buf, sizeof(buf), "%q %-5y 50% and %", 1);
	assert_string_equal(buf, "%q %-5y 50% and %");
	fmt_snprintf(buf, sizeof(buf), "%s", NULL);
	assert_string_equal(buf, "(null)");
}

static void wild_widths_are_bounded(void **state)
{
	char buf[8];

	(void)state;
	assert_true(fmt_snprintf(buf, sizeof(buf), "%99999999999d", 1) <= 4096);
	assert_true(fmt_snprintf(buf, sizeof(buf), "%*d", INT32_MIN, 1) <= 4096);
	assert_true(fmt_snprintf(buf, sizeof(buf), "%.*d", INT32_MAX, 1) <= 4096);
	assert_int_equal(strlen(buf), 7);
}

static void precision_stops_before_unterminated_text(void **state)
{
	char buf[16], *text = malloc(3);

	(void)state;
	memcpy(text, "abc", 3);
	fmt_snprintf(buf, sizeof(buf), "%.3s", text);
	assert_string_equal(buf, "abc");
	free(text);
}

static void log_lines_reach_the_platform_and_long_ones_say_so(void **state)
{
	char wide[400];

	(void)state;
	log_warn("vm %s: %d faults", "web", 3);
	assert_int_equal(last_level, LOG_WARN);
	assert_string_equal(last_line, "vm web: 3 faults");
	memset(wide, 'x', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	log_error("%s", wide);
	assert_int_equal(strlen(last_line), LOG_LINE_BYTES - 1);
	assert_string_equal(last_line + LOG_LINE_BYTES - 4, "...");
}

static void every_error_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (err_t a = E_LIMIT; a <= E_OK; a++) {
		assert_string_not_equal(err_name(a), err_name(E_LIMIT - 1));
		for (err_t b = a + 1; b <= E_OK; b++)
			assert_string_not_equal(err_name(a), err_name(b));
	}
	assert_string_equal(err_name(12345), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversions_match_the_c_library),
		cmocka_unit_test(random_specs_match_the_c_library),
		cmocka_unit_test(unknown_conversions_stand_as_written),
		cmocka_unit_test(wild_widths_are_bounded),
		cmocka_unit_test(precision_stops_before_unterminated_text),
		cmocka_unit_test(log_lines_reach_the_platform_and_long_ones_say_so),
		cmocka_unit_test(every_error_has_a_name_of_its_own),
	};
	return cmocka_run_group_tests_name("unit/fmt", tests, NULL, NULL);
}
