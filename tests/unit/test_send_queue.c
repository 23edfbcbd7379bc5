/* SRCS: hv/monitor/send_queue.c */
/* What is put in comes out, in order, with "\r\n" at the ends of lines; whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/monitor/send_queue.h"

static struct send_queue q;

static int setup(void **state)
{
	(void)state;
	memset(&q, 0, sizeof(q));
	return 0;
}

static void comes_out(const char *want)
{
	u8 piece[64];
	size_t bytes = send_queue_peek(&q, piece, sizeof(piece));

	assert_int_equal(bytes, strlen(want));
	assert_memory_equal(piece, want, bytes);
	send_queue_take(&q, bytes);
}

static void lines_end_as_a_terminal_wants(void **state)
{
	(void)state;
	assert_true(send_queue_put(&q, "one\ntwo", 7));
	assert_true(send_queue_put(&q, "\n", 1));
	comes_out("one\r\ntwo\r\n");
	comes_out("");
}

static void what_was_only_looked_at_stays(void **state)
{
	u8 piece[4];

	(void)state;
	assert_true(send_queue_put(&q, "abcdefgh", 8));
	assert_int_equal(send_queue_peek(&q, piece, 4), 4);
	send_queue_take(&q, 3);
	comes_out("defgh");
}

static void a_full_queue_takes_nothing_and_loses_nothing(void **state)
{
	static char much[SEND_QUEUE_BYTES];

	(void)state;
	memset(much, 'x', sizeof(much));
	assert_true(send_queue_put(&q, much, SEND_QUEUE_BYTES - 3));
	assert_false(send_queue_put(&q, "ab\n", 3)); /* four with the \r */
	assert_int_equal(send_queue_room(&q), 3);
	assert_true(send_queue_put(&q, "a\n", 2));
	assert_int_equal(send_queue_room(&q), 0);
	send_queue_take(&q, SEND_QUEUE_BYTES - 3);
	comes_out("a\r\n");
}

static void the_ring_goes_round(void **state)
{
	char text[9];
	u8 piece[8];

	(void)state;
	for (u32 i = 0; i < SEND_QUEUE_BYTES; i++) {
		for (u32 k = 0; k < 7; k++)
			text[k] = (char)('a' + (i + k) % 26);
		assert_true(send_queue_put(&q, text, 7));
		assert_int_equal(send_queue_peek(&q, piece, 8), 7);
		assert_memory_equal(piece, text, 7);
		send_queue_take(&q, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lines_end_as_a_terminal_wants, setup),
		cmocka_unit_test_setup(what_was_only_looked_at_stays, setup),
		cmocka_unit_test_setup(a_full_queue_takes_nothing_and_loses_nothing, setup),
		cmocka_unit_test_setup(the_ring_goes_round, setup),
	};

	return cmocka_run_group_tests_name("unit/send_queue", tests, NULL, NULL);
}
