/* SRCS: hv/memsched_log.c */
/* What was ordered and what was taken is one entry for as long as its cause stays, and adds up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/memsched_log.h"
#include "mm/space.h"

#define SECOND 1000000000ull

static struct vm_memory memory;
static struct space space;
static u64 now;

enum mem_state memsched_state(void)
{
	return MEM_SOFT;
}

static int setup(void **state)
{
	(void)state;
	memset(&memory, 0, sizeof(memory));
	memset(&space, 0, sizeof(space));
	now = 100 * SECOND;
	return 0;
}

static const struct memory_order *entry(u64 back)
{
	return &memory.log[(memory.order_count - 1 - back) % MEMORY_ORDERS];
}

static void an_order_is_one_entry_while_its_cause_stays(void **state)
{
	(void)state;
	space.stats.evicted_swap = 7;
	for (u32 i = 0; i < 3; i++) {
		memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 100 - i);
		space.stats.evicted_swap += 10;
		now += SECOND;
	}
	memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_NOTHING, 0);
	assert_int_equal(memory.order_count, 1);
	assert_int_equal(entry(0)->cause, MEMORY_LIMIT);
	assert_int_equal(entry(0)->state, MEM_SOFT);
	assert_int_equal(entry(0)->pages, 100);
	assert_int_equal(entry(0)->gone.written, 30);
	assert_int_equal(entry(0)->to_ns - entry(0)->from_ns, 3 * SECOND);
	memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 5);
	assert_int_equal(memory.order_count, 2);
	assert_int_equal(entry(0)->gone.written, 0);
}

/* A command beside the scheduler's order: each is told by itself. */
static void a_command_is_an_entry_of_its_own(void **state)
{
	(void)state;
	memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 9);
	for (u32 i = 0; i < 2; i++) {
		memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_COMMAND, 50);
		space.stats.evicted_fill += 20;
		now += SECOND;
		memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_COMMAND, 50);
		memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_NOTHING, 50);
		memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 9);
	}
	assert_int_equal(memory.order_count, 3);
	for (u32 back = 0; back < 2; back++) {
		assert_int_equal(entry(back)->technique, MEMORY_EVICT_COMMAND);
		assert_int_equal(entry(back)->cause, MEMORY_COMMAND);
		assert_int_equal(entry(back)->pages, 50);
		assert_int_equal(entry(back)->gone.zipped, 20);
	}
	assert_int_equal(entry(2)->technique, MEMORY_EVICT);
	assert_int_equal(entry(2)->gone.zipped, 40);
}

static void a_second(u64 for_faults, u64 in_exchange)
{
	space.stats.taken_for_faults += for_faults;
	space.stats.taken_in_exchange += in_exchange;
	space.stats.evicted_zip += for_faults;
	space.stats.evicted_clean += in_exchange;
	now += SECOND;
	memsched_log_note_faults(&memory, &space, now);
}

static void what_faults_take_adds_up_until_a_second_without(void **state)
{
	(void)state;
	a_second(0, 0);
	assert_int_equal(memory.order_count, 0);
	a_second(8, 0);
	a_second(16, 0);
	a_second(24, 0);
	a_second(0, 0);
	a_second(0, 0);
	a_second(32, 0);
	assert_int_equal(memory.order_count, 2);
	assert_int_equal(entry(1)->cause, MEMORY_NO_FRAME);
	assert_int_equal(entry(1)->technique, MEMORY_EVICT_FAULT);
	assert_int_equal(entry(1)->pages, 48);
	assert_int_equal(entry(1)->gone.zipped, 48); /* those of its first second too */
	assert_int_equal(entry(1)->to_ns - entry(1)->from_ns, 3 * SECOND);
	assert_int_equal(entry(0)->pages, 32);
	assert_int_equal(entry(0)->gone.zipped, 32);
}

static void what_is_given_in_exchange_is_told_apart(void **state)
{
	(void)state;
	a_second(8, 64);
	a_second(0, 64);
	assert_int_equal(memory.order_count, 2);
	assert_int_equal(entry(1)->cause, MEMORY_NO_FRAME);
	assert_int_equal(entry(1)->pages, 8);
	assert_int_equal(entry(0)->cause, MEMORY_EXCHANGE);
	assert_int_equal(entry(0)->technique, MEMORY_EVICT_EXCHANGE);
	assert_int_equal(entry(0)->pages, 128);
	assert_int_equal(entry(0)->gone.clean, 128);
}

static void the_oldest_entries_give_way(void **state)
{
	(void)state;
	for (u32 i = 0; i < MEMORY_ORDERS + 3; i++) {
		a_second(8 + i, 0);
		a_second(0, 0);
	}
	assert_int_equal(memory.order_count, MEMORY_ORDERS + 3);
	for (u64 back = 0; back < MEMORY_ORDERS; back++)
		assert_int_equal(entry(back)->pages, 8 + MEMORY_ORDERS + 2 - back);
}

static void every_cause_and_technique_has_a_name(void **state)
{
	(void)state;
	for (u32 i = 0; i < MEMORY_CAUSE_COUNT; i++)
		assert_string_not_equal(memory_cause_name((enum memory_cause)i), "?");
	for (u32 i = 0; i < MEMORY_TECHNIQUE_COUNT; i++)
		assert_string_not_equal(memory_technique_name((enum memory_technique)i), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup(name, setup)
		CASE(an_order_is_one_entry_while_its_cause_stays),
		CASE(a_command_is_an_entry_of_its_own),
		CASE(what_faults_take_adds_up_until_a_second_without),
		CASE(what_is_given_in_exchange_is_told_apart),
		CASE(the_oldest_entries_give_way),
		CASE(every_cause_and_technique_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
