/* SRCS: tests/fake/fake_platform.c mm */
/*
 * The share index: hints that give way, shared entries that do not, references, salts; and real
 * threads that look up, take and drop the same few shared frames.
 */
#include "mm/share/share_index.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include "tests/fake/rng.h"
#include <pthread.h>

#define HASH 0x123456789abcdef0ull

static int setup(void **state)
{
	(void)state;
	fake_start_plain(4, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop();
	return 0;
}

static pfn_t frame(void)
{
	pfn_t pfn = frame_alloc(FRAME_PRIVATE);

	assert_false(pfn_is_none(pfn));
	return pfn;
}

/* A shared frame that the test has the one reference of. */
static pfn_t shared(u64 hash, u32 salt)
{
	pfn_t pfn = frame_alloc(FRAME_SHARED);

	assert_int_equal(share_index_enter((struct share_id){hash, salt}, pfn, 7), E_OK);
	return pfn;
}

static enum share_found find(u64 hash, u32 salt, pfn_t self, pfn_t *out)
{
	return share_index_find((struct share_id){hash, salt}, self, out);
}

static void test_the_first_leaves_a_hint_that_the_second_finds(void **state)
{
	pfn_t a = frame(), b = frame(), out;

	(void)state;
	assert_int_equal(find(HASH, 1, a, &out), SHARE_FOUND_NOTHING);
	assert_int_equal(find(HASH, 1, a, &out), SHARE_FOUND_NOTHING); /* itself is not another */
	assert_int_equal(find(HASH, 1, b, &out), SHARE_FOUND_HINT);
	assert_int_equal(out.v, a.v);
	assert_int_equal(find(HASH, 2, b, &out), SHARE_FOUND_NOTHING);
}

static void test_a_stale_hint_is_replaced(void **state)
{
	pfn_t a = frame(), b = frame(), c = frame(), out;

	(void)state;
	assert_int_equal(find(HASH, 1, a, &out), SHARE_FOUND_NOTHING);
	share_index_hint((struct share_id){HASH, 1}, b, a);
	assert_int_equal(find(HASH, 1, c, &out), SHARE_FOUND_HINT);
	assert_int_equal(out.v, b.v);
}

static void test_a_shared_frame_is_found_with_a_reference_and_by_its_salt_only(void **state)
{
	pfn_t s = shared(HASH, 3), self = frame(), out;

	(void)state;
	assert_int_equal(share_index_salt(s), 3);
	assert_int_equal(share_index_first(s), 7);
	assert_int_equal(find(HASH, 3, self, &out), SHARE_FOUND_SHARED);
	assert_int_equal(out.v, s.v);
	assert_int_equal(frame_ref_count(s), 2);
	assert_int_equal(find(HASH, 4, self, &out), SHARE_FOUND_NOTHING);
	assert_false(share_index_find_shared((struct share_id){HASH, 5}, &out));
	assert_true(share_index_audit());
	assert_false(share_index_put(s));
	assert_true(share_index_put(s));
	assert_int_equal(frame_kind(s), FRAME_FREE);
	assert_false(share_index_find_shared((struct share_id){HASH, 3}, &out));
	assert_true(share_index_audit());
}

static void test_only_the_last_owner_takes_the_frame(void **state)
{
	pfn_t s = shared(HASH, 3), out;

	(void)state;
	assert_true(share_index_find_shared((struct share_id){HASH, 3}, &out));
	assert_false(share_index_take_last(s));
	assert_false(share_index_put(s));
	frame_pin(s);
	assert_false(share_index_take_last(s)); /* somebody still reads it */
	frame_unpin(s);
	assert_true(share_index_take_last(s));
	assert_int_equal(frame_kind(s), FRAME_PRIVATE);
	assert_false(share_index_find_shared((struct share_id){HASH, 3}, &out));
}

static void test_a_pinned_last_copy_outlives_its_sharers(void **state)
{
	pfn_t s = shared(HASH, 3);

	(void)state;
	frame_pin(s);
	assert_true(share_index_put(s));
	assert_int_equal(frame_kind(s), FRAME_ORPHAN);
	frame_unpin(s);
	assert_int_equal(frame_kind(s), FRAME_FREE);
}

/* Same bucket for all: the upper 40 bits choose it, and the index is small. */
static void test_hints_give_way_and_shared_frames_never(void **state)
{
	pfn_t frames[8], out;
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < 20; i++)
		(void)find(HASH, 100 + i, frame(), &out);
	while (n < 8)
		frames[n] = shared(HASH, 10 + n), n++;
	pfn_t ninth = frame_alloc(FRAME_SHARED);

	assert_int_equal(share_index_enter((struct share_id){HASH, 50}, ninth, 7), E_LIMIT);
	frame_set_kind(ninth, FRAME_PRIVATE);
	assert_int_equal(
		find(HASH, 60, ninth, &out), SHARE_FOUND_NOTHING); /* and no room for a hint */
	for (u32 i = 0; i < 8; i++) {
		assert_true(share_index_find_shared((struct share_id){HASH, 10 + i}, &out));
		assert_int_equal(out.v, frames[i].v);
	}
	assert_true(share_index_audit());
}

#define OTHER_HASH (HASH ^ BIT(63)) /* in another bucket */

/* Eight frames hashed in this order: a bucket that is full of hints. */
static void fill(pfn_t *frames)
{
	pfn_t out;

	for (u32 i = 0; i < 8; i++) {
		frames[i] = frame();
		assert_int_equal(find(HASH, 100 + i, frames[i], &out), SHARE_FOUND_NOTHING);
	}
}

/* What is not there puts a newer hint in: to be asked last. */
static bool stands(u32 salt, pfn_t hinted)
{
	pfn_t out;

	return find(HASH, salt, frame(), &out) == SHARE_FOUND_HINT && out.v == hinted.v;
}

static void test_a_hint_whose_frame_has_other_bytes_or_none_gives_way_first(void **state)
{
	pfn_t frames[8], late[2] = {frame(), frame()}, out;

	(void)state;
	fill(frames);
	assert_int_equal(find(OTHER_HASH, 1, frames[2], &out), SHARE_FOUND_NOTHING);
	frame_free(frames[5]);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(find(HASH, 200 + i, late[i], &out), SHARE_FOUND_NOTHING);
	for (u32 i = 0; i < 8; i++) {
		if (i != 2 && i != 5)
			assert_true(stands(100 + i, frames[i]));
	}
	assert_true(stands(200, late[0]) && stands(201, late[1]));
}

static void test_of_true_hints_the_newest_gives_way(void **state)
{
	pfn_t frames[8], late[2] = {frame(), frame()}, out;

	(void)state;
	fill(frames);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(find(HASH, 200 + i, late[i], &out), SHARE_FOUND_NOTHING);
	for (u32 i = 0; i < 7; i++)
		assert_true(stands(100 + i, frames[i]));
	assert_true(stands(201, late[1]));
	assert_false(stands(200, late[0]));
}

static void test_what_is_hashed_again_to_the_same_keeps_a_place(void **state)
{
	pfn_t frames[8], late = frame(), out;

	(void)state;
	fill(frames);
	/* The eighth loses its place, and gets the seventh's when it comes again. */
	assert_int_equal(find(HASH, 200, late, &out), SHARE_FOUND_NOTHING);
	assert_int_equal(find(HASH, 107, frames[7], &out), SHARE_FOUND_NOTHING);
	for (u32 i = 0; i < 20; i++)
		assert_int_equal(find(HASH, 300 + i, frame(), &out), SHARE_FOUND_NOTHING);
	assert_true(stands(107, frames[7]));
	for (u32 i = 0; i < 6; i++)
		assert_true(stands(100 + i, frames[i]));
	assert_false(stands(106, frames[6]));
}

static void test_the_newest_keeps_its_place_when_it_is_hashed_again_to_the_same(void **state)
{
	pfn_t frames[8], late = frame(), out;

	(void)state;
	fill(frames);
	assert_int_equal(find(HASH, 107, frames[7], &out), SHARE_FOUND_NOTHING);
	assert_int_equal(find(HASH, 200, late, &out), SHARE_FOUND_NOTHING);
	assert_true(stands(107, frames[7]));
	assert_false(stands(106, frames[6]));
}

static void test_a_full_count_starts_a_further_copy(void **state)
{
	pfn_t first = shared(HASH, 1), second, out;

	(void)state;
	share_index_test_count_max(3);
	assert_true(share_index_find_shared((struct share_id){HASH, 1}, &out));
	assert_true(share_index_find_shared((struct share_id){HASH, 1}, &out));
	assert_false(share_index_find_shared((struct share_id){HASH, 1}, &out));
	second = shared(HASH, 1);
	assert_true(share_index_find_shared((struct share_id){HASH, 1}, &out));
	assert_int_equal(out.v, second.v);
	assert_int_equal(frame_ref_count(first), 3);
	assert_true(share_index_audit());
}

static void test_the_audit_sees_a_lost_entry(void **state)
{
	pfn_t s = frame_alloc(FRAME_SHARED); /* never entered */

	(void)state;
	fake_log_quiet(true);
	assert_false(share_index_audit());
	frame_set_kind(s, FRAME_PRIVATE);
	assert_true(share_index_audit());
}

static void test_frame_table_and_index_cost_24_bytes_a_frame(void **state)
{
	(void)state;
	u64 frames = GIB(4) >> PAGE_SHIFT;

	assert_int_equal(share_index_frames(frames) * PAGE_BYTES + frame_table_bytes(PFN(frames)),
		24 * frames);
}

/* --- Threads --------------------------------------------------------------------------------- */

#define THREADS 2
#define HASHES  4

static void *hammer(void *arg)
{
	u64 cpu = (u64)(uintptr_t)arg;
	struct rng rng = {cpu};

	fake_cpu_set((u32)cpu);
	for (u32 i = 0; i < 1000; i++) {
		struct share_id id = {rng_below(&rng, HASHES) << 60, 1};
		pfn_t pfn;

		if (share_index_find_shared(id, &pfn)) {
			/* What is referenced is what was asked for, and lives. */
			if (frame_kind(pfn) != FRAME_SHARED ||
				*(volatile u64 *)platform_frame_va(pfn) != id.hash)
				return "a reference to something else";
			if (rng_chance(&rng, 30) && share_index_take_last(pfn))
				frame_free(pfn);
			else
				share_index_put(pfn);
		} else {
			pfn = frame_alloc(FRAME_SHARED);
			*(volatile u64 *)platform_frame_va(pfn) = id.hash;
			if (share_index_enter(id, pfn, 1)) {
				frame_set_kind(pfn, FRAME_PRIVATE);
				frame_free(pfn);
				continue;
			}
			/* Others find it while this reference lasts. */
			for (u32 k = 0; k < 50; k++)
				__builtin_ia32_pause();
			share_index_put(pfn);
		}
	}
	return NULL;
}

static void test_threads_share_take_and_drop(void **state)
{
	pthread_t threads[THREADS];
	void *problem;
	u64 free_before;

	(void)state;
	free_before = frame_free_count();
	for (u64 i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, hammer, (void *)(uintptr_t)i), 0);
	for (u32 i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &problem);
		assert_null(problem);
	}
	assert_true(share_index_audit());
	assert_true(frame_audit());
	assert_int_equal(frame_free_count(), free_before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_first_leaves_a_hint_that_the_second_finds),
		TEST(test_a_stale_hint_is_replaced),
		TEST(test_a_shared_frame_is_found_with_a_reference_and_by_its_salt_only),
		TEST(test_only_the_last_owner_takes_the_frame),
		TEST(test_a_pinned_last_copy_outlives_its_sharers),
		TEST(test_hints_give_way_and_shared_frames_never),
		TEST(test_a_hint_whose_frame_has_other_bytes_or_none_gives_way_first),
		TEST(test_of_true_hints_the_newest_gives_way),
		TEST(test_what_is_hashed_again_to_the_same_keeps_a_place),
		TEST(test_the_newest_keeps_its_place_when_it_is_hashed_again_to_the_same),
		TEST(test_a_full_count_starts_a_further_copy),
		TEST(test_the_audit_sees_a_lost_entry),
		TEST(test_frame_table_and_index_cost_24_bytes_a_frame),
		TEST(test_threads_share_take_and_drop),
	};

	return cmocka_run_group_tests_name("unit/share_index", tests, NULL, NULL);
}
