/*
 * For tests of the NVMe driver: a controller in memory (tests/fake/fake_nvme.h), the platform,
 * whose time is a number that the test moves, and requests with what they move.
 */
#ifndef TESTS_UNIT_NVME_RIG_H
#define TESTS_UNIT_NVME_RIG_H

#include "mm/base/lock.h"
#include "mm/platform.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_nvme.h"

#include <stdlib.h>
#include <string.h>

#define CPUS   4u
#define SECOND 1000000000ull

static u64 now_ns;
static u32 cpu; /* that the test is on */
static u32 held_ranks[CPUS];

u32 platform_cpu_id(void)
{
	return cpu;
}

u64 platform_now_ns(void)
{
	return now_ns;
}

void platform_log(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

void platform_panic(const char *what)
{
	fail_msg("%s", what);
	abort();
}

static struct fake_nvme fake;
static struct nvme *nvme;

/* Time goes on as it is looked at. */
static u64 tick(void)
{
	return now_ns += 1000000;
}

static int setup(void **state)
{
	(void)state;
	now_ns = SECOND;
	cpu = 0;
	fake_nvme_init(&fake);
	nvme = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_nvme_free(&fake);
	return 0;
}

static err_t start(void)
{
	nvme = nvme_create(&fake.bus, "nvme0", CPUS);
	assert_non_null(nvme);
	return nvme_start(nvme, tick);
}

/* --- Requests --------------------------------------------------------------------------------- */

struct job {
	struct blk_request request;
	struct blk_segment segments[80];
	u8 *memory, *data;
	u32 done;
};

static void job_done(struct blk_request *request)
{
	struct job *job = request->context;

	job->done++;
	assert_int_equal(job->done, 1);
	assert_true(request->result <= 0);
}

/* @pages of buffer, the first of them used from @offset on. */
static struct job *job_new(enum blk_op op, u64 block, u32 count, u32 block_bytes, u32 offset)
{
	struct job *job = calloc(1, sizeof(*job));
	u64 bytes = (u64)count * block_bytes, done = 0;
	bool moves = op == BLK_READ || op == BLK_WRITE;

	assert_non_null(job);
	job->memory = aligned_alloc(PAGE_BYTES, ALIGN_UP(bytes + offset + 1, PAGE_BYTES));
	job->data = job->memory + offset;
	memset(job->data, 0x55, bytes);
	for (u32 i = 0; moves && done < bytes; i++) {
		u64 at = (u64)job->data + done;
		u64 some = min(bytes - done, PAGE_BYTES - at % PAGE_BYTES);

		assert_true(i < ARRAY_COUNT(job->segments));
		job->segments[i] = (struct blk_segment){HPA(at), (u32)some};
		job->request.segment_count = i + 1;
		done += some;
	}
	job->request.op = op;
	job->request.block = block;
	job->request.block_count = count;
	job->request.segments = job->segments;
	job->request.done = job_done;
	job->request.context = job;
	return job;
}

static void job_free(struct job *job)
{
	free(job->memory);
	free(job);
}

#endif
