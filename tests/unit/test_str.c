/* SRCS: mm/base/err.c */
/*
 * The freestanding memory and string functions against the C library's, every small length, every
 * alignment and every overlap. The source is included under other names, since the host keeps its
 * own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
#define strlen  own_strlen
#define strnlen own_strnlen
#define strcmp  own_strcmp
#define strncmp own_strncmp
#define strchr  own_strchr
#undef BELLOWS_HOST
#include "mm/base/str.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define ROOM 80

static void fill(unsigned char *a, unsigned char *b)
{
	for (int i = 0; i < ROOM; i++)
		a[i] = b[i] = (unsigned char)random();
}

static void copies_match_for_every_length_alignment_and_overlap(void **state)
{
	unsigned char a[ROOM], b[ROOM];

	(void)state;
	for (size_t n = 0; n <= 36; n++) {
		for (size_t from = 0; from + n <= ROOM; from++) {
			for (size_t to = 0; to + n <= ROOM; to++) {
				fill(a, b);
				memmove(a + to, a + from, n);
				assert_ptr_equal(own_memmove(b + to, b + from, n), b + to);
				assert_memory_equal(a, b, ROOM);
				if (to + n > from && from + n > to)
					continue;
				own_memcpy(b + from, b + to, n);
				memcpy(a + from, a + to, n);
				assert_memory_equal(a, b, ROOM);
			}
		}
	}
}

static void fills_match(void **state)
{
	unsigned char a[ROOM], b[ROOM];

	(void)state;
	for (size_t n = 0; n <= 64; n++) {
		for (size_t at = 0; at + n <= ROOM; at++) {
			fill(a, b);
			memset(a + at, 0x1a5, n);
			assert_ptr_equal(own_memset(b + at, 0x1a5, n), b + at);
			assert_memory_equal(a, b, ROOM);
		}
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void comparisons_have_the_same_sign(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++) {
		char a[24], b[24];
		size_t n = (size_t)random() % 24;

		memset(a, 'a', sizeof(a));
		memset(b, 'a', sizeof(b));
		a[random() % 23] = (char)random();
		b[random() % 23] = (char)random();
		a[23] = b[23] = '\0';
		assert_int_equal(sign(memcmp(a, b, n)), sign(own_memcmp(a, b, n)));
		assert_int_equal(sign(strcmp(a, b)), sign(own_strcmp(a, b)));
		assert_int_equal(sign(strncmp(a, b, n)), sign(own_strncmp(a, b, n)));
		assert_int_equal(strlen(a), own_strlen(a));
		assert_int_equal(strnlen(a, n), own_strnlen(a, n));
		assert_ptr_equal(strchr(a, b[0]), own_strchr(a, b[0]));
	}
	assert_null(own_strchr("abc", 'x'));
	assert_string_equal(own_strchr("abc", '\0'), "");
}

static void bounded_functions_stay_inside(void **state)
{
	char *text = malloc(5), *same = malloc(5);

	(void)state;
	memcpy(text, "hello", 5);
	memcpy(same, "hello", 5);
	assert_int_equal(own_strnlen(text, 5), 5);
	assert_int_equal(own_strncmp(text, same, 5), 0);
	assert_int_equal(own_memcmp(text, same, 5), 0);
	free(text);
	free(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_match_for_every_length_alignment_and_overlap),
		cmocka_unit_test(fills_match),
		cmocka_unit_test(comparisons_have_the_same_sign),
		cmocka_unit_test(bounded_functions_stay_inside),
	};
	return cmocka_run_group_tests_name("unit/str", tests, NULL, NULL);
}
