/* SRCS: drivers/i8042.c */
/* Scan codes become the bytes a serial line would have sent; what types nothing types nothing. */
#include "drivers/i8042.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Feed scan codes; what they typed, as a string. */
static const char *type(struct i8042_keys *keys, const u8 *codes, size_t count)
{
	static char typed[64];
	size_t length = 0;

	for (size_t i = 0; i < count; i++) {
		int c = i8042_translate(keys, codes[i]);

		if (c >= 0)
			typed[length++] = (char)c;
	}
	typed[length] = 0;
	return typed;
}

#define TYPED(keys, ...) type(keys, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static void letters_digits_and_enter(void **state)
{
	struct i8042_keys keys = {0};

	(void)state;
	assert_string_equal(
		TYPED(&keys, 0x2f, 0xaf, 0x32, 0xb2, 0x1f, 0x9f, 0x02, 0x1c, 0x39), "vms1\r ");
}

static void shift_and_caps_lock(void **state)
{
	struct i8042_keys keys = {0};

	(void)state;
	assert_string_equal(TYPED(&keys, 0x2a, 0x1e, 0x02, 0xaa, 0x1e), "A!a");
	assert_string_equal(
		TYPED(&keys, 0x3a, 0xba, 0x1e, 0x02, 0x36, 0x1e, 0xb6, 0x3a, 0x1e), "A1aa");
}

static void control_bracket_detaches(void **state)
{
	struct i8042_keys keys = {0};

	(void)state;
	assert_string_equal(TYPED(&keys, 0x1d, 0x1b, 0x9b, 0x9d, 0x1b), "\x1d]");
}

static void cursor_keys_and_pause_type_nothing(void **state)
{
	struct i8042_keys keys = {0};

	(void)state;
	assert_string_equal(
		TYPED(&keys, 0xe0, 0x2a, 0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0xaa, 0x1e), "a");
	assert_string_equal(TYPED(&keys, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x1e), "a");
	assert_string_equal(TYPED(&keys, 0xe0, 0x1c, 0xe0, 0x35), "\r/");
}

static void every_byte_is_survived(void **state)
{
	struct i8042_keys keys = {0};
	u32 random = 1;

	(void)state;
	for (u32 i = 0; i < 100000; i++) {
		random = random * 1664525 + 1013904223;
		int c = i8042_translate(&keys, (u8)(random >> 24));

		assert_true(c >= -1 && c <= 0x7f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_digits_and_enter),
		cmocka_unit_test(shift_and_caps_lock),
		cmocka_unit_test(control_bracket_detaches),
		cmocka_unit_test(cursor_keys_and_pause_type_nothing),
		cmocka_unit_test(every_byte_is_survived),
	};

	return cmocka_run_group_tests_name("unit/i8042", tests, NULL, NULL);
}
