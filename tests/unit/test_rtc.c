/* SRCS: hv/vdev/rtc.c hv/vdev/civil_time.c */
/*
 * The clock: reading it in every format, setting it, its three interrupts, and the calendar against
 * the C library's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hv/vdev/civil_time.h"
#include "hv/vdev/rtc.h"

#define EPOCH 1700000000ull /* 2023-11-14 22:13:20, a Tuesday */
#define S(n)  ((u64)(n)*1000000000ull)

static struct rtc rtc;
static u32 edges;
static bool line;

static void on_line(void *context, bool level)
{
	(void)context;
	edges += level;
	line = level;
}

static int start(void **state)
{
	(void)state;
	rtc = (struct rtc){.line = on_line};
	edges = 0;
	line = false;
	rtc_init(&rtc, EPOCH);
	rtc_reset(&rtc, 0);
	return 0;
}

static u8 in(u64 now, u8 reg)
{
	rtc_write(&rtc, now, 0, reg);
	return rtc_read(&rtc, now, 1);
}

static void out(u64 now, u8 reg, u8 value)
{
	rtc_write(&rtc, now, 0, reg);
	rtc_write(&rtc, now, 1, value);
}

static void the_time_reads_in_every_format(void **state)
{
	(void)state;
	assert_int_equal(in(0, 0), 0x20);
	assert_int_equal(in(0, 2), 0x13);
	assert_int_equal(in(0, 4), 0x22);
	assert_int_equal(in(0, 6), 3); /* Tuesday */
	assert_int_equal(in(0, 7), 0x14);
	assert_int_equal(in(0, 8), 0x11);
	assert_int_equal(in(0, 9), 0x23);
	assert_int_equal(in(0, 0x32), 0x20);
	assert_int_equal(in(0, 0xd), 0x80);
	out(0, 0xb, 0x06); /* binary, 24 h */
	assert_int_equal(in(0, 4), 22);
	out(0, 0xb, 0x04); /* 12 h */
	assert_int_equal(in(0, 4), 0x80 | 10);
	out(0, 0xb, 0x00);
	assert_int_equal(in(S(2 * 3600), 4), 0x12);  /* midnight */
	assert_int_equal(in(S(14 * 3600), 4), 0x92); /* noon */
}

static void time_goes_on_and_uip_announces_the_second(void **state)
{
	(void)state;
	assert_int_equal(in(S(39), 0), 0x59);
	assert_int_equal(in(S(40), 0), 0x00);
	assert_int_equal(in(S(40), 2), 0x14);
	assert_int_equal(in(S(41) - 300000, 0xa) & 0x80, 0);
	assert_int_equal(in(S(41) - 100000, 0xa) & 0x80, 0x80);
	assert_int_equal(in(S(41), 0xa), 0x26);
}

static void setting_with_set_takes_effect_on_release(void **state)
{
	static const u8 values[][2] = {
		{0, 0x56}, {2, 0x34}, {4, 0x12}, {7, 0x29}, {8, 0x02}, {9, 0x24}, {0x32, 0x20}};

	(void)state;
	out(S(1), 0xb, 0x82);
	for (u32 i = 0; i < sizeof(values) / 2; i++)
		out(S(1), values[i][0], values[i][1]);
	assert_int_equal(in(S(100), 0), 0x56); /* frozen */
	out(S(100), 0xb, 0x02);
	assert_int_equal(in(S(100), 0), 0x56);
	assert_int_equal(in(S(104), 0), 0x00);
	assert_int_equal(in(S(104), 2), 0x35);
	assert_int_equal(in(S(104), 7), 0x29);
	assert_int_equal(in(S(104 + 86400), 8), 0x03); /* 2024 has a 29 February */
	assert_int_equal(in(S(104 + 86400), 7), 0x01);
}

static void a_field_can_be_set_by_itself_and_a_reset_keeps_the_time(void **state)
{
	(void)state;
	out(S(1), 4, 0x05);
	assert_int_equal(in(S(1), 4), 0x05);
	assert_int_equal(in(S(1), 2), 0x13);
	out(S(1), 0x40, 0xab);
	rtc_reset(&rtc, S(2));
	assert_int_equal(in(S(2), 4), 0x05);
	assert_int_equal(in(S(2), 0x40), 0xab);
}

static void the_update_interrupt_comes_each_second(void **state)
{
	(void)state;
	assert_true(rtc_next_event(&rtc) == ~0ull);
	out(S(1) / 2, 0xb, 0x12);
	assert_int_equal(rtc_next_event(&rtc), S(1));
	rtc_tick(&rtc, S(1));
	assert_true(line);
	assert_true(rtc_next_event(&rtc) == ~0ull); /* not again until it is read */
	assert_int_equal(in(S(1), 0xc), 0x90);
	assert_false(line);
	assert_int_equal(rtc_next_event(&rtc), S(2));
	rtc_tick(&rtc, S(2));
	assert_int_equal(edges, 2);
}

static void the_periodic_interrupt_has_its_rate(void **state)
{
	(void)state;
	out(0, 0xa, 0x2f); /* 2 Hz */
	out(0, 0xb, 0x42);
	assert_int_equal(rtc_next_event(&rtc), S(1) / 2);
	rtc_tick(&rtc, S(10) + 1); /* late: once, in phase */
	assert_int_equal(edges, 1);
	in(S(10) + 1, 0xc);
	assert_int_equal(rtc_next_event(&rtc), S(10) + S(1) / 2);
	out(S(11), 0xb, 0x02);
	in(S(11), 0xc);
	assert_true(rtc_next_event(&rtc) == ~0ull);
}

static void the_alarm_matches_what_it_states(void **state)
{
	(void)state;
	out(0, 1, 0x30);
	out(0, 3, 0xff);
	out(0, 5, 0xc0);
	out(0, 0xb, 0x22);
	assert_int_equal(rtc_next_event(&rtc), S(10)); /* second 30 of any minute */
	rtc_tick(&rtc, S(9));
	assert_false(line);
	rtc_tick(&rtc, S(10));
	assert_true(line);
	assert_int_equal(in(S(10), 0xc), 0xb0); /* the update flag is up as well */
	assert_int_equal(rtc_next_event(&rtc), S(70));
	out(S(10), 5, 0x01);
	out(S(10), 3, 0x00);
	out(S(10), 1, 0x00);
	assert_int_equal(rtc_next_event(&rtc), S(2 * 3600 + 46 * 60 + 40)); /* 01:00:00 tomorrow */
	out(S(10), 1, 0x77); /* no such second: never */
	assert_true(rtc_next_event(&rtc) == ~0ull);
}

static void the_calendar_agrees_with_the_c_library(void **state)
{
	struct civil_time t;
	struct tm tm;

	(void)state;
	srandom(1);
	for (u32 i = 0; i < 200000; i++) {
		time_t s = (time_t)((u64)random() * 5);

		gmtime_r(&s, &tm);
		civil_from_epoch((u64)s, &t);
		assert_int_equal(t.year, tm.tm_year + 1900);
		assert_int_equal(t.month, tm.tm_mon + 1);
		assert_int_equal(t.day, tm.tm_mday);
		assert_int_equal(t.hour, tm.tm_hour);
		assert_int_equal(t.minute, tm.tm_min);
		assert_int_equal(t.second, tm.tm_sec);
		assert_int_equal(t.weekday, tm.tm_wday);
		assert_int_equal(civil_to_epoch(&t), s);
	}
}

static void any_register_sequence_does_no_harm(void **state)
{
	u64 now = 0;
	u32 seed = 1;

	(void)state;
	for (u32 i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		now += seed % 3000000000u;
		if (seed >> 31)
			out(now, (seed >> 24) & 0x7f, (u8)(seed >> 8));
		else
			in(now, (seed >> 24) & 0x7f);
		rtc_next_event(&rtc);
		rtc_tick(&rtc, now);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_time_reads_in_every_format),
		TEST(time_goes_on_and_uip_announces_the_second),
		TEST(setting_with_set_takes_effect_on_release),
		TEST(a_field_can_be_set_by_itself_and_a_reset_keeps_the_time),
		TEST(the_update_interrupt_comes_each_second),
		TEST(the_periodic_interrupt_has_its_rate),
		TEST(the_alarm_matches_what_it_states),
		TEST(the_calendar_agrees_with_the_c_library),
		TEST(any_register_sequence_does_no_harm),
	};
	return cmocka_run_group_tests_name("unit/rtc", tests, NULL, NULL);
}
