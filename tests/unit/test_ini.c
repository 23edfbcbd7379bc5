/* SRCS: mm/base/ini.c mm/base/err.c */
/* The INI reader: every form of line, what is refused and where, and numbers up to their edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mm/base/err.h"
#include "mm/base/ini.h"

/* A copy of exactly the text's length, so that one byte too far is caught; freed at the end. */
static char *exact;
static struct ini_reader reader;

static void start(const char *text)
{
	size_t bytes = strlen(text);

	free(exact);
	exact = malloc(bytes ? bytes : 1);
	memcpy(exact, text, bytes);
	ini_start(&reader, exact, bytes);
}

static int end(void **state)
{
	(void)state;
	free(exact);
	exact = NULL;
	return 0;
}

#define IS(str, literal) assert_true(ini_str_is(str, literal))

static struct ini_line expect(enum ini_kind kind, u32 line)
{
	struct ini_line l = ini_next(&reader);

	assert_int_equal(l.kind, kind);
	assert_int_equal(l.line, line);
	assert_true((l.kind == INI_BAD) == (l.problem != NULL));
	return l;
}

static void a_file_reads_as_sections_and_keys(void **state)
{
	struct ini_line l;

	(void)state;
	start("\xef\xbb\xbf# hello\r\n"
	      "loose = 1\n"
	      "\n"
	      "  [ host ]  ; the machine\n"
	      "Mem.ShareScanTime=60\r\n"
	      "\t; nothing\n"
	      "[vm  web 1 ]\n"
	      "cmdline =  console=ttyS0 # is part of it \t\n"
	      "empty =");
	l = expect(INI_KEY, 2);
	IS(l.section, "");
	IS(l.key, "loose");
	IS(l.value, "1");
	l = expect(INI_SECTION, 4);
	IS(l.section, "host");
	IS(l.name, "");
	l = expect(INI_KEY, 5);
	IS(l.section, "host");
	IS(l.key, "Mem.ShareScanTime");
	IS(l.value, "60");
	l = expect(INI_SECTION, 7);
	IS(l.section, "vm");
	IS(l.name, "web 1");
	l = expect(INI_KEY, 8);
	IS(l.name, "web 1");
	IS(l.value, "console=ttyS0 # is part of it");
	l = expect(INI_KEY, 9);
	IS(l.key, "empty");
	IS(l.value, "");
	expect(INI_END, 9);
	expect(INI_END, 9);
}

static void bad_lines_are_named_and_skipped(void **state)
{
	static const char *const bad[] = {"word", "= 3", "two words = 3", "k\xc3\xa4y = 3", "[",
		"[vm", "[]", "[ ]", "[vm web] x", "[v/m web]", "a = \x01", "a\x7f = 1",
		"[vm \x1b]"};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		char text[64];

		strcpy(text, "[vm a]\n");
		strcat(text, bad[i]);
		strcat(text, "\nmemory = 1\n");
		start(text);
		expect(INI_SECTION, 1);
		expect(INI_BAD, 2);
		IS(expect(INI_KEY, 3).key, "memory");
		expect(INI_END, 3);
	}
}

static void keys_below_a_bad_section_belong_to_none(void **state)
{
	struct ini_line l;

	(void)state;
	start("[vm a]\nmemory = 1\n[vm b\nmemory = 2\n");
	expect(INI_SECTION, 1);
	IS(expect(INI_KEY, 2).name, "a");
	expect(INI_BAD, 3);
	l = expect(INI_KEY, 4);
	IS(l.section, "");
	IS(l.name, "");
}

static void odd_endings_are_read_to_the_last_byte(void **state)
{
	(void)state;
	start("");
	expect(INI_END, 0);
	start("a=b");
	IS(expect(INI_KEY, 1).value, "b");
	start("a=b\r");
	IS(expect(INI_KEY, 1).value, "b");
	start("a=b\rc=d\n");
	expect(INI_BAD, 1);
	start("\n\n\n");
	expect(INI_END, 3);
}

static struct ini_str str(const char *s)
{
	start(s);
	return (struct ini_str){exact, strlen(s)};
}

static void numbers_reach_their_edges_and_no_further(void **state)
{
	static const char *const malformed[] = {
		"", "x", "-1", "+1", "1 ", " 1", "0x", "0xg", "1.5", "12k", "1 2"};
	u64 v = 77;

	(void)state;
	assert_int_equal(ini_parse_u64(str("0"), &v), E_OK);
	assert_int_equal(v, 0);
	assert_int_equal(ini_parse_u64(str("18446744073709551615"), &v), E_OK);
	assert_true(v == ~0ull);
	assert_int_equal(ini_parse_u64(str("0xFFFFffffFFFFffff"), &v), E_OK);
	assert_true(v == ~0ull);
	v = 77;
	assert_int_equal(ini_parse_u64(str("18446744073709551616"), &v), E_RANGE);
	assert_int_equal(ini_parse_u64(str("0x10000000000000000"), &v), E_RANGE);
	for (size_t i = 0; i < ARRAY_COUNT(malformed); i++)
		assert_int_equal(ini_parse_u64(str(malformed[i]), &v), E_INVAL);
	assert_int_equal(v, 77);
}

static void sizes_are_mebibytes_unless_they_say_otherwise(void **state)
{
	static const struct {
		const char *text;
		u64 bytes;
	} good[] = {{"256", MIB(256)}, {"256M", MIB(256)}, {"256 MiB", MIB(256)},
		{"256mb", MIB(256)}, {"2G", GIB(2)}, {"4kB", KIB(4)}, {"0", 0}, {"0x10 K", KIB(16)},
		{"17179869183 G", 17179869183ull << 30}};
	static const char *const malformed[] = {"", "M", "12 T", "12 mm", "1.5G", "G1", "12 M B"};
	u64 v;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
		assert_int_equal(ini_parse_bytes(str(good[i].text), &v), E_OK);
		assert_true(v == good[i].bytes);
	}
	v = 77;
	for (size_t i = 0; i < ARRAY_COUNT(malformed); i++)
		assert_int_equal(ini_parse_bytes(str(malformed[i]), &v), E_INVAL);
	assert_int_equal(ini_parse_bytes(str("17179869184G"), &v), E_RANGE);
	assert_int_equal(ini_parse_bytes(str("99999999999999999999M"), &v), E_RANGE);
	assert_int_equal(v, 77);
}

static void booleans_come_in_four_spellings(void **state)
{
	static const char *const yes[] = {"yes", "TRUE", "On", "1"};
	static const char *const no[] = {"no", "False", "OFF", "0"};
	bool v;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(yes); i++) {
		assert_int_equal(ini_parse_bool(str(yes[i]), &v), E_OK);
		assert_true(v);
		assert_int_equal(ini_parse_bool(str(no[i]), &v), E_OK);
		assert_false(v);
	}
	assert_int_equal(ini_parse_bool(str("maybe"), &v), E_INVAL);
	assert_int_equal(ini_parse_bool(str(""), &v), E_INVAL);
	assert_int_equal(ini_parse_bool(str("yess"), &v), E_INVAL);
}

static void lists_are_cut_at_commas_and_words_at_spaces(void **state)
{
	const char *text = " one two\t three ,, four,";
	struct ini_str list = {text, strlen(text)}, piece, rest;

	(void)state;
	piece = ini_list_next(&list);
	IS(piece, "one two\t three");
	IS(ini_first_word(piece, &rest), "one");
	IS(rest, "two\t three");
	piece = ini_list_next(&list);
	IS(piece, "four");
	IS(ini_first_word(piece, &rest), "four");
	assert_int_equal(rest.bytes, 0);
	assert_int_equal(ini_list_next(&list).bytes, 0);
	assert_int_equal(ini_list_next(&list).bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_file_reads_as_sections_and_keys, end),
		cmocka_unit_test_teardown(bad_lines_are_named_and_skipped, end),
		cmocka_unit_test_teardown(keys_below_a_bad_section_belong_to_none, end),
		cmocka_unit_test_teardown(odd_endings_are_read_to_the_last_byte, end),
		cmocka_unit_test_teardown(numbers_reach_their_edges_and_no_further, end),
		cmocka_unit_test_teardown(sizes_are_mebibytes_unless_they_say_otherwise, end),
		cmocka_unit_test_teardown(booleans_come_in_four_spellings, end),
		cmocka_unit_test_teardown(lists_are_cut_at_commas_and_words_at_spaces, end),
	};
	return cmocka_run_group_tests_name("unit/ini", tests, NULL, NULL);
}
