/* SRCS: mm/memsched/memsched_entitle.c mm/memsched/memsched_vm.c mm/base/fmt.c tests/sim/ideal.c */
/*
 * The division: by shares, with reservations, ceilings and the idle tax, at its edges, and near
 * enough to another method's. The claims that are refused.
 */
#include "mm/memsched/memsched_entitle.h"
#include "mm/base/check.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/rng.h"
#include "tests/sim/ideal.h"
#include <stdlib.h>
#include <string.h>

/* The real one needs the hypervisor's log. */
void check_failed(const char *file, int line, const char *expr)
{
	(void)file, (void)line, (void)expr;
	abort();
}

static struct mem_vm vm(u64 reservation, u64 ceiling, u64 shares, u64 active)
{
	return (struct mem_vm){.claims = {.memory = ceiling,
				       .reservation = reservation,
				       .limit = ceiling,
				       .shares = shares},
		.ceiling = ceiling,
		.active = active};
}

#define DIVIDE(pages, tax, ...)                                                                    \
	struct mem_vm v[] = {__VA_ARGS__};                                                         \
	mem_entitle(v, ARRAY_COUNT(v), pages, tax)
#define NEAR(value, expected) assert_in_range(value, (expected)-2, (expected) + 2)

static void enough_for_all_is_given_to_all(void **state)
{
	(void)state;
	DIVIDE(3000, 75, vm(0, 1000, 1, 0), vm(500, 2000, 1000, 2000));
	assert_int_equal(v[0].entitled, 1000);
	assert_int_equal(v[1].entitled, 2000);
}

static void two_to_one_shares_give_two_to_one_memory(void **state)
{
	(void)state;
	DIVIDE(3000, 75, vm(0, 4000, 20, 4000), vm(0, 4000, 10, 4000));
	NEAR(v[0].entitled, 2000);
	NEAR(v[1].entitled, 1000);
}

static void all_idle_divide_as_all_active(void **state)
{
	(void)state;
	DIVIDE(3000, 75, vm(0, 4000, 20, 0), vm(0, 4000, 10, 0));
	NEAR(v[0].entitled, 2000);
	NEAR(v[1].entitled, 1000);
}

static void an_idle_vm_pays_the_tax(void **state)
{
	(void)state;
	/* At 75% an idle page costs 4: 4 x idle = busy, idle + busy = 2000. */
	DIVIDE(2000, 75, vm(0, 4000, 10, 0), vm(0, 4000, 10, 4000));
	NEAR(v[0].entitled, 400);
	NEAR(v[1].entitled, 1600);
}

static void without_a_tax_idleness_costs_nothing(void **state)
{
	(void)state;
	DIVIDE(2000, 0, vm(0, 4000, 10, 0), vm(0, 4000, 10, 4000));
	NEAR(v[0].entitled, 1000);
	NEAR(v[1].entitled, 1000);
}

static void the_highest_tax_leaves_one_in_a_hundred(void **state)
{
	(void)state;
	DIVIDE(10100, 99, vm(0, 20000, 10, 0), vm(0, 20000, 10, 20000));
	NEAR(v[0].entitled, 100);
	NEAR(v[1].entitled, 10000);
}

static void only_what_is_idle_is_taxed(void **state)
{
	(void)state;
	/* 500 active and i idle pages cost 500 + 4i, as much as the other's: 500 + i + 500 + 4i =
	 * 2000. */
	DIVIDE(2000, 75, vm(0, 4000, 10, 500), vm(0, 4000, 10, 4000));
	NEAR(v[0].entitled, 700);
	NEAR(v[1].entitled, 1300);
}

static void a_reservation_is_kept_at_others_cost(void **state)
{
	(void)state;
	DIVIDE(1000, 75, vm(800, 1000, 1, 0), vm(0, 1000, 1000, 1000), vm(0, 1000, 1000, 1000));
	assert_int_equal(v[0].entitled, 800);
	NEAR(v[1].entitled, 100);
	assert_int_equal(v[1].entitled + v[2].entitled, 200);
}

static void a_ceiling_leaves_the_rest_to_others(void **state)
{
	(void)state;
	DIVIDE(1000, 75, vm(0, 100, 1000, 100), vm(0, 4000, 10, 4000));
	assert_int_equal(v[0].entitled, 100);
	assert_int_equal(v[1].entitled, 900);
}

static void where_reservations_do_not_fit_each_has_its_own(void **state)
{
	(void)state;
	DIVIDE(100, 75, vm(80, 1000, 10, 0), vm(90, 1000, 10, 1000), vm(0, 1000, 10, 1000));
	assert_int_equal(v[0].entitled, 80);
	assert_int_equal(v[1].entitled, 90);
	assert_int_equal(v[2].entitled, 0);
}

static void one_vm_and_none(void **state)
{
	(void)state;
	DIVIDE(777, 75, vm(10, 1000, 3, 20));
	assert_int_equal(v[0].entitled, 777);
	mem_entitle(v, 0, 777, 75);
	mem_entitle(v, 1, 0, 75);
	assert_int_equal(v[0].entitled, 10);
}

static void the_largest_sizes_do_not_wrap(void **state)
{
	enum { COUNT = 1024 };
	struct mem_vm *v = calloc(COUNT, sizeof(*v));
	u64 sum = 0;

	(void)state;
	for (u32 i = 0; i < COUNT; i++)
		v[i] = vm(0, MEM_PAGES_MAX, i % 2 ? MEM_SHARES_MAX : 1, i % 3 ? 0 : MEM_PAGES_MAX);
	mem_entitle(v, COUNT, COUNT / 2 * MEM_PAGES_MAX, MEM_IDLE_TAX_MAX);
	for (u32 i = 0; i < COUNT; i++) {
		assert_true(v[i].entitled <= MEM_PAGES_MAX);
		sum += v[i].entitled;
	}
	assert_int_equal(sum, COUNT / 2 * MEM_PAGES_MAX);
	assert_int_equal(v[3].entitled, MEM_PAGES_MAX); /* many shares, all active */
	mem_entitle(v, COUNT, ~0ull, 0);
	assert_int_equal(v[0].entitled, MEM_PAGES_MAX);
	free(v);
}

/* Against ideal.c, which sorts the bends of everyone's line; in the sum exactly. */
static void random_divisions_are_as_another_method_has_them(void **state)
{
	enum { MOST = 40 };
	struct rng rng = {rng_seed(7)};
	struct mem_vm v[MOST];
	double ideal[MOST], scratch[3 * MOST];

	(void)state;
	for (u32 round = 0; round < 3000; round++) {
		u32 count = 1 + (u32)rng_below(&rng, MOST),
		    tax = (u32)rng_below(&rng, MEM_IDLE_TAX_MAX + 1);
		u64 floors = 0, ceilings = 0, sum = 0;

		for (u32 i = 0; i < count; i++) {
			u64 memory = 256 + rng_below(&rng, 1u << 22);

			v[i] = vm(rng_chance(&rng, 50) ? 0 : rng_below(&rng, memory), memory,
				1 + rng_below(&rng, 1u << rng_below(&rng, 20)),
				rng_below(&rng, memory + 1));
			floors += v[i].claims.reservation;
			ceilings += v[i].ceiling;
		}
		u64 pages = floors + rng_below(&rng, ceilings - floors + 1);

		mem_entitle(v, count, pages, tax);
		ideal_division(v, count, pages, tax, ideal, scratch);
		for (u32 i = 0; i < count; i++) {
			double off = (double)v[i].entitled - ideal[i];

			assert_true(v[i].entitled >= v[i].claims.reservation &&
				    v[i].entitled <= v[i].ceiling);
			assert_true(off > -50 && off < 50);
			sum += v[i].entitled;
		}
		assert_int_equal(sum, pages);
	}
}

static void impossible_claims_are_refused_in_words(void **state)
{
	static const struct {
		struct mem_claims claims;
		const char *says;
	} bad[] = {
		{{0, 0, 0, 1}, "its memory is 0 MiB; allowed is up to 16777216"},
		{{MEM_PAGES_MAX + 256, 0, 256, 1}, "its memory is 16777217 MiB"},
		{{25600, 51200, 25600, 1},
			"its reservation is 200 MiB; allowed is up to its memory of 100"},
		{{25600, 12800, 2560, 1},
			"its limit is 10 MiB; allowed is from its reservation (50) to its memory (100)"},
		{{25600, 0, 51200, 1}, "its limit is 200 MiB"},
		{{25600, 0, 25600, 0}, "it has 0 shares; allowed is from 1 to 1000000000"},
		{{25600, 0, 25600, MEM_SHARES_MAX + 1ull}, "it has 1000000001 shares"},
		{{~0ull, ~0ull, ~0ull, ~0ull}, "its memory is"},
	};
	const struct mem_claims good = {25600, 25600, 25600, MEM_SHARES_MAX};
	char why[160] = "";

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(bad); i++) {
		assert_int_equal(mem_claims_check(&bad[i].claims, why, sizeof(why)), E_INVAL);
		assert_ptr_equal(strstr(why, bad[i].says), why);
	}
	assert_int_equal(mem_claims_check(&good, why, sizeof(why)), E_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enough_for_all_is_given_to_all),
		cmocka_unit_test(two_to_one_shares_give_two_to_one_memory),
		cmocka_unit_test(all_idle_divide_as_all_active),
		cmocka_unit_test(an_idle_vm_pays_the_tax),
		cmocka_unit_test(without_a_tax_idleness_costs_nothing),
		cmocka_unit_test(the_highest_tax_leaves_one_in_a_hundred),
		cmocka_unit_test(only_what_is_idle_is_taxed),
		cmocka_unit_test(a_reservation_is_kept_at_others_cost),
		cmocka_unit_test(a_ceiling_leaves_the_rest_to_others),
		cmocka_unit_test(where_reservations_do_not_fit_each_has_its_own),
		cmocka_unit_test(one_vm_and_none),
		cmocka_unit_test(the_largest_sizes_do_not_wrap),
		cmocka_unit_test(random_divisions_are_as_another_method_has_them),
		cmocka_unit_test(impossible_claims_are_refused_in_words),
	};

	return cmocka_run_group_tests_name("unit/memsched_entitle", tests, NULL, NULL);
}
