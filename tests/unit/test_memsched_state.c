/* SRCS: mm/memsched/memsched_state.c */
/* minFree's sliding scale, the levels of the states, and that a state is not left where it was
 * entered. */
#include "mm/memsched/memsched_state.h"
#include "tests/fake/cmocka.h"

#define FRAMES_MIB(n) (MIB(n) >> PAGE_SHIFT)

/* minFree is 1000 frames. */
static struct mem_levels thousand(void)
{
	struct mem_levels levels;

	mem_levels_set(&levels, 10000, 10, false);
	assert_int_equal(levels.min_free, 1000);
	return levels;
}

static void min_free_slides(void **state)
{
	static const struct {
		u64 host_mib, min_free_mib;
	} cases[] = {
		{0, 0}, {1000, 60}, {4096, 245}, /* 6% of 4 GiB */
		{12288, 573},                    /* + 4% of 8 GiB */
		{28672, 901},                    /* + 2% of 16 GiB */
		{102400, 901 + 737},             /* + 1% of the rest */
	};
	struct mem_levels levels;

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(cases); i++) {
		mem_levels_set(&levels, FRAMES_MIB(cases[i].host_mib), 0, false);
		assert_int_equal(levels.min_free / FRAMES_MIB(1), cases[i].min_free_mib);
	}
}

static void fixed_states_are_the_classic_ones(void **state)
{
	struct mem_levels levels;

	(void)state;
	mem_levels_set(&levels, 10000, 20, true);
	assert_int_equal(levels.min_free, 600);
	assert_int_equal(mem_state_next(&levels, 600, MEM_HIGH), MEM_HIGH);
	assert_int_equal(mem_state_next(&levels, 599, MEM_HIGH), MEM_CLEAR);
	assert_int_equal(mem_state_next(&levels, 399, MEM_HIGH), MEM_SOFT);
	assert_int_equal(mem_state_next(&levels, 199, MEM_HIGH), MEM_HARD);
	assert_int_equal(mem_state_next(&levels, 99, MEM_HIGH), MEM_LOW);
}

static void states_begin_at_their_edges(void **state)
{
	static const struct {
		u64 free_frames;
		enum mem_state expected;
	} cases[] = {{5000, MEM_HIGH}, {1000, MEM_HIGH}, {999, MEM_CLEAR}, {640, MEM_CLEAR},
		{639, MEM_SOFT}, {320, MEM_SOFT}, {319, MEM_HARD}, {160, MEM_HARD}, {159, MEM_LOW},
		{0, MEM_LOW}};
	struct mem_levels levels = thousand();
	enum mem_state now = MEM_HIGH;

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(cases); i++) {
		now = mem_state_next(&levels, cases[i].free_frames, now);
		assert_int_equal(now, cases[i].expected);
	}
}

static void states_end_halfway_up_the_next(void **state)
{
	static const struct {
		u64 free_frames;
		enum mem_state expected;
	} cases[] = {{0, MEM_LOW}, {239, MEM_LOW}, {240, MEM_HARD}, {479, MEM_HARD},
		{480, MEM_SOFT}, {819, MEM_SOFT}, {820, MEM_CLEAR}, {1039, MEM_CLEAR},
		{1040, MEM_HIGH}, {1000, MEM_HIGH}, {999, MEM_CLEAR}, {640, MEM_CLEAR},
		{1020, MEM_CLEAR}};
	struct mem_levels levels = thousand();
	enum mem_state now = MEM_LOW;

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(cases); i++) {
		now = mem_state_next(&levels, cases[i].free_frames, now);
		assert_int_equal(now, cases[i].expected);
	}
	/* From the worst to the best in one step. */
	assert_int_equal(mem_state_next(&levels, 10000, MEM_LOW), MEM_HIGH);
	assert_int_equal(mem_state_next(&levels, 0, MEM_HIGH), MEM_LOW);
}

static void what_is_aimed_at_ends_the_state(void **state)
{
	struct mem_levels levels = thousand();

	(void)state;
	assert_int_equal(mem_state_next(&levels, levels.aim, MEM_SOFT), MEM_CLEAR);
	assert_int_equal(mem_state_next(&levels, levels.urgent_aim, MEM_HARD), MEM_SOFT);
	/* ... and does not plunge into the next. */
	assert_true(levels.aim < levels.min_free && levels.urgent_aim < levels.enter[MEM_SOFT]);
}

static void a_host_without_memory_has_levels(void **state)
{
	struct mem_levels levels;

	(void)state;
	mem_levels_set(&levels, 0, 0, false);
	assert_int_equal(mem_state_next(&levels, 0, MEM_LOW), MEM_HIGH);
	mem_levels_set(&levels, GIB(65536) >> PAGE_SHIFT, 20, false);
	assert_int_equal(levels.min_free, (GIB(65536) >> PAGE_SHIFT) / 5);
	assert_string_equal(mem_state_name(MEM_HARD), "hard");
	assert_string_equal(mem_state_name(MEM_STATE_COUNT), "?");
}

static void techniques_follow_the_state(void **state)
{
	(void)state;
	for (u32 s = 0; s < MEM_STATE_COUNT; s++) {
		assert_int_equal(mem_state_balloons((enum mem_state)s), s >= MEM_SOFT);
		assert_int_equal(mem_state_evicts((enum mem_state)s), s >= MEM_HARD);
		assert_int_equal(mem_state_blocks((enum mem_state)s), s == MEM_LOW);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(min_free_slides),
		cmocka_unit_test(fixed_states_are_the_classic_ones),
		cmocka_unit_test(states_begin_at_their_edges),
		cmocka_unit_test(states_end_halfway_up_the_next),
		cmocka_unit_test(what_is_aimed_at_ends_the_state),
		cmocka_unit_test(a_host_without_memory_has_levels),
		cmocka_unit_test(techniques_follow_the_state),
	};

	return cmocka_run_group_tests_name("unit/memsched_state", tests, NULL, NULL);
}
