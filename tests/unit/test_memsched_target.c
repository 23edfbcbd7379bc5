/* SRCS: mm/memsched/memsched_target.c mm/memsched/memsched_entitle.c
   mm/memsched/memsched_state.c */
/* What is ordered in which state, from which VM: each row of the policy. minFree is 1000 frames,
 * the tax 75%. */
#include "mm/memsched/memsched_target.h"
#include "mm/base/check.h"
#include "tests/fake/cmocka.h"
#include <stdlib.h>

/* The real one needs the hypervisor's log. */
void check_failed(const char *file, int line, const char *expr)
{
	(void)file, (void)line, (void)expr;
	abort();
}

static struct mem_host host_of(enum mem_state state, u64 free_frames)
{
	struct mem_host host = {.free_frames = free_frames, .state = state, .idle_tax_pct = 75};

	mem_levels_set(&host.levels, 10000, 10, false);
	return host;
}

/* All of its memory in use, with a balloon that works. */
static struct mem_vm vm_of(u64 memory, u64 consumed)
{
	return (struct mem_vm){.claims = {memory, 0, memory, 10},
		.granted = memory,
		.consumed = consumed,
		.active = memory,
		.balloon_max = memory / 2,
		.balloon_works = true};
}

static void nothing_is_taken_while_memory_is_high_or_clear(void **state)
{
	(void)state;
	for (enum mem_state s = MEM_HIGH; s <= MEM_CLEAR; s++) {
		struct mem_host host = host_of(s, 700);
		struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 2000)};

		v[1].balloon_works = false;
		mem_decide(&host, v, 2);
		for (u32 i = 0; i < 2; i++) {
			assert_int_equal(v[i].balloon_target, 0);
			assert_int_equal(v[i].evict_to, 4000);
			assert_false(v[i].blocked);
		}
		assert_true(v[0].entitled < 3000); /* though it is above its entitlement */
	}
}

static void in_soft_who_is_above_inflates(void **state)
{
	struct mem_host host = host_of(MEM_SOFT, 500);
	struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 1000)};

	(void)state;
	mem_decide(&host, v, 2);
	/* 3000 + 1000 + 500 free - 910 aimed at: 1000 are the second's, who wants no more. */
	assert_int_equal(v[1].entitled, 1000);
	assert_int_equal(v[0].entitled, 2590);
	assert_int_equal(v[0].balloon_target, 410);
	assert_int_equal(v[1].balloon_target, 0);
	assert_int_equal(v[0].evict_to, 4000);
}

static void in_soft_who_has_no_balloon_is_evicted_from(void **state)
{
	struct mem_host host = host_of(MEM_SOFT, 500);
	struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 1000)};

	(void)state;
	v[0].balloon_works = false;
	mem_decide(&host, v, 2);
	assert_int_equal(v[0].balloon_target, 0);
	assert_int_equal(v[0].evict_to, 2590);
	assert_int_equal(v[1].evict_to, 4000);
}

static void what_a_balloon_cannot_take_is_evicted(void **state)
{
	struct mem_host host = host_of(MEM_SOFT, 500);
	struct mem_vm v[] = {vm_of(4000, 3000)};

	(void)state;
	v[0].balloon_max = 100;
	mem_decide(&host, v, 1);
	assert_int_equal(v[0].balloon_target, 100);
	assert_int_equal(v[0].evict_to, 3000 - (410 - 100));
	/* A balloon that lags behind is waited for by nobody. */
	v[0].balloon_max = 2000;
	v[0].balloon_slow = true;
	mem_decide(&host, v, 1);
	assert_int_equal(v[0].balloon_target, 410);
	assert_int_equal(v[0].evict_to, 2590);
}

static void in_hard_half_of_soft_is_evicted_beside_the_balloon(void **state)
{
	struct mem_host host = host_of(MEM_HARD, 200);
	struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 1000)};

	(void)state;
	mem_decide(&host, v, 2);
	assert_int_equal(v[0].balloon_target, 710);
	/* 560 are aimed at, 360 more than are free; rounded down. */
	assert_in_range(v[0].evict_to, 3000 - 360, 3000 - 359);
	assert_int_equal(v[1].evict_to, 4000);
	assert_false(v[0].blocked);
}

static void eviction_is_divided_by_what_each_has_too_much(void **state)
{
	struct mem_host host = host_of(MEM_HARD, 200);
	struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 2700), vm_of(4000, 500)};

	(void)state;
	mem_decide(&host, v, 3);
	u64 first = 3000 - v[0].evict_to, second = 2700 - v[1].evict_to;

	assert_in_range(first + second, 355, 360);
	/* 655 and 355 above 2645 and 2345. */
	assert_true(first > second);
	assert_int_equal(v[2].evict_to, 4000);
}

static void in_low_who_is_above_stands_still_until_below(void **state)
{
	struct mem_host host = host_of(MEM_LOW, 100);
	struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 1000)};

	(void)state;
	mem_decide(&host, v, 2);
	assert_true(v[0].blocked);
	assert_false(v[1].blocked);
	v[0].consumed = v[0].entitled;
	host.free_frames = 910;
	mem_decide(&host, v, 2);
	assert_false(v[0].blocked);
	/* Or until it is no longer low. */
	v[0].consumed = 3000;
	v[0].blocked = true;
	host = host_of(MEM_HARD, 250);
	mem_decide(&host, v, 2);
	assert_false(v[0].blocked);
}

static void a_reservation_is_never_taken(void **state)
{
	(void)state;
	for (enum mem_state s = MEM_HIGH; s <= MEM_LOW; s++) {
		struct mem_host host = host_of(s, 0);
		struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 3000)};

		v[0].claims.reservation = 3000;
		v[1].claims.reservation = 2900;
		v[0].active = v[1].active = 0;
		mem_decide(&host, v, 2);
		assert_true(v[0].evict_to >= 3000 && v[1].evict_to >= 2900);
		assert_int_equal(v[0].balloon_target, 0);
		assert_true(v[1].balloon_target <= 100);
		assert_false(v[0].blocked);
	}
}

static void a_limit_holds_while_memory_is_free(void **state)
{
	struct mem_host host = host_of(MEM_HIGH, 9000);
	struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 3000)};

	(void)state;
	v[0].claims.limit = v[1].claims.limit = 2000;
	v[1].balloon_works = false;
	mem_decide(&host, v, 2);
	assert_int_equal(v[0].entitled, 2000);
	assert_int_equal(v[0].balloon_target, 1000);
	assert_int_equal(v[0].evict_to, 2000);
	assert_int_equal(v[1].evict_to, 2000);
	assert_int_equal(mem_bound(&v[0]), 2000);
}

static void what_is_out_because_of_a_limit_moves_into_the_balloon(void **state)
{
	struct mem_host host = host_of(MEM_HIGH, 9000);
	struct mem_vm v[] = {vm_of(4000, 2000)};

	(void)state;
	v[0].claims.limit = 2000;
	v[0].swapped = 700;
	mem_decide(&host, v, 1);
	assert_int_equal(v[0].balloon_target, 700);
	assert_int_equal(v[0].fetch, 0);
}

static void when_pressure_ends_balloons_and_pages_come_back(void **state)
{
	struct mem_host host = host_of(MEM_HIGH, 5000);
	struct mem_vm v[] = {vm_of(4000, 2000)};

	(void)state;
	v[0].ballooned = 800;
	v[0].swapped = 300;
	v[0].zipped = 100;
	mem_decide(&host, v, 1);
	assert_int_equal(v[0].balloon_target, 0);
	assert_int_equal(v[0].fetch, 400);
}

static void nothing_is_fetched_below_what_is_aimed_at(void **state)
{
	struct mem_host host = host_of(MEM_CLEAR, 1010);
	struct mem_vm v[] = {vm_of(4000, 2000), vm_of(4000, 2000)};

	(void)state;
	v[0].swapped = 300;
	v[1].swapped = 100;
	mem_decide(&host, v, 2);
	assert_true(v[0].fetch + v[1].fetch <= 100);
	assert_true(v[0].fetch + v[1].fetch >= 50);
	host = host_of(MEM_HARD, 300);
	mem_decide(&host, v, 2);
	assert_int_equal(v[0].fetch + v[1].fetch, 0);
}

static void a_waking_vm_gets_its_balloon_back_from_an_idle_one(void **state)
{
	struct mem_host host = host_of(MEM_CLEAR, 910);
	struct mem_vm v[] = {vm_of(4000, 3000), vm_of(4000, 1500)};

	(void)state;
	v[0].active = 100;
	v[1].ballooned = 1500;
	mem_decide(&host, v, 2);
	/* As much as is free above hard, though none is taken from the other yet. */
	assert_in_range(v[1].balloon_target, 1500 - 430, 1500 - 400);
	assert_int_equal(v[0].balloon_target, 0);
	host = host_of(MEM_SOFT, 600);
	mem_decide(&host, v, 2);
	assert_true(v[0].balloon_target > 1000);
	assert_true(v[1].balloon_target < 1500);
}

static void small_corrections_leave_a_balloon_alone(void **state)
{
	struct mem_host host = host_of(MEM_CLEAR, 940);
	struct mem_vm v[] = {vm_of(4000, 2000)};

	(void)state;
	v[0].ballooned = 1000; /* 30 less would do */
	mem_decide(&host, v, 1);
	assert_int_equal(v[0].balloon_target, 1000);
	host.free_frames = 1010;
	mem_decide(&host, v, 1);
	assert_in_range(v[0].balloon_target, 900, 902);
}

static void a_dead_driver_keeps_its_balloon_and_claims_nothing_for_it(void **state)
{
	struct mem_host host = host_of(MEM_HIGH, 5000);
	struct mem_vm v[] = {vm_of(4000, 2000)};

	(void)state;
	v[0].ballooned = 1500;
	v[0].balloon_works = false;
	mem_decide(&host, v, 1);
	assert_int_equal(v[0].balloon_target, 1500);
	assert_int_equal(v[0].entitled, 2000);
}

static void a_vm_that_starts_with_less_starts_with_a_balloon(void **state)
{
	struct mem_host host = host_of(MEM_HIGH, 9000);
	struct mem_vm v[] = {vm_of(4000, 100)};

	(void)state;
	v[0].granted = 2500;
	mem_decide(&host, v, 1);
	assert_int_equal(v[0].balloon_target, 1500);
	/* Before its driver is there, the grant is its limit. */
	v[0].balloon_works = false;
	v[0].consumed = 2600;
	mem_decide(&host, v, 1);
	assert_int_equal(v[0].evict_to, 2500);
}

static void a_grant_grows_where_memory_is_plentiful_and_it_is_used(void **state)
{
	struct mem_vm v = vm_of(4000, 1000);

	(void)state;
	v.granted = 1600;
	v.ballooned = 2400;
	assert_int_equal(mem_grant_next(&v, MEM_HIGH, ~0ull), 1600); /* 600 are left */
	v.consumed = 1500;
	assert_int_equal(mem_grant_next(&v, MEM_HIGH, ~0ull), 1800);
	assert_int_equal(mem_grant_next(&v, MEM_CLEAR, ~0ull), 1600);
	assert_int_equal(mem_grant_next(&v, MEM_HIGH, 200), 1600); /* the guest knows better */
	assert_int_equal(mem_grant_next(&v, MEM_HIGH, 199), 1800);
	v.granted = v.consumed = 3900;
	v.ballooned = 100;
	assert_int_equal(mem_grant_next(&v, MEM_HIGH, ~0ull), 4000);
}

static void who_is_above_his_entitlement_pays_for_pages_that_return(void **state)
{
	(void)state;
	assert_false(mem_pays_itself(1001, 4000, 1000, MEM_HIGH, true));
	assert_true(mem_pays_itself(1001, 4000, 1000, MEM_CLEAR, true));
	assert_false(mem_pays_itself(1001, 4000, 1000, MEM_SOFT, false));
	assert_true(mem_pays_itself(1001, 4000, 1000, MEM_HARD, false));
	assert_false(mem_pays_itself(1000, 4000, 1000, MEM_LOW, true));
}

static void who_is_at_his_limit_pays_whatever_the_state(void **state)
{
	(void)state;
	assert_true(mem_pays_itself(2001, 2000, 3000, MEM_HIGH, false));
	assert_false(mem_pays_itself(2000, 2000, 3000, MEM_LOW, true));
}

static void no_vm_and_the_largest(void **state)
{
	enum { COUNT = 1024 };
	struct mem_host host = host_of(MEM_LOW, 0);
	struct mem_vm *v = calloc(COUNT, sizeof(*v));

	(void)state;
	mem_decide(&host, v, 0);
	for (u32 i = 0; i < COUNT; i++) {
		v[i] = vm_of(MEM_PAGES_MAX, MEM_PAGES_MAX);
		v[i].claims.shares = i % 2 ? 1 : MEM_SHARES_MAX;
		v[i].active = i % 3 ? 0 : MEM_PAGES_MAX;
	}
	mem_levels_set(&host.levels, COUNT * MEM_PAGES_MAX, 20, false);
	mem_decide(&host, v, COUNT);
	for (u32 i = 0; i < COUNT; i++) {
		assert_true(v[i].entitled <= MEM_PAGES_MAX);
		assert_true(
			v[i].evict_to <= MEM_PAGES_MAX && v[i].balloon_target <= v[i].balloon_max);
	}
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_taken_while_memory_is_high_or_clear),
		cmocka_unit_test(in_soft_who_is_above_inflates),
		cmocka_unit_test(in_soft_who_has_no_balloon_is_evicted_from),
		cmocka_unit_test(what_a_balloon_cannot_take_is_evicted),
		cmocka_unit_test(in_hard_half_of_soft_is_evicted_beside_the_balloon),
		cmocka_unit_test(eviction_is_divided_by_what_each_has_too_much),
		cmocka_unit_test(in_low_who_is_above_stands_still_until_below),
		cmocka_unit_test(a_reservation_is_never_taken),
		cmocka_unit_test(a_limit_holds_while_memory_is_free),
		cmocka_unit_test(what_is_out_because_of_a_limit_moves_into_the_balloon),
		cmocka_unit_test(when_pressure_ends_balloons_and_pages_come_back),
		cmocka_unit_test(nothing_is_fetched_below_what_is_aimed_at),
		cmocka_unit_test(a_waking_vm_gets_its_balloon_back_from_an_idle_one),
		cmocka_unit_test(small_corrections_leave_a_balloon_alone),
		cmocka_unit_test(a_dead_driver_keeps_its_balloon_and_claims_nothing_for_it),
		cmocka_unit_test(a_vm_that_starts_with_less_starts_with_a_balloon),
		cmocka_unit_test(a_grant_grows_where_memory_is_plentiful_and_it_is_used),
		cmocka_unit_test(who_is_above_his_entitlement_pays_for_pages_that_return),
		cmocka_unit_test(who_is_at_his_limit_pays_whatever_the_state),
		cmocka_unit_test(no_vm_and_the_largest),
	};

	return cmocka_run_group_tests_name("unit/memsched_target", tests, NULL, NULL);
}
