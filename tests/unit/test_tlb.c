/* SRCS: tests/fake/fake_platform.c mm */
/*
 * Generations: who must flush, who is kicked, when gathered frames are freed; and two threads that
 * race for it.
 */
#include "mm/space/tlb.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include <pthread.h>
#include <sched.h>

static struct tlb_domain first, second;
static u32 kicked; /* bit by CPU */
static pfn_t watched;
static enum frame_kind watched_at_kick;

/* The CPU leaves at once, and we see the state of a gathered frame while it was still inside. */
static void kick(u32 cpu)
{
	u32 from = platform_cpu_id();

	kicked |= 1u << cpu;
	if (!pfn_is_none(watched))
		watched_at_kick = frame_kind(watched);
	fake_cpu_set(cpu);
	tlb_leave(&first);
	fake_cpu_set(from);
}

static int setup(void **state)
{
	(void)state;
	fake_start_plain(4, 3000);
	fake_on_kick(kick);
	kicked = 0;
	watched = PFN_NONE;
	assert_int_equal(tlb_domain_init(&first), 0);
	assert_int_equal(tlb_domain_init(&second), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop();
	return 0;
}

static bool enter_on(u32 cpu, struct tlb_domain *domain)
{
	fake_cpu_set(cpu);
	return tlb_enter(domain);
}

static void leave_on(u32 cpu, struct tlb_domain *domain)
{
	fake_cpu_set(cpu);
	tlb_leave(domain);
}

static void narrow_on(u32 cpu, struct tlb_domain *domain)
{
	struct tlb_gather gather;

	fake_cpu_set(cpu);
	tlb_gather_start(&gather, domain);
	tlb_gather_note(&gather);
	tlb_gather_finish(&gather);
}

static void test_first_entry_flushes_and_the_second_does_not(void **state)
{
	(void)state;
	for (u32 cpu = 0; cpu < 4; cpu++) {
		assert_true(enter_on(cpu, &first));
		tlb_leave(&first);
		assert_false(enter_on(cpu, &first));
		tlb_leave(&first);
	}
}

static void test_narrowing_makes_every_cpu_flush_once(void **state)
{
	(void)state;
	for (u32 cpu = 0; cpu < 4; cpu++) {
		(void)enter_on(cpu, &first);
		tlb_leave(&first);
	}
	narrow_on(0, &first);
	assert_int_equal(kicked, 0); /* nobody was inside */
	for (u32 cpu = 0; cpu < 4; cpu++) {
		assert_true(enter_on(cpu, &first));
		tlb_leave(&first);
		assert_false(enter_on(cpu, &first));
		tlb_leave(&first);
	}
}

static void test_only_those_inside_this_domain_are_kicked(void **state)
{
	(void)state;
	(void)enter_on(1, &first);
	(void)enter_on(2, &second);
	(void)enter_on(3, &first);
	narrow_on(0, &first);
	assert_int_equal(kicked, 1u << 1 | 1u << 3);
	assert_int_equal(first.generation, 2);
	leave_on(2, &second);
	assert_false(enter_on(2, &second)); /* the other domain was left alone */
	leave_on(2, &second);
}

static void test_gathered_frames_outlive_the_flush(void **state)
{
	struct tlb_gather gather;

	(void)state;
	(void)enter_on(1, &first);
	fake_cpu_set(0);
	watched = frame_alloc(FRAME_PRIVATE);
	tlb_gather_start(&gather, &first);
	tlb_gather_put(&gather, watched);
	assert_int_equal(frame_kind(watched), FRAME_PRIVATE);
	assert_int_equal(kicked, 0);
	tlb_gather_finish(&gather);
	assert_int_equal(kicked, 1u << 1);
	assert_int_equal(watched_at_kick, FRAME_PRIVATE);
	assert_int_equal(frame_kind(watched), FRAME_FREE);
}

static void test_gathered_2_mib_outlive_the_flush(void **state)
{
	struct tlb_gather gather;
	pfn_t run = frame_alloc_large(FRAME_PRIVATE);
	u64 large = frame_free_large_count();

	(void)state;
	(void)enter_on(1, &first);
	fake_cpu_set(0);
	watched = PFN(run.v + 300);
	tlb_gather_start(&gather, &first);
	tlb_gather_put_large(&gather, run);
	assert_int_equal(kicked, 0);
	tlb_gather_finish(&gather);
	assert_int_equal(kicked, 1u << 1);
	assert_int_equal(watched_at_kick, FRAME_PRIVATE);
	assert_int_equal(frame_free_large_count(), large + 1);
}

static void test_one_round_serves_a_whole_gather(void **state)
{
	struct tlb_gather gather;
	u64 free_frames = frame_free_count(), rounds = first.generation;

	(void)state;
	tlb_gather_start(&gather, &first);
	for (u32 i = 0; i < 2 * TLB_GATHER_FRAMES + 1; i++)
		tlb_gather_put(&gather, frame_alloc(FRAME_PRIVATE));
	tlb_gather_finish(&gather);
	assert_int_equal(first.generation - rounds, 3);
	assert_int_equal(frame_free_count(), free_frames);
	tlb_gather_finish(&gather); /* nothing more to do */
	assert_int_equal(first.generation - rounds, 3);
}

static void test_invalidate_waits_for_nobody(void **state)
{
	(void)state;
	(void)enter_on(1, &first);
	fake_cpu_set(0);
	tlb_invalidate_all(&first);
	assert_int_equal(kicked, 0);
	leave_on(1, &first);
	assert_true(enter_on(1, &first));
	leave_on(1, &first);
}

static void act_narrow(void *domain)
{
	narrow_on(1, domain);
}

static void act_destroy(void *domain)
{
	tlb_domain_destroy(domain);
}

static void act_leave(void *domain)
{
	tlb_leave(domain);
}

static void test_misuse_is_caught(void **state)
{
	(void)state;
	(void)enter_on(1, &first);
	assert_true(fake_panics(act_narrow, &first)); /* from inside its own guest */
	assert_true(fake_panics(act_destroy, &first));
	fake_cpu_set(2);
	assert_true(fake_panics(act_leave, &first));
}

/*
 * One thread "runs a guest" that reads a value through a translation it may keep until it is told
 * to flush; the other changes the value's place as mm does and then spoils the old one. The reader
 * must never see the spoilt one.
 */
#define RACES 2000
static u64 places[2], entry, kick_flag, ended, inside, wrong_reads;

static void race_kick(u32 cpu)
{
	(void)cpu;
	__atomic_store_n(&kick_flag, 1, __ATOMIC_RELEASE);
}

static void *guest_thread(void *arg)
{
	u64 cached = 0;

	fake_cpu_set(1);
	while (!__atomic_load_n(&ended, __ATOMIC_ACQUIRE)) {
		if (tlb_enter(&first))
			cached = 0;
		while (!__atomic_exchange_n(&kick_flag, 0, __ATOMIC_ACQUIRE)) {
			if (!cached)
				cached = __atomic_load_n(&entry, __ATOMIC_ACQUIRE);
			if (cached)
				__atomic_store_n(&inside, 1, __ATOMIC_RELEASE);
			/* Many reads for one look at the kick: it must be waited for. */
			for (u32 k = 0; cached && k < 64; k++)
				wrong_reads +=
					__atomic_load_n(&places[cached - 1], __ATOMIC_ACQUIRE) != 1;
		}
		tlb_leave(&first);
	}
	return arg;
}

static void test_a_racing_guest_sees_no_reused_frame(void **state)
{
	struct tlb_gather gather;
	pthread_t guest;

	(void)state;
	fake_on_kick(race_kick);
	places[0] = 1;
	entry = 1;
	ended = inside = wrong_reads = 0;
	fake_cpu_set(0);
	assert_int_equal(pthread_create(&guest, NULL, guest_thread, NULL), 0);
	for (u64 i = 1; i <= RACES; i++) {
		u64 old = 1 + (i - 1) % 2, new_place = 1 + i % 2;

		while (!__atomic_exchange_n(&inside, 0, __ATOMIC_ACQUIRE))
			sched_yield();
		__atomic_store_n(&places[new_place - 1], 1, __ATOMIC_RELEASE);
		__atomic_exchange_n(&entry, 0, __ATOMIC_SEQ_CST);
		tlb_gather_start(&gather, &first);
		tlb_gather_note(&gather);
		tlb_gather_finish(&gather);
		__atomic_store_n(&places[old - 1], 0xbad, __ATOMIC_RELEASE); /* reused */
		__atomic_store_n(&entry, new_place, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&ended, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&kick_flag, 1, __ATOMIC_RELEASE);
	pthread_join(guest, NULL);
	assert_int_equal(wrong_reads, 0);
}

/*
 * The same with a guest that leaves by itself at once: nearly every narrowing meets it while it
 * enters or leaves, where the order of two stores and loads decides.
 */
#define ENTRY_RACES 200000

static void no_kick(u32 cpu)
{
	(void)cpu;
}

static void *short_visits(void *arg)
{
	u64 cached = 0;

	fake_cpu_set(1);
	while (!__atomic_load_n(&ended, __ATOMIC_ACQUIRE)) {
		if (tlb_enter(&first))
			cached = 0;
		if (!cached)
			cached = __atomic_load_n(&entry, __ATOMIC_ACQUIRE);
		if (cached)
			wrong_reads += __atomic_load_n(&places[cached - 1], __ATOMIC_ACQUIRE) != 1;
		tlb_leave(&first);
	}
	return arg;
}

static void test_narrowing_meets_a_cpu_that_enters(void **state)
{
	struct tlb_gather gather;
	pthread_t guest;

	(void)state;
	fake_on_kick(no_kick);
	places[0] = 1;
	entry = 1;
	ended = wrong_reads = 0;
	fake_cpu_set(0);
	assert_int_equal(pthread_create(&guest, NULL, short_visits, NULL), 0);
	for (u64 i = 1; i <= ENTRY_RACES; i++) {
		u64 old = 1 + (i - 1) % 2, new_place = 1 + i % 2;

		__atomic_store_n(&places[new_place - 1], 1, __ATOMIC_RELEASE);
		__atomic_exchange_n(&entry, 0, __ATOMIC_SEQ_CST);
		tlb_gather_start(&gather, &first);
		tlb_gather_note(&gather);
		tlb_gather_finish(&gather);
		__atomic_store_n(&places[old - 1], 0xbad, __ATOMIC_RELEASE);
		__atomic_store_n(&entry, new_place, __ATOMIC_RELEASE);
		for (volatile u32 wait = 0; wait < i % 64; wait++)
			;
	}
	__atomic_store_n(&ended, 1, __ATOMIC_RELEASE);
	pthread_join(guest, NULL);
	assert_int_equal(wrong_reads, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_first_entry_flushes_and_the_second_does_not, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_narrowing_makes_every_cpu_flush_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_only_those_inside_this_domain_are_kicked, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_gathered_frames_outlive_the_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_gathered_2_mib_outlive_the_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_one_round_serves_a_whole_gather, setup, teardown),
		cmocka_unit_test_setup_teardown(test_invalidate_waits_for_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_misuse_is_caught, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_racing_guest_sees_no_reused_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_narrowing_meets_a_cpu_that_enters, setup, teardown),
	};

	return cmocka_run_group_tests_name("unit/tlb", tests, NULL, NULL);
}
