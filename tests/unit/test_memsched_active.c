/* SRCS: mm/memsched/memsched_active.c */
/* Active memory from samples: risen to at once, forgotten slowly, never more than there is. */
#include "mm/memsched/memsched_active.h"
#include "tests/fake/cmocka.h"

static void period(struct mem_active *active, u32 accessed)
{
	mem_active_see(active, 100, accessed);
	mem_active_close(active);
}

static void of_a_new_vm_all_is_active(void **state)
{
	struct mem_active active;

	(void)state;
	mem_active_start(&active);
	assert_int_equal(mem_active_pages(&active, 1000), 1000);
	assert_int_equal(mem_active_pages(&active, 0), 0);
}

static void a_steady_part_is_found(void **state)
{
	struct mem_active active;

	(void)state;
	mem_active_start(&active);
	for (u32 i = 0; i < 60; i++)
		period(&active, 30);
	assert_in_range(mem_active_pages(&active, 1000), 298, 302);
}

static void idleness_is_believed_slowly(void **state)
{
	struct mem_active active;

	(void)state;
	mem_active_start(&active);
	period(&active, 0);
	assert_in_range(mem_active_pages(&active, 1000), 870, 876); /* 7/8 */
	period(&active, 0);
	assert_in_range(mem_active_pages(&active, 1000), 760, 767);
}

static void a_sudden_need_is_seen_within_the_period(void **state)
{
	struct mem_active active;

	(void)state;
	mem_active_start(&active);
	for (u32 i = 0; i < 60; i++)
		period(&active, 1);
	assert_true(mem_active_pages(&active, 1000) < 15);
	mem_active_see(&active, 100, 80);
	assert_in_range(mem_active_pages(&active, 1000), 799, 800);
	/* It ends: the fast average remembers for a period or two, then the slow one. */
	mem_active_close(&active);
	assert_in_range(mem_active_pages(&active, 1000), 400, 410);
	period(&active, 1);
	assert_in_range(mem_active_pages(&active, 1000), 200, 215);
	period(&active, 1);
	assert_in_range(mem_active_pages(&active, 1000), 100, 115);
}

static void a_period_without_samples_says_nothing(void **state)
{
	struct mem_active active;

	(void)state;
	mem_active_start(&active);
	mem_active_close(&active);
	mem_active_see(&active, 0, 5);
	mem_active_close(&active);
	assert_int_equal(mem_active_pages(&active, 1000), 1000);
}

static void absurd_numbers_stay_within_bounds(void **state)
{
	struct mem_active active;
	u64 most = GIB(16384) >> PAGE_SHIFT;

	(void)state;
	mem_active_start(&active);
	mem_active_see(&active, 1, ~0u);
	mem_active_close(&active);
	assert_int_equal(mem_active_pages(&active, most), most);
	assert_int_equal(mem_active_pages(&active, ~0ull), ~0ull);
	period(&active, 50);
	assert_in_range(mem_active_pages(&active, ~0ull), ~0ull / 2, ~0ull / 16 * 15 + 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_new_vm_all_is_active),
		cmocka_unit_test(a_steady_part_is_found),
		cmocka_unit_test(idleness_is_believed_slowly),
		cmocka_unit_test(a_sudden_need_is_seen_within_the_period),
		cmocka_unit_test(a_period_without_samples_says_nothing),
		cmocka_unit_test(absurd_numbers_stay_within_bounds),
	};

	return cmocka_run_group_tests_name("unit/memsched_active", tests, NULL, NULL);
}
