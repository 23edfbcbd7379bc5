/* SRCS: hv/console/output.c */
/* A guest's output: the ring keeps the last bytes, lines come out clean, the workload's report is
 * seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/console/output.h"

static u8 ring[OUTPUT_RING_BYTES];
static struct output output;

static int setup(void **state)
{
	(void)state;
	output_init(&output, ring);
	return 0;
}

/* Returns how many lines were reported. */
static int put(const char *text)
{
	int lines = 0;

	for (; *text; text++)
		lines += output_put(&output, (u8)*text);
	return lines;
}

static void a_line_is_reported_once_without_its_end(void **state)
{
	(void)state;
	assert_int_equal(put("hello"), 0);
	assert_int_equal(put("\r\n"), 1);
	assert_string_equal(output.line, "hello");
	assert_int_equal(put("\n\r\n\n"), 0);
}

static void control_characters_and_escapes_do_not_reach_the_line(void **state)
{
	(void)state;
	assert_int_equal(put("\x1b[2J\x1b[1;31mred\x1b[0m\x07\x08 a\tb\x1b"
			     "cz\x9b\xff\n"),
		1);
	assert_string_equal(output.line, "red a bz");
	/* A sequence that never ends costs its own line only. */
	put("\x1b[");
	put("lost\nnext\n");
	assert_string_equal(output.line, "next");
}

static void a_line_without_an_end_comes_in_pieces(void **state)
{
	int lines = 0;

	(void)state;
	for (u32 i = 0; i < 3 * OUTPUT_LINE_BYTES; i++)
		lines += output_put(&output, 'x');
	assert_int_equal(lines, 3);
	assert_int_equal(strlen(output.line), OUTPUT_LINE_BYTES);
}

static void the_ring_keeps_the_last_bytes(void **state)
{
	u8 back[300];
	u64 from = 0;
	size_t bytes;

	(void)state;
	for (u32 i = 0; i < OUTPUT_RING_BYTES + 100; i++)
		output_put(&output, (u8)(i % 251));
	bytes = output_read(&output, &from, back, sizeof(back));
	assert_int_equal(bytes, sizeof(back));
	assert_int_equal(from, 100 + sizeof(back));
	for (u32 i = 0; i < sizeof(back); i++)
		assert_int_equal(back[i], (100 + i) % 251);
	from = output.written;
	assert_int_equal(output_read(&output, &from, back, sizeof(back)), 0);
}

static void reports_are_seen_and_forgotten_by_a_new_run(void **state)
{
	(void)state;
	put("bellows.workload=profile=mixed\n");
	assert_false(output.reported_ok || output.reported_fail);
	put("WORKLOAD ok profile=mixed wrong=0\n");
	assert_true(output.reported_ok && !output.reported_fail);
	put("WORKLOAD FAIL\n");
	assert_true(output.reported_fail);
	put("half a line");
	output_new_run(&output);
	assert_false(output.reported_ok || output.reported_fail);
	put("whole\n");
	assert_string_equal(output.line, "whole");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_line_is_reported_once_without_its_end, setup),
		cmocka_unit_test_setup(control_characters_and_escapes_do_not_reach_the_line, setup),
		cmocka_unit_test_setup(a_line_without_an_end_comes_in_pieces, setup),
		cmocka_unit_test_setup(the_ring_keeps_the_last_bytes, setup),
		cmocka_unit_test_setup(reports_are_seen_and_forgotten_by_a_new_run, setup),
	};

	return cmocka_run_group_tests_name("unit/output", tests, NULL, NULL);
}
