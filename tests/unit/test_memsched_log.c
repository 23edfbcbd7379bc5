/* SRCS: hv/memory/memsched_log.c */
/* What was ordered and what was taken is one entry for as long as its cause stays, and adds up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/memory/memsched_log.h"
#include "mm/space/space.h"

#define SECOND 1000000000ull

static struct vm_memory memory;
static struct space_stats stats;
static struct space space;
static u64 now;

enum mem_state memsched_state(void)
{
	return MEM_SOFT;
}

/* One set of counters, which the test turns. */
struct space_stats space_stats(const struct space *of)
{
	return *of->counts.sets;
}

u64 space_counts_sum(const struct space_counts *counts, size_t field)
{
	return ((const u64 *)counts->sets)[field];
}

static int setup(void **state)
{
	(void)state;
	memset(&memory, 0, sizeof(memory));
	memset(&stats, 0, sizeof(stats));
	space = (struct space){.counts.sets = &stats};
	now = 100 * SECOND;
	memsched_log_begin(&memory, &space, now);
	return 0;
}

static const struct memory_order *entry(u64 back)
{
	return memsched_log_entry(&memory, back);
}

/* The span that ends @spans before the newest; how many entries it has. */
static u32 span_at(u32 spans, struct memory_span *span)
{
	u32 entries = 0;

	*span = (struct memory_span){0};
	for (u64 back = 0; back < memsched_log_count(&memory); back++) {
		if (!memory_technique_evicts(entry(back)->technique))
			continue;
		entries++;
		if (!memsched_log_span(&memory, back, span))
			continue;
		if (spans-- == 0)
			return entries;
		*span = (struct memory_span){0};
		entries = 0;
	}
	return 0;
}

static u64 gone(const struct memory_gone *g)
{
	return g->zipped + g->written + g->clean;
}

static u64 gone_in(const struct memory_span *span)
{
	return gone(&span->gone_after) - gone(&span->gone_before);
}

static void an_order_is_one_entry_while_its_cause_stays(void **state)
{
	(void)state;
	stats.evicted_swap = 7;
	for (u32 i = 0; i < 3; i++) {
		memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 100 - i);
		stats.evicted_swap += 10;
		now += SECOND;
	}
	memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_NOTHING, 0);
	assert_int_equal(memory.order_count, 1);
	assert_int_equal(entry(0)->cause, MEMORY_LIMIT);
	assert_int_equal(entry(0)->state, MEM_SOFT);
	assert_int_equal(entry(0)->pages, 100);
	assert_int_equal(entry(0)->gone_after.written - entry(0)->gone_before.written, 30);
	assert_int_equal(entry(0)->to_ns - entry(0)->from_ns, 3 * SECOND);
	memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 5);
	assert_int_equal(memory.order_count, 2);
	assert_int_equal(entry(0)->gone_after.written, entry(0)->gone_before.written);
}

/* A command beside the scheduler's order: each is told by itself. */
static void a_command_is_an_entry_of_its_own(void **state)
{
	(void)state;
	memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 9);
	for (u32 i = 0; i < 2; i++) {
		memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_COMMAND, 50);
		stats.evicted_fill += 20;
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
	}
	assert_int_equal(entry(2)->technique, MEMORY_EVICT);
}

/* Two commands and a fault within the scheduler's order, and another after it. */
static void entries_that_overlap_tell_once_what_went(void **state)
{
	struct memory_span span;

	(void)state;
	memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 9);
	for (u32 i = 0; i < 2; i++) {
		memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_COMMAND, 50);
		stats.evicted_fill += 20;
		now += SECOND;
		memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_NOTHING, 50);
		now += SECOND;
		memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_LIMIT, 9);
	}
	memsched_log_note(&memory, &space, now, MEMORY_EVICT, MEMORY_NOTHING, 0);
	now += SECOND;
	memsched_log_note(&memory, &space, now, MEMORY_BALLOON_UP, MEMORY_LIMIT, 5);
	memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_COMMAND, 50);
	stats.evicted_clean += 3;
	now += SECOND;
	memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_NOTHING, 50);
	assert_int_equal(span_at(0, &span), 1);
	assert_int_equal(gone_in(&span), 3);
	assert_int_equal(span.to_ns - span.from_ns, SECOND);
	assert_int_equal(span_at(1, &span), 3);
	assert_int_equal(gone_in(&span), 40);
	assert_int_equal(span.to_ns - span.from_ns, 4 * SECOND);
	assert_int_equal(span_at(2, &span), 0);
}

/* Faults are looked at once a second only: what they took may have gone before an order began. */
static void what_is_noted_late_is_told_with_what_it_overlaps(void **state)
{
	struct memory_span span;

	(void)state;
	stats.taken_for_faults += 8;
	stats.evicted_zip += 8;
	now += SECOND / 2;
	memsched_log_note(&memory, &space, now, MEMORY_EVICT_COMMAND, MEMORY_COMMAND, 50);
	stats.evicted_swap += 50;
	memsched_log_note(&memory, &space, now + 1, MEMORY_EVICT_COMMAND, MEMORY_NOTHING, 50);
	now += SECOND / 2;
	memsched_log_note_faults(&memory, &space, now);
	assert_int_equal(span_at(0, &span), 2);
	assert_int_equal(gone_in(&span), 58);
	assert_int_equal(span.to_ns - span.from_ns, SECOND);
	assert_int_equal(span_at(1, &span), 0);
}

static void a_second(u64 for_faults, u64 in_exchange)
{
	stats.taken_for_faults += for_faults;
	stats.taken_in_exchange += in_exchange;
	stats.evicted_zip += for_faults;
	stats.evicted_clean += in_exchange;
	now += SECOND;
	memsched_log_note_faults(&memory, &space, now);
}

static void what_faults_take_adds_up_until_a_second_without(void **state)
{
	struct memory_span span;

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
	assert_int_equal(entry(1)->to_ns - entry(1)->from_ns, 4 * SECOND); /* its first too */
	assert_int_equal(entry(0)->pages, 32);
	assert_int_equal(span_at(0, &span), 1);
	assert_int_equal(gone_in(&span), 32);
	assert_int_equal(span_at(1, &span), 1);
	assert_int_equal(gone_in(&span), 48);
}

/* A VM that was reset has the space that it had. */
static void what_went_before_a_vm_began_is_not_its_own(void **state)
{
	struct memory_span span;

	(void)state;
	a_second(8, 64);
	memset(&memory, 0, sizeof(memory));
	memsched_log_begin(&memory, &space, now);
	a_second(0, 0);
	assert_int_equal(memory.order_count, 0);
	a_second(1, 0);
	assert_int_equal(memory.order_count, 1);
	assert_int_equal(entry(0)->pages, 1);
	assert_int_equal(span_at(0, &span), 1);
	assert_int_equal(gone_in(&span), 1);
}

static void what_is_given_in_exchange_is_told_apart(void **state)
{
	struct memory_span span;

	(void)state;
	a_second(8, 64);
	a_second(0, 64);
	assert_int_equal(memory.order_count, 2);
	assert_int_equal(entry(1)->cause, MEMORY_NO_FRAME);
	assert_int_equal(entry(1)->pages, 8);
	assert_int_equal(entry(0)->cause, MEMORY_EXCHANGE);
	assert_int_equal(entry(0)->technique, MEMORY_EVICT_EXCHANGE);
	assert_int_equal(entry(0)->pages, 128);
	assert_int_equal(span_at(0, &span), 2);
	assert_int_equal(gone_in(&span), 8 + 128);
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
		CASE(entries_that_overlap_tell_once_what_went),
		CASE(what_is_noted_late_is_told_with_what_it_overlaps),
		CASE(what_went_before_a_vm_began_is_not_its_own),
		CASE(what_faults_take_adds_up_until_a_second_without),
		CASE(what_is_given_in_exchange_is_told_apart),
		CASE(the_oldest_entries_give_way),
		CASE(every_cause_and_technique_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
