/* SRCS: hv/console/line_edit.c */
/* Line editing: what is entered, what can be taken back, and that no byte writes outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hv/console/line_edit.h"

static struct line_edit edit;

static int setup(void **state)
{
	(void)state;
	line_edit_init(&edit);
	return 0;
}

static enum line_edit_result put(const char *text)
{
	enum line_edit_result last = LINE_EDIT_NOTHING;

	for (; *text; text++)
		last = line_edit_put(&edit, (u8)*text);
	return last;
}

static void enter_hands_out_the_line(void **state)
{
	(void)state;
	assert_int_equal(put("vms"), LINE_EDIT_APPENDED);
	assert_int_equal(put("\r"), LINE_EDIT_ENTERED);
	assert_string_equal(edit.entered, "vms");
	assert_string_equal(edit.text, "");
	assert_int_equal(put("\n"), LINE_EDIT_NOTHING); /* CR LF is one end */
	assert_int_equal(put("a\n\n"), LINE_EDIT_ENTERED);
	assert_string_equal(edit.entered, "");
}

static void keys_take_back(void **state)
{
	(void)state;
	put("memtopp\x7f\r");
	assert_string_equal(edit.entered, "memtop");
	put("rubbish\x15vms\r");
	assert_string_equal(edit.entered, "vms");
	assert_int_equal(put("\x08"), LINE_EDIT_NOTHING);
	assert_int_equal(put("stop g1\x03"), LINE_EDIT_CANCELLED);
	assert_string_equal(edit.text, "");
}

static void arrows_walk_through_the_last_lines(void **state)
{
	(void)state;
	put("one\rtwo\rtwo\r");
	put("\x1b[A");
	assert_string_equal(edit.text, "two");
	put("\x1b[A");
	assert_string_equal(edit.text, "one");
	assert_int_equal(put("\x1b[A"), LINE_EDIT_NOTHING);
	put("\x1b[B\x1b[B");
	assert_string_equal(edit.text, "");
	put("\x1b[1;5Cx\r"); /* an unknown key leaves no trace */
	assert_string_equal(edit.entered, "x");
}

static void any_bytes_stay_inside(void **state)
{
	(void)state;
	srandom(1);
	for (int i = 0; i < 200000; i++) {
		line_edit_put(&edit, (u8)(random() % 8 ? random() : "\x1b[AB\r"[random() % 5]));
		assert_true(edit.bytes < LINE_EDIT_BYTES);
		assert_int_equal(strlen(edit.text), edit.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(enter_hands_out_the_line, setup),
		cmocka_unit_test_setup(keys_take_back, setup),
		cmocka_unit_test_setup(arrows_walk_through_the_last_lines, setup),
		cmocka_unit_test_setup(any_bytes_stay_inside, setup),
	};

	return cmocka_run_group_tests_name("unit/line_edit", tests, NULL, NULL);
}
