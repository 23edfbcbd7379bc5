/* SRCS: drivers/nvme.c drivers/nvme_admin.c drivers/nvme_queue.c drivers/nvme_request.c
   drivers/nvme_facts.c tests/fake/fake_nvme.c mm/base/lock.c mm/base/log.c mm/base/check.c
   mm/base/fmt.c mm/base/err.c */
/*
 * The NVMe driver with a queue pair for each of several CPUs: who takes which completions, and that
 * what befalls one pair, or all, costs no request of another.
 */
#include "tests/unit/nvme_rig.h"

#define LEADER 0u

static void start_steered(void)
{
	assert_int_equal(start(), 0);
	fake.bus.is_steered = true;
}

static u32 turn_on(u32 on)
{
	cpu = on;
	return nvme_turn(nvme, now_ns, on == LEADER);
}

/* All CPUs come round again and again. */
static void turns_for(u64 ns)
{
	for (u64 end = now_ns + ns; now_ns < end; now_ns += 5000000) {
		for (u32 i = 0; i < CPUS; i++)
			turn_on(i);
	}
}

static struct job *submit_on(u32 on, u64 block)
{
	struct job *job = job_new(BLK_READ, block, 1, 512, 0);

	cpu = on;
	fake.namespaces[0].data[block * 512] = (u8)block;
	assert_int_equal(blk_submit(nvme_namespace(nvme, 0), &job->request), 0);
	return job;
}

static void expect_read(struct job *job)
{
	assert_int_equal(job->done, 1);
	assert_int_equal(job->request.result, 0);
	assert_int_equal(job->data[0], (u8)job->request.block);
	job_free(job);
}

/* --- Whose completions ------------------------------------------------------------------------ */

static void each_cpu_takes_what_it_asked_for(void **state)
{
	struct job *jobs[CPUS];

	(void)state;
	start_steered();
	for (u32 i = 0; i < CPUS; i++)
		jobs[i] = submit_on(i, i);
	for (u32 i = CPUS; i-- > 0;) {
		assert_int_equal(jobs[i]->done, 0);
		assert_int_equal(turn_on(i), 1);
		assert_int_equal(turn_on(i), 0);
		assert_int_equal(jobs[i]->done, 1);
	}
	for (u32 i = 0; i < CPUS; i++) {
		assert_int_equal(nvme_pair_stats(nvme, i).completions, 1);
		expect_read(jobs[i]);
	}
	assert_int_equal(nvme_stats(nvme).completed, CPUS);
}

static void what_is_not_steered_is_the_leaders(void **state)
{
	struct job *jobs[CPUS];

	(void)state;
	assert_int_equal(start(), 0);
	for (u32 i = 0; i < CPUS; i++)
		jobs[i] = submit_on(i, i);
	for (u32 i = 1; i < CPUS; i++)
		assert_int_equal(turn_on(i), 0);
	assert_int_equal(turn_on(LEADER), CPUS);
	for (u32 i = 0; i < CPUS; i++)
		expect_read(jobs[i]);
}

static void cpus_that_share_a_pair_take_each_others(void **state)
{
	struct job *jobs[CPUS];

	(void)state;
	fake.granted = 2;
	start_steered();
	assert_int_equal(nvme_queue_count(nvme), 2);
	for (u32 i = 0; i < CPUS; i++)
		jobs[i] = submit_on(i, i);
	/* 0 and 2 share one, 1 and 3 the other. */
	assert_int_equal(turn_on(2), 2);
	assert_true(jobs[0]->done && jobs[2]->done && !jobs[1]->done && !jobs[3]->done);
	assert_int_equal(turn_on(LEADER), 0);
	assert_int_equal(turn_on(1), 2);
	for (u32 i = 0; i < CPUS; i++)
		expect_read(jobs[i]);
}

static void there_are_no_more_pairs_than_messages_for_them(void **state)
{
	(void)state;
	fake.bus.vector_count = 3; /* the admin queue has one */
	start_steered();
	assert_int_equal(nvme_queue_count(nvme), 2);
	for (u32 i = 1; i <= 2; i++)
		assert_int_equal(fake.cq[i].vector, i);
	assert_int_equal(fake.cq[0].vector, 0);
}

static void one_message_is_all_pairs(void **state)
{
	(void)state;
	fake.bus.vector_count = 1;
	fake.bus.has_msix = false;
	assert_int_equal(start(), 0);
	assert_int_equal(nvme_queue_count(nvme), CPUS);
	for (u32 i = 1; i <= CPUS; i++)
		assert_int_equal(fake.cq[i].vector, 0);
}

static void interrupts_are_counted_where_they_come(void **state)
{
	(void)state;
	nvme = nvme_create(&fake.bus, "nvme0", CPUS);
	cpu = 3;
	nvme_interrupted(nvme); /* a device that was not even asked yet */
	assert_int_equal(nvme_start(nvme, tick), 0);
	for (cpu = 0; cpu < CPUS; cpu++) {
		for (u32 i = 0; i < cpu; i++)
			nvme_interrupted(nvme);
	}
	assert_int_equal(nvme_pair_stats(nvme, 0).interrupts, 1);
	assert_int_equal(nvme_pair_stats(nvme, 3).interrupts, 3);
	assert_int_equal(nvme_interrupt_count(nvme), 7);
}

/* --- Faults ----------------------------------------------------------------------------------- */

static void time_limits_are_the_leaders(void **state)
{
	struct job *job;

	(void)state;
	start_steered();
	fake.stall = true;
	job = submit_on(2, 7);
	now_ns += 60 * SECOND;
	for (u32 i = 1; i < CPUS; i++)
		turn_on(i);
	assert_int_equal(fake.abort_count, 0);
	turn_on(LEADER);
	assert_int_equal(fake.abort_count, 1);
	fake.stall = false;
	turns_for(SECOND);
	fake_nvme_run(&fake, 9);
	turns_for(SECOND);
	expect_read(job);
	assert_int_equal(nvme_stats(nvme).resets, 0);
}

static void a_pair_that_lost_a_completion_holds_up_no_other(void **state)
{
	struct job *lost, *other;
	u32 before = 0;

	(void)state;
	start_steered();
	fake.lose = 1;
	lost = submit_on(1, 1);
	while (nvme_stats(nvme).resets == 0) {
		other = submit_on(2 + before % 2, 100 + before % 100);
		turn_on(cpu);
		expect_read(other);
		before++;
		turns_for(SECOND / 200);
		assert_true(before < 10000);
	}
	assert_true(before > 1000); /* the limit's time, and its abort's */
	assert_int_equal(lost->done, 0);
	/* While it comes up again all pairs take requests, and keep them. */
	other = submit_on(3, 9);
	for (u32 i = 0; i < 1000; i++) {
		turn_on(LEADER);
		now_ns += 5000000;
	}
	/* The lost one's CPU hands it back, and nobody else. */
	assert_int_equal(lost->done, 0);
	assert_int_equal(turn_on(1), 1);
	assert_int_equal(turn_on(3), 1);
	expect_read(lost);
	expect_read(other);
	assert_int_equal(nvme_stats(nvme).resets, 1);
}

static void a_reset_keeps_the_requests_of_all_pairs(void **state)
{
	struct job *jobs[CPUS][20];

	(void)state;
	start_steered();
	fake.at_once = false;
	for (u32 k = 0; k < 20; k++) {
		for (u32 i = 0; i < CPUS; i++)
			jobs[i][k] = submit_on(i, i * 20 + k);
	}
	fake_nvme_run(&fake, 25); /* some are done, and not taken yet */
	fake.csts |= NVME_CSTS_CFS;
	now_ns += SECOND;
	fake.at_once = true;
	for (u32 i = 0; i < 100; i++, now_ns += 5000000)
		turn_on(LEADER);
	assert_int_equal(nvme_state(nvme), NVME_READY);
	for (u32 i = 0; i < CPUS; i++) {
		turn_on(i);
		for (u32 k = 0; k < 20; k++)
			expect_read(jobs[i][k]);
	}
	assert_int_equal(nvme_stats(nvme).resets, 1);
}

static void death_ends_the_requests_of_all_pairs(void **state)
{
	struct job *jobs[CPUS];

	(void)state;
	start_steered();
	fake.at_once = false;
	for (u32 i = 0; i < CPUS; i++)
		jobs[i] = submit_on(i, i);
	fake.gone = true;
	/* No other CPU needs to come by. */
	for (u32 i = 0; i < 4000 && nvme_state(nvme) != NVME_DEAD; i++, now_ns += 5000000)
		turn_on(LEADER);
	assert_true(fake.is_cut_off);
	for (u32 i = 0; i < CPUS; i++) {
		assert_int_equal(jobs[i]->done, 1);
		assert_int_equal(jobs[i]->request.result, E_IO);
		job_free(jobs[i]);
		assert_int_equal(turn_on(i), 0);
	}
}

static void it_comes_back_with_no_fewer_pairs(void **state)
{
	struct job *job;

	(void)state;
	start_steered();
	fake.at_once = false;
	job = submit_on(3, 3);
	fake.granted = 2;
	fake.at_once = true;
	fake.csts |= NVME_CSTS_CFS;
	turns_for(SECOND);
	/* What pair 3 was asked for has nowhere to go. */
	assert_int_equal(nvme_state(nvme), NVME_DEAD);
	assert_int_equal(job->done, 1);
	assert_int_equal(job->request.result, E_IO);
	job_free(job);
}

/* Any CPU comes by at any time, anything goes wrong: each request ends once, with what it says. */
static void a_storm_on_all_pairs(void **state)
{
	struct job *jobs[CPUS][8] = {0};
	u32 ended = 0;

	(void)state;
	srand(11);
	start_steered();
	nvme_set_limits(nvme, SECOND / 10, SECOND / 10);
	fake.at_once = false;
	fake.random = 3;
	for (u32 step = 0; step < 60000 && nvme_state(nvme) != NVME_DEAD; step++) {
		u32 on = (u32)rand() % CPUS, k = (u32)rand() % 8;

		if (!jobs[on][k]) {
			jobs[on][k] = submit_on(on, on * 8 + k);
		} else if (jobs[on][k]->done) {
			ended++;
			if (jobs[on][k]->request.result == 0)
				assert_int_equal(jobs[on][k]->data[0], (u8)(on * 8 + k));
			job_free(jobs[on][k]);
			jobs[on][k] = NULL;
		}
		if (rand() % 500 == 0)
			fake.lose = 1;
		if (rand() % 3000 == 0)
			fake.csts |= NVME_CSTS_CFS;
		fake_nvme_run(&fake, (u32)rand() % 4);
		now_ns += 500000;
		turn_on((u32)rand() % CPUS);
	}
	assert_true(ended > 5000);
	assert_true(nvme_stats(nvme).resets > 3);
	fake.lose = 0;
	fake.at_once = true;
	turns_for(10 * SECOND);
	for (u32 i = 0; i < CPUS * 8; i++) {
		if (!jobs[i / 8][i % 8])
			continue;
		assert_int_equal(jobs[i / 8][i % 8]->done, 1);
		job_free(jobs[i / 8][i % 8]);
	}
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_cpu_takes_what_it_asked_for),
		TEST(what_is_not_steered_is_the_leaders),
		TEST(cpus_that_share_a_pair_take_each_others),
		TEST(there_are_no_more_pairs_than_messages_for_them),
		TEST(one_message_is_all_pairs),
		TEST(interrupts_are_counted_where_they_come),
		TEST(time_limits_are_the_leaders),
		TEST(a_pair_that_lost_a_completion_holds_up_no_other),
		TEST(a_reset_keeps_the_requests_of_all_pairs),
		TEST(death_ends_the_requests_of_all_pairs),
		TEST(it_comes_back_with_no_fewer_pairs),
		TEST(a_storm_on_all_pairs),
	};

	lock_init_cpus(held_ranks, CPUS);
	return cmocka_run_group_tests_name("unit/nvme_pairs", tests, NULL, NULL);
}
