/* SRCS: hv/vdev/uart16550.c */
/*
 * The serial line as Linux's 8250 driver meets it: what its probe looks at, its test of the
 * transmit interrupt, an interrupt edge for every refill of the FIFO, and receiving with trigger
 * levels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/vdev/uart16550.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };

static struct uart16550 uart;
static char sent[64];
static u32 sent_count, edges;
static bool line;

static void on_out(void *context, u8 byte)
{
	(void)context;
	if (sent_count < sizeof(sent) - 1)
		sent[sent_count++] = (char)byte;
}

static void on_line(void *context, bool level)
{
	(void)context;
	assert_true(level != line); /* changes only */
	edges += level;
	line = level;
}

static int start(void **state)
{
	(void)state;
	uart = (struct uart16550){.out = on_out, .line = on_line};
	memset(sent, 0, sizeof(sent));
	sent_count = edges = 0;
	line = false;
	uart16550_reset(&uart);
	return 0;
}

static u8 in(u32 reg)
{
	return uart16550_read(&uart, reg);
}

static void out(u32 reg, u8 value)
{
	uart16550_write(&uart, reg, value);
}

static void linux_probe_finds_a_16550a(void **state)
{
	(void)state;
	out(IER, 0);
	assert_int_equal(in(IER)&0x0f, 0);
	out(IER, 0x0f);
	assert_int_equal(in(IER), 0x0f);
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f); /* no XScale bit */
	out(IER, 0);
	out(MCR, 0x1a); /* loop, OUT2, RTS */
	assert_int_equal(in(MSR)&0xf0, 0x90);
	out(MCR, 0);
	out(2, 1);
	assert_int_equal(in(IIR) >> 6, 3);
	out(2, 0);
	assert_int_equal(in(IIR) >> 6, 0);
	out(LCR, 0x83);
	out(0, 1);
	out(1, 2);
	assert_int_equal(in(0), 1);
	assert_int_equal(in(1), 2);
	out(LCR, 3);
	assert_int_equal(in(IER), 0);
	out(SCRATCH, 0x5a);
	assert_int_equal(in(SCRATCH), 0x5a);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR)&0xf0, 0xb0);
	assert_int_equal(sent_count, 0);
}

static void linux_test_of_the_transmit_interrupt_passes(void **state)
{
	u8 first, second;

	(void)state;
	out(IER, 0x02);
	first = in(IIR);
	out(IER, 0);
	out(IER, 0x02);
	second = in(IIR);
	out(IER, 0);
	assert_int_equal(first & 1, 0);
	assert_int_equal(second & 1, 0);
	assert_int_equal(in(IIR)&1, 1);
}

/* As the driver sends: on each interrupt it reads IIR and LSR and fills the FIFO, until nothing is
 * left. */
static void every_refill_of_the_fifo_makes_an_edge(void **state)
{
	const char *text = "sixteen bytes and then some more, to fill the FIFO thrice";
	u32 at = 0;

	(void)state;
	out(2, 0x81);
	out(IER, 0x02);
	while (text[at]) {
		u32 before = edges;

		assert_true(line);
		assert_int_equal(in(IIR)&0x0f, 0x02);
		assert_false(line); /* reading it takes it back */
		assert_true(in(LSR)&0x20);
		for (u32 i = 0; i < 16 && text[at]; i++)
			out(DATA, (u8)text[at++]);
		assert_true(edges > before);
	}
	assert_true(line);
	assert_int_equal(in(IIR)&0x0f, 0x02);
	out(IER, 0);
	assert_false(line);
	assert_string_equal(sent, text);
}

static void received_bytes_interrupt_at_the_level_or_after_a_while(void **state)
{
	(void)state;
	out(2, 0x41); /* FIFO, trigger 4 */
	out(IER, 0x01);
	assert_true(uart16550_receive(&uart, 'a'));
	assert_true(line);
	assert_int_equal(in(IIR), 0xcc); /* time-out */
	assert_int_equal(in(LSR)&1, 1);
	for (u32 i = 1; i < 4; i++)
		assert_true(uart16550_receive(&uart, (u8)('a' + i)));
	assert_int_equal(in(IIR), 0xc4); /* level reached */
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(in(DATA), 'a' + i);
	assert_false(line);
	assert_int_equal(in(LSR)&1, 0);
	assert_int_equal(in(DATA), 0);
}

static void a_full_fifo_refuses(void **state)
{
	(void)state;
	assert_true(uart16550_receive(&uart, 1)); /* no FIFO: one byte */
	assert_false(uart16550_receive(&uart, 2));
	assert_int_equal(in(DATA), 1);
	out(2, 0x01);
	for (u32 i = 0; i < 16; i++)
		assert_true(uart16550_receive(&uart, (u8)i));
	assert_false(uart16550_receive(&uart, 16));
	assert_int_equal(in(DATA), 0);
	assert_true(uart16550_receive(&uart, 16));
	out(2, 0x03); /* clear */
	assert_int_equal(in(LSR)&1, 0);
}

static void loopback_keeps_bytes_inside_and_can_overrun(void **state)
{
	(void)state;
	out(MCR, 0x10);
	assert_false(uart16550_receive(&uart, 'x'));
	out(DATA, 'y');
	out(DATA, 'z'); /* no FIFO: lost */
	assert_int_equal(sent_count, 0);
	assert_int_equal(in(LSR)&3, 3);
	assert_int_equal(in(LSR)&3, 1); /* reading cleared the overrun */
	assert_int_equal(in(DATA), 'y');
}

static void modem_changes_are_told_once(void **state)
{
	(void)state;
	out(IER, 0x08);
	out(MCR, 0x10); /* all inputs drop */
	assert_true(line);
	assert_int_equal(in(IIR)&0x0f, 0);
	assert_int_equal(in(MSR), 0x0b);
	assert_false(line);
	assert_int_equal(in(MSR), 0);
}

static void any_register_sequence_keeps_the_line_honest(void **state)
{
	u32 seed = 12345;

	(void)state;
	for (u32 i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 31)
			out(seed >> 24 & 7, (u8)(seed >> 8));
		else if (seed >> 30 & 1)
			in(seed >> 24 & 7);
		else
			uart16550_receive(&uart, (u8)(seed >> 8));
		assert_true(uart.rx_count <= 16 && uart.rx_first < 16);
		assert_int_equal(line, uart.line_level);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(linux_probe_finds_a_16550a),
		TEST(linux_test_of_the_transmit_interrupt_passes),
		TEST(every_refill_of_the_fifo_makes_an_edge),
		TEST(received_bytes_interrupt_at_the_level_or_after_a_while),
		TEST(a_full_fifo_refuses),
		TEST(loopback_keeps_bytes_inside_and_can_overrun),
		TEST(modem_changes_are_told_once),
		TEST(any_register_sequence_keeps_the_line_honest),
	};
	return cmocka_run_group_tests_name("unit/uart16550", tests, NULL, NULL);
}
