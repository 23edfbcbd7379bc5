/* SRCS: drivers/nvme.c drivers/nvme_admin.c drivers/nvme_queue.c drivers/nvme_request.c
   drivers/nvme_facts.c tests/fake/fake_nvme.c mm/base/lock.c mm/base/log.c mm/base/check.c
   mm/base/fmt.c mm/base/err.c */
/*
 * The NVMe driver against a controller in memory: every way to come up, to fail to, to lose, delay,
 * garble and fail commands. Time is a number that the test moves. What may never happen: a request
 * handed back twice or never, DMA after it was handed back, a CHECK.
 */
#include "tests/unit/nvme_rig.h"

#define SLOTS 63u /* requests that a queue takes */

static void poll_for(u64 ns)
{
	for (u64 end = now_ns + ns; now_ns < end; now_ns += 5000000)
		nvme_poll(nvme, now_ns);
}

/* Submit, wait, give back. Returns the result. */
static err_t run(struct blk_device *blk, enum blk_op op, u64 block, u32 count)
{
	struct job *job = job_new(op, block, count, op == BLK_FLUSH ? 0 : blk->block_bytes, 0);
	err_t err = blk_submit(blk, &job->request);

	for (u32 i = 0; !err && !job->done && i < 100000; i++) {
		nvme_poll(nvme, now_ns);
		now_ns += 5000000;
	}
	if (!err) {
		assert_int_equal(job->done, 1);
		err = job->request.result;
	}
	job_free(job);
	return err;
}

/* --- Coming up -------------------------------------------------------------------------------- */

static void a_controller_comes_up(void **state)
{
	struct blk_device *blk;

	(void)state;
	fake_nvme_add_namespace(&fake, 100, 12);
	assert_int_equal(start(), 0);
	assert_int_equal(nvme_state(nvme), NVME_READY);
	assert_string_equal(nvme_model(nvme), "Fake? disk");
	assert_string_equal(nvme_serial(nvme), "F-1");
	assert_int_equal(nvme_queue_count(nvme), 4);
	assert_int_equal(nvme_queue_depth(nvme), 64);
	assert_int_equal(nvme_namespace_count(nvme), 2);
	blk = nvme_namespace(nvme, 0);
	assert_true(blk->block_bytes == 512 && blk->block_count == 4096);
	assert_string_equal(blk->name, "nvme0n1");
	assert_int_equal(blk->transfer_bytes, KIB(256));
	assert_true(blk->can_deallocate && blk->can_write_zeroes && blk->has_cache);
	blk = nvme_namespace(nvme, 1);
	assert_true(blk->block_bytes == 4096 && blk->block_count == 100);
	assert_null(nvme_namespace(nvme, 2));
	assert_false(nvme_must_poll(nvme));
}

static void an_old_or_listless_controller_numbers_its_namespaces(void **state)
{
	(void)state;
	fake_nvme_add_namespace(&fake, 100, 12);
	fake.version = *(bool *)*state ? 0x10000 : 0x10400;
	fake.no_list = true;
	assert_int_equal(start(), 0);
	assert_int_equal(nvme_namespace_count(nvme), 2);
}

static void fewer_queues_than_cpus_are_shared(void **state)
{
	(void)state;
	fake.granted = 2;
	assert_int_equal(start(), 0);
	assert_int_equal(nvme_queue_count(nvme), 2);
	for (cpu = 0; cpu < CPUS; cpu++)
		assert_int_equal(run(nvme_namespace(nvme, 0), BLK_READ, cpu, 1), 0);
	assert_true(fake.doorbell_writes[1] == 4 && fake.doorbell_writes[2] == 4);
}

static void each_cpu_has_its_queue(void **state)
{
	(void)state;
	fake.stride_shift = 3;
	fake.cap |= (u64)fake.stride_shift << 32;
	assert_int_equal(start(), 0);
	for (cpu = 0; cpu < CPUS; cpu++)
		assert_int_equal(run(nvme_namespace(nvme, 0), BLK_READ, cpu, 1), 0);
	for (u32 i = 1; i <= CPUS; i++)
		assert_int_equal(fake.doorbell_writes[i], 2);
}

static void small_queues_and_transfers_are_respected(void **state)
{
	struct job *jobs[2], *third;
	struct blk_device *blk;

	(void)state;
	fake.cap = (fake.cap & ~0xffffull) | 2; /* 3 entries: 2 requests */
	fake.mdts = 1;
	assert_int_equal(start(), 0);
	fake.at_once = false;
	blk = nvme_namespace(nvme, 0);
	assert_int_equal(blk->transfer_bytes, 8192);
	assert_int_equal(run(blk, BLK_READ, 0, 17), E_INVAL);
	for (u32 i = 0; i < 2; i++) {
		jobs[i] = job_new(BLK_READ, i, 16, 512, 0);
		assert_int_equal(blk_submit(blk, &jobs[i]->request), 0);
	}
	third = job_new(BLK_READ, 5, 1, 512, 0);
	assert_int_equal(blk_submit(blk, &third->request), E_BUSY);
	fake_nvme_run(&fake, 1);
	nvme_poll(nvme, now_ns);
	assert_int_equal(blk_submit(blk, &third->request), 0);
	fake_nvme_run(&fake, 9);
	nvme_poll(nvme, now_ns);
	assert_true(jobs[0]->done && jobs[1]->done && third->done);
	job_free(jobs[0]);
	job_free(jobs[1]);
	job_free(third);
}

static void without_interrupts_it_must_be_polled(void **state)
{
	struct job *job = job_new(BLK_READ, 0, 1, 512, 0);

	(void)state;
	fake.bus.vector_count = 0;
	fake.bus.has_msix = false;
	assert_int_equal(start(), 0);
	assert_int_equal(fake.intms, ~0u);
	fake.at_once = false;
	assert_false(nvme_must_poll(nvme));
	assert_int_equal(blk_submit(nvme_namespace(nvme, 0), &job->request), 0);
	assert_true(blk_must_poll(nvme_namespace(nvme, 0)));
	fake_nvme_run(&fake, 1);
	nvme_poll(nvme, now_ns);
	assert_false(nvme_must_poll(nvme));
	job_free(job);
}

static void what_cannot_be_driven_is_refused_and_cut_off(void **state)
{
	static const u64 caps[] = {
		NVME_CAP_CSS_NVM | 4u << 24,                    /* one entry */
		NVME_CAP_CSS_NVM | 4u << 24 | 63 | 1ull << 48,  /* pages of 8 KiB */
		4u << 24 | 63,                                  /* another command set */
		NVME_CAP_CSS_NVM | 4u << 24 | 63 | 15ull << 32, /* doorbells out of reach */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(caps); i++) {
		fake.cap = caps[i];
		fake.stride_shift = caps[i] >> 32 & 15;
		if (i < 3)
			assert_int_equal(start(), E_UNSUPPORTED);
		else
			assert_int_not_equal(fake.stride_shift, 0);
		assert_true(i == 3 || fake.is_cut_off);
		fake.is_cut_off = false;
	}
	fake.cap = caps[0] | 63;
	fake.stride_shift = 0;
	fake.bus.register_bytes = 0x1000;
	assert_int_equal(start(), E_UNSUPPORTED);
	fake.is_cut_off = false;
	fake.bus.register_bytes = 0x1008; /* the admin queue's doorbells only */
	assert_int_equal(start(), E_UNSUPPORTED);
	assert_string_equal(nvme_state_name(nvme_state(nvme)), "dead");
}

static void what_does_not_come_up_is_dead_in_time(void **state)
{
	u64 before = now_ns;

	fake.never_ready = **(char **)state == 'r';
	fake.fatal_when_enabled = **(char **)state == 'f';
	fake.gone = **(char **)state == 'g';
	if (**(char **)state == 's') {
		fake.never_stops = true;
		fake.csts = NVME_CSTS_RDY;
	}
	assert_int_equal(start(), E_IO);
	assert_true(now_ns - before < 12 * SECOND); /* 4 tries of 2 s, by its own word */
	assert_true(fake.is_cut_off);
	assert_true(strlen(nvme_why(nvme)) > 0);
}

static void a_failed_step_of_the_set_up_is_the_end(void **state)
{
	static const int opcodes[] = {NVME_ADMIN_IDENTIFY, NVME_ADMIN_SET_FEATURES,
		NVME_ADMIN_CREATE_CQ, NVME_ADMIN_CREATE_SQ};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(opcodes); i++) {
		fake.fail_admin = opcodes[i];
		fake.enabled_count = 0;
		assert_int_equal(start(), E_IO);
		assert_int_equal(fake.enabled_count, 4);
		assert_int_equal(nvme_namespace_count(nvme), 0);
		fake.is_cut_off = false;
	}
}

static void a_lost_answer_of_the_set_up_is_asked_for_again(void **state)
{
	(void)state;
	for (u32 lost = 1; lost <= 3; lost++) {
		fake.lose_admin = lost;
		assert_int_equal(start(), 0);
		assert_int_equal(nvme_stats(nvme).resets, lost);
	}
	fake.lose_admin = ~0u;
	assert_int_equal(start(), E_IO);
}

static void odd_namespaces_are_left_out(void **state)
{
	(void)state;
	fake.namespaces[0].blocks = 0;
	fake_nvme_add_namespace(&fake, 10, 9);
	fake.namespaces[1].metadata = 8;
	fake_nvme_add_namespace(&fake, 10, 9);
	fake.namespaces[2].block_shift = 31;
	fake_nvme_add_namespace(&fake, 10, 9);
	fake.namespaces[3].blocks = ~0ull;
	assert_int_equal(start(), 0);
	assert_int_equal(nvme_namespace_count(nvme), 0);
}

static void identify_data_that_is_garbage_does_no_harm(void **state)
{
	(void)state;
	fake.garbage_identify = true;
	for (u32 i = 0; i < 40; i++) {
		fake.random = i + 1;
		(void)!start();
		for (u32 k = 0; k < nvme_namespace_count(nvme); k++) {
			struct blk_device *blk = nvme_namespace(nvme, k);

			assert_true(blk->block_bytes >= 512 && blk->block_bytes <= 4096);
			assert_true(blk->transfer_bytes >= 8192 && blk->transfer_bytes <= KIB(256));
			assert_true(blk->block_count > 0);
		}
		fake_nvme_free(&fake);
		fake_nvme_init(&fake);
		fake.garbage_identify = true;
	}
}

static void no_memory_is_said(void **state)
{
	u32 left = 0;

	(void)state;
	do {
		fake.alloc_left = left++;
		nvme = nvme_create(&fake.bus, "nvme0", CPUS);
	} while (!nvme && left < 100);
	assert_int_equal(left - 1, 1); /* one piece is all it takes */
}

/* --- Requests that go well -------------------------------------------------------------------- */

static void data_goes_where_it_should(void **state)
{
	(void)state;
	fake_nvme_add_namespace(&fake, 512, 12);
	assert_int_equal(start(), 0);
	for (u32 n = 0; n < 2; n++) {
		struct blk_device *blk = nvme_namespace(nvme, n);
		u8 *disk = fake.namespaces[n].data;
		u32 most = blk->transfer_bytes / blk->block_bytes;

		for (u32 i = 0; i < 200; i++) {
			u32 count = i ? 1 + (u32)rand() % most : most;
			u64 block = (u64)rand() % (blk->block_count - count + 1);
			struct job *job = job_new(i % 2 ? BLK_READ : BLK_WRITE, block, count,
				blk->block_bytes, (u32)rand() % 1024 * 4);
			u64 bytes = (u64)count * blk->block_bytes;

			for (u64 k = 0; k < bytes; k++)
				(i % 2 ? disk + block * blk->block_bytes : job->data)[k] =
					(u8)rand();
			assert_int_equal(blk_submit(blk, &job->request), 0);
			nvme_poll(nvme, now_ns);
			assert_true(job->done && job->request.result == 0);
			assert_memory_equal(job->data, disk + block * blk->block_bytes, bytes);
			job_free(job);
		}
	}
}

static void flush_zeroes_and_deallocate(void **state)
{
	struct blk_device *blk;

	(void)state;
	assert_int_equal(start(), 0);
	blk = nvme_namespace(nvme, 0);
	memset(fake.namespaces[0].data, 0x77, 512 * 4096);
	assert_int_equal(run(blk, BLK_FLUSH, 0, 0), 0);
	assert_int_equal(fake.flush_count, 1);
	assert_int_equal(run(blk, BLK_WRITE_ZEROES, 10, 1000), 0);
	assert_int_equal(run(blk, BLK_DEALLOCATE, 2000, 2), 0);
	for (u32 i = 0; i < 4096; i++) {
		u8 expected = i >= 10 && i < 1010 ? 0 : i >= 2000 && i < 2002 ? 0xde : 0x77;

		assert_int_equal(fake.namespaces[0].data[i * 512], expected);
		assert_int_equal(fake.namespaces[0].data[i * 512 + 511], expected);
	}
}

static void unsound_requests_are_refused(void **state)
{
	struct blk_device *blk;
	struct job *job;

	(void)state;
	fake.oncs = 0;
	assert_int_equal(start(), 0);
	blk = nvme_namespace(nvme, 0);
	assert_int_equal(run(blk, BLK_READ, 4096, 1), E_RANGE);
	assert_int_equal(run(blk, BLK_READ, 4095, 2), E_RANGE);
	assert_int_equal(run(blk, BLK_READ, ~0ull, 2), E_RANGE);
	assert_int_equal(run(blk, BLK_READ, 0, 0), E_INVAL);
	assert_int_equal(run(blk, BLK_READ, 0, 513), E_INVAL);
	assert_int_equal(run(blk, BLK_WRITE_ZEROES, 0, 1), E_UNSUPPORTED);
	assert_int_equal(run(blk, BLK_DEALLOCATE, 0, 1), E_UNSUPPORTED);
	assert_int_equal(run(blk, BLK_OP_COUNT, 0, 1), E_INVAL);
	for (u32 i = 0; i < 6; i++) {
		job = job_new(BLK_READ, 0, 32, 512, 0);
		if (i == 0)
			job->segments[1].at.v += 512; /* begins inside a page */
		else if (i == 1)
			job->segments[0].bytes = 512; /* a hole */
		else if (i == 2)
			job->segments[3].bytes = 0;
		else if (i == 3)
			job->segments[0].at.v += 2;
		else if (i == 4)
			job->request.segment_count--;
		else
			job->segments[3].bytes = 4098;
		assert_int_equal(blk_submit(blk, &job->request), E_INVAL);
		job_free(job);
	}
	assert_int_equal(fake.io_count, 0);
}

static void completions_may_come_in_any_order(void **state)
{
	struct job *jobs[SLOTS], *more = job_new(BLK_READ, 0, 1, 512, 0);
	struct blk_device *blk;

	(void)state;
	assert_int_equal(start(), 0);
	blk = nvme_namespace(nvme, 0);
	fake.at_once = false;
	fake.random = 7;
	for (u32 round = 0; round < 20; round++) {
		for (u32 i = 0; i < SLOTS; i++) {
			fake.namespaces[0].data[i * 512] = (u8)(i + round);
			jobs[i] = job_new(BLK_READ, i, 1, 512, 0);
			assert_int_equal(blk_submit(blk, &jobs[i]->request), 0);
		}
		assert_int_equal(blk_submit(blk, &more->request), E_BUSY);
		while (fake_nvme_run(&fake, 5))
			nvme_poll(nvme, now_ns);
		for (u32 i = 0; i < SLOTS; i++) {
			assert_true(jobs[i]->done && jobs[i]->request.result == 0);
			assert_int_equal(jobs[i]->data[0], (u8)(i + round));
			job_free(jobs[i]);
		}
	}
	assert_int_equal(nvme_stats(nvme).completed, 20 * SLOTS);
	job_free(more);
}

/* --- Requests that do not --------------------------------------------------------------------- */

static void transient_errors_are_retried(void **state)
{
	struct blk_device *blk;

	(void)state;
	assert_int_equal(start(), 0);
	blk = nvme_namespace(nvme, 0);
	fake.fail_raw = 0x281;
	fake.fail_count = 2;
	assert_int_equal(run(blk, BLK_READ, 0, 1), 0);
	assert_int_equal(nvme_stats(nvme).retried, 2);
	fake.fail_count = 3;
	assert_int_equal(run(blk, BLK_READ, 0, 1), E_IO);
	fake.fail_count = 1;
	fake.fail_raw = 0x4281; /* do not retry */
	assert_int_equal(run(blk, BLK_WRITE, 0, 1), E_IO);
	fake.fail_count = 1;
	fake.fail_raw = 0x4080;
	assert_int_equal(run(blk, BLK_WRITE, 0, 1), E_RANGE);
	assert_int_equal(fake.fail_count, 0);
	assert_int_equal(nvme_stats(nvme).failed, 3);
	assert_int_equal(nvme_stats(nvme).resets, 0);
}

static void a_late_request_is_aborted_and_tried_again(void **state)
{
	struct job *job = job_new(BLK_READ, 3, 1, 512, 0);

	(void)state;
	assert_int_equal(start(), 0);
	fake.stall = true;
	assert_int_equal(blk_submit(nvme_namespace(nvme, 0), &job->request), 0);
	poll_for(9 * SECOND);
	assert_int_equal(fake.abort_count, 0);
	poll_for(2 * SECOND);
	assert_int_equal(fake.abort_count, 1);
	assert_false(job->done);
	fake.stall = false;
	fake_nvme_run(&fake, 9);
	poll_for(SECOND);
	assert_true(job->done && job->request.result == 0);
	assert_true(nvme_stats(nvme).aborted == 1 && nvme_stats(nvme).timed_out == 1);
	assert_int_equal(nvme_stats(nvme).resets, 0);
	job_free(job);
}

static void a_device_that_only_aborts_fails_the_request(void **state)
{
	(void)state;
	assert_int_equal(start(), 0);
	fake.stall = true;
	assert_int_equal(run(nvme_namespace(nvme, 0), BLK_READ, 0, 1), E_IO);
	assert_int_equal(fake.abort_count, 3);
	assert_int_equal(nvme_state(nvme), NVME_READY);
}

static void a_lost_completion_costs_a_reset_and_no_request(void **state)
{
	struct job *jobs[5];

	(void)state;
	assert_int_equal(start(), 0);
	fake.lose = 1;
	for (u32 i = 0; i < 5; i++) {
		jobs[i] = job_new(BLK_WRITE, i, 1, 512, 0);
		cpu = i % CPUS;
		assert_int_equal(blk_submit(nvme_namespace(nvme, 0), &jobs[i]->request), 0);
	}
	nvme_poll(nvme, now_ns);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(jobs[i]->done, i > 0);
	poll_for(20 * SECOND);
	assert_true(jobs[0]->done && jobs[0]->request.result == 0);
	assert_int_equal(nvme_stats(nvme).resets, 1);
	assert_int_equal(fake.enabled_count, 2);
	assert_false(fake.is_cut_off);
	for (u32 i = 0; i < 5; i++)
		job_free(jobs[i]);
}

static void a_request_that_is_always_lost_fails(void **state)
{
	(void)state;
	assert_int_equal(start(), 0);
	fake.lose = ~0u;
	assert_int_equal(run(nvme_namespace(nvme, 0), BLK_READ, 0, 1), E_IO);
	fake.lose = 0;
	if (nvme_state(nvme) != NVME_DEAD)
		assert_int_equal(run(nvme_namespace(nvme, 0), BLK_READ, 0, 1), 0);
}

static void fatal_status_is_got_over(void **state)
{
	struct job *jobs[SLOTS];

	(void)state;
	assert_int_equal(start(), 0);
	fake.at_once = false;
	for (u32 i = 0; i < SLOTS; i++) {
		jobs[i] = job_new(BLK_READ, i, 1, 512, 0);
		if (i == SLOTS - 1) { /* one comes while it is being reset: it waits */
			fake.csts |= NVME_CSTS_CFS;
			fake.never_ready = true;
			poll_for(SECOND / 10);
			assert_int_equal(nvme_state(nvme), NVME_ENABLING);
			fake.csts |= NVME_CSTS_RDY;
		}
		assert_int_equal(blk_submit(nvme_namespace(nvme, 0), &jobs[i]->request), 0);
	}
	fake.at_once = true;
	poll_for(SECOND);
	for (u32 i = 0; i < SLOTS; i++) {
		assert_true(jobs[i]->done && jobs[i]->request.result == 0);
		job_free(jobs[i]);
	}
	assert_int_equal(nvme_stats(nvme).resets, 1);
	assert_int_equal(nvme_stats(nvme).retried, SLOTS - 1);
}

static void a_dead_device_fails_everything_at_once(void **state)
{
	struct job *jobs[8];
	struct blk_device *blk;

	assert_int_equal(start(), 0);
	blk = nvme_namespace(nvme, 0);
	fake.at_once = false;
	for (u32 i = 0; i < 8; i++) {
		cpu = i % CPUS;
		jobs[i] = job_new(BLK_READ, i, 1, 512, 0);
		assert_int_equal(blk_submit(blk, &jobs[i]->request), 0);
	}
	fake.gone = **(char **)state == 'g';
	fake.fatal_when_enabled = **(char **)state == 'f';
	fake.never_ready = **(char **)state == 'r';
	fake.csts |= NVME_CSTS_CFS;
	poll_for(20 * SECOND);
	for (u32 i = 0; i < 8; i++) {
		assert_true(jobs[i]->done && jobs[i]->request.result == E_IO);
		job_free(jobs[i]);
	}
	assert_true(fake.is_cut_off && blk->is_dead);
	assert_int_equal(nvme_state(nvme), NVME_DEAD);
	assert_int_equal(run(blk, BLK_READ, 0, 1), E_IO);
	assert_false(nvme_must_poll(nvme));
}

static void another_device_in_its_place_is_not_used(void **state)
{
	(void)state;
	assert_int_equal(start(), 0);
	fake.serial = "F-2";
	fake.csts |= NVME_CSTS_CFS;
	poll_for(SECOND);
	assert_int_equal(nvme_state(nvme), NVME_DEAD);
	assert_int_equal(run(nvme_namespace(nvme, 0), BLK_WRITE, 0, 1), E_IO);
}

/* --- Nonsense --------------------------------------------------------------------------------- */

static void completions_of_nothing_are_ignored(void **state)
{
	(void)state;
	assert_int_equal(start(), 0);
	for (u32 i = 0; i < 50; i++) {
		fake.nonsense = 5;
		assert_int_equal(run(nvme_namespace(nvme, 0), BLK_READ, i, 1), 0);
	}
	assert_int_equal(nvme_stats(nvme).bad_completions, 250);
	assert_int_equal(nvme_stats(nvme).completed, 50);
	assert_int_equal(nvme_stats(nvme).resets, 0);
}

static void a_completion_that_comes_twice_counts_once(void **state)
{
	struct job *first = job_new(BLK_READ, 0, 1, 512, 0),
		   *second = job_new(BLK_READ, 1, 1, 512, 0);
	u16 id;

	(void)state;
	assert_int_equal(start(), 0);
	fake.at_once = false;
	assert_int_equal(blk_submit(nvme_namespace(nvme, 0), &first->request), 0);
	id = fake.pending[0].command.id;
	fake_nvme_run(&fake, 1);
	nvme_poll(nvme, now_ns);
	assert_int_equal(first->done, 1);
	/* The slot is used again: the old completion must not end the new request. */
	assert_int_equal(blk_submit(nvme_namespace(nvme, 0), &second->request), 0);
	fake_nvme_complete(&fake, 1, 1, id, 0, 0);
	nvme_poll(nvme, now_ns);
	assert_int_equal(second->done, 0);
	fake_nvme_run(&fake, 1);
	nvme_poll(nvme, now_ns);
	assert_int_equal(second->done, 1);
	assert_int_equal(nvme_stats(nvme).bad_completions, 1);
	job_free(first);
	job_free(second);
}

static void nothing_but_nonsense_is_answered_with_a_reset(void **state)
{
	struct job *job = job_new(BLK_READ, 0, 1, 512, 0);

	(void)state;
	assert_int_equal(start(), 0);
	fake.at_once = false;
	assert_int_equal(blk_submit(nvme_namespace(nvme, 0), &job->request), 0);
	for (u32 i = 0; i < 40; i++)
		fake_nvme_complete(&fake, 1, 1, 0xffff, 0, 0);
	nvme_poll(nvme, now_ns += SECOND);
	for (u32 i = 0; i < 40; i++)
		fake_nvme_complete(&fake, 1, 1, 0xffff, 0, 0);
	fake.at_once = true;
	poll_for(SECOND);
	assert_int_equal(nvme_stats(nvme).resets, 1);
	assert_true(job->done && job->request.result == 0);
	job_free(job);
}

/* Whatever happens: each request ends exactly once, and what ended well did what it says. */
static void a_storm_of_faults(void **state)
{
	u8 *model = calloc(256, 1);
	struct job *jobs[16] = {0};
	u32 ended = 0, ended_well = 0;

	(void)state;
	srand(5);
	assert_int_equal(start(), 0);
	nvme_set_limits(nvme, SECOND / 10, SECOND / 10);
	fake.at_once = false;
	fake.random = 1;
	for (u32 step = 0; step < 60000 && nvme_state(nvme) != NVME_DEAD; step++) {
		u32 i = (u32)rand() % 16;

		if (jobs[i] && jobs[i]->done) {
			bool well = jobs[i]->request.result == 0;

			ended++;
			ended_well += well;
			if (well && jobs[i]->request.op == BLK_READ)
				assert_int_equal(jobs[i]->data[100], model[i]);
			if (jobs[i]->request.op == BLK_WRITE) /* failed: either is right */
				model[i] = fake.namespaces[0].data[i * 512 + 100];
			if (well && jobs[i]->request.op == BLK_WRITE)
				assert_int_equal(jobs[i]->data[100], model[i]);
			job_free(jobs[i]);
			jobs[i] = NULL;
		} else if (!jobs[i]) {
			jobs[i] = job_new(rand() % 2 ? BLK_READ : BLK_WRITE, i, 1, 512, 0);
			jobs[i]->data[100] = (u8)rand();
			cpu = (u32)rand() % CPUS;
			if (blk_submit(nvme_namespace(nvme, 0), &jobs[i]->request)) {
				job_free(jobs[i]);
				jobs[i] = NULL;
			}
		}
		switch (rand() % 400) {
		case 0:
			fake.lose = 1;
			break;
		case 1:
			fake.fail_count = (u32)rand() % 4;
			fake.fail_raw = rand() % 4 ? 0x281 : 0x4281;
			break;
		case 2:
			fake.nonsense = (u32)rand() % 4;
			break;
		case 3:
			fake.stall = !fake.stall;
			break;
		case 4:
			if (rand() % 10 == 0)
				fake.csts |= NVME_CSTS_CFS;
			break;
		case 5:
			fake.lose_admin = rand() % 8 == 0;
			break;
		}
		fake_nvme_run(&fake, (u32)rand() % 4);
		nvme_poll(nvme, now_ns += 2000000);
	}
	fake.lose = fake.lose_admin = fake.nonsense = fake.fail_count = 0;
	fake.stall = false;
	for (u32 k = 0; k < 5000; k++) {
		fake_nvme_run(&fake, 100);
		nvme_poll(nvme, now_ns += 5000000);
	}
	for (u32 i = 0; i < 16; i++) {
		if (!jobs[i])
			continue;
		assert_int_equal(jobs[i]->done, 1);
		job_free(jobs[i]);
	}
	assert_true(ended > 5000 && ended_well > ended / 2);
	free(model);
}

int main(void)
{
	static char *ways[] = {"ready", "fatal", "gone", "stops"};
	static bool old = true, listless = false;
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define TEST_WITH(t, arg)                                                                          \
	{                                                                                          \
#t "(" #arg ")", t, setup, teardown, (void *)(arg)                                 \
	}
	const struct CMUnitTest tests[] = {
		TEST(a_controller_comes_up),
		TEST_WITH(an_old_or_listless_controller_numbers_its_namespaces, &old),
		TEST_WITH(an_old_or_listless_controller_numbers_its_namespaces, &listless),
		TEST(fewer_queues_than_cpus_are_shared),
		TEST(each_cpu_has_its_queue),
		TEST(small_queues_and_transfers_are_respected),
		TEST(without_interrupts_it_must_be_polled),
		TEST(what_cannot_be_driven_is_refused_and_cut_off),
		TEST_WITH(what_does_not_come_up_is_dead_in_time, ways[0]),
		TEST_WITH(what_does_not_come_up_is_dead_in_time, ways[1]),
		TEST_WITH(what_does_not_come_up_is_dead_in_time, ways[2]),
		TEST_WITH(what_does_not_come_up_is_dead_in_time, ways[3]),
		TEST(a_failed_step_of_the_set_up_is_the_end),
		TEST(a_lost_answer_of_the_set_up_is_asked_for_again),
		TEST(odd_namespaces_are_left_out),
		TEST(identify_data_that_is_garbage_does_no_harm),
		TEST(no_memory_is_said),
		TEST(data_goes_where_it_should),
		TEST(flush_zeroes_and_deallocate),
		TEST(unsound_requests_are_refused),
		TEST(completions_may_come_in_any_order),
		TEST(transient_errors_are_retried),
		TEST(a_late_request_is_aborted_and_tried_again),
		TEST(a_device_that_only_aborts_fails_the_request),
		TEST(a_lost_completion_costs_a_reset_and_no_request),
		TEST(a_request_that_is_always_lost_fails),
		TEST(fatal_status_is_got_over),
		TEST_WITH(a_dead_device_fails_everything_at_once, ways[0]),
		TEST_WITH(a_dead_device_fails_everything_at_once, ways[1]),
		TEST_WITH(a_dead_device_fails_everything_at_once, ways[2]),
		TEST(another_device_in_its_place_is_not_used),
		TEST(completions_of_nothing_are_ignored),
		TEST(a_completion_that_comes_twice_counts_once),
		TEST(nothing_but_nonsense_is_answered_with_a_reset),
		TEST(a_storm_of_faults),
	};

	lock_init_cpus(held_ranks, CPUS);
	return cmocka_run_group_tests_name("unit/nvme", tests, NULL, NULL);
}
