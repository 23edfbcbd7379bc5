/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * Faults: each state and access to its answer, in both formats; large pages; flushes where they are
 * due.
 */
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/memsched/memsched.h"
#include "mm/space/space_entry.h"
#include <stdio.h>
#include <string.h>

#define COST_CHUNK 32u

static struct frame_account at_start;

static void start(u64 ram_frames)
{
	fake_start_plain(3, ram_frames);
	fake_guest_start();
	frame_account_get(&at_start);
}

static void stop(struct space *space)
{
	struct frame_account now;

	fake_guest_leave_all();
	fake_cpu_set(0);
	assert_true(space_audit(space));
	space_destroy(space);
	frame_account_get(&now);
	assert_memory_equal(&now, &at_start, sizeof(now));
	assert_int_equal(fake_guest_violations(), 0);
	fake_stop();
}

static struct space *make(const struct slat_format *format, u64 bytes, bool large, bool no_exec)
{
	struct space_config config = {.name = "unit",
		.memory_bytes = bytes,
		.format = format,
		.large_pages = large,
		.large_pages_no_exec = no_exec};
	struct space *space;

	assert_int_equal(space_create(&space, &config), E_OK);
	return space;
}

static enum fault_result fault(struct space *space, u64 page, u32 access)
{
	return fault_handle(space, GPA(page * PAGE_BYTES + 123), access);
}

static u32 rights_of(struct space *space, u64 page)
{
	pfn_t frame;

	return slat_rights(space->format, space_leaf(space, GFN(page), &frame));
}

static void each_state(const struct slat_format *format)
{
	start(4000);
	struct space *space = make(format, MIB(4), false, false);
	u64 free_frames = frame_free_count();

	/* Reads and fetches of what was never written cost no frame. */
	assert_int_equal(fault(space, 1, SLAT_READ), FAULT_DONE);
	assert_int_equal(fault(space, 2, SLAT_EXEC), FAULT_DONE);
	assert_int_equal(fault(space, 3, SLAT_READ | FAULT_WALK), FAULT_DONE);
	assert_int_equal(frame_free_count(), free_frames);
	for (u64 page = 1; page <= 3; page++) {
		assert_int_equal(space_page_state(space, GFN(page)), PAGE_ZERO);
		assert_int_equal(rights_of(space, page), SLAT_READ | SLAT_EXEC);
	}
	/* Writes do, one each. */
	assert_int_equal(fault(space, 1, SLAT_WRITE), FAULT_DONE);
	assert_int_equal(fault(space, 4, SLAT_READ | SLAT_WRITE), FAULT_DONE);
	assert_int_equal(fault(space, 5, SLAT_WRITE | FAULT_WALK), FAULT_DONE);
	assert_int_equal(frame_free_count(), free_frames - 3);
	assert_int_equal(space_page_state(space, GFN(1)), PAGE_PRIVATE);
	assert_int_equal(rights_of(space, 4), SPACE_RIGHTS_ALL);
	assert_int_equal(space_counted(space, faults), 6);
	assert_int_equal(space_counted(space, faults_zero_read), 3);
	assert_int_equal(space_counted(space, faults_zero_fill), 3);
	assert_int_equal(space_peak_pages(space), 3);
	/* What is allowed already changes nothing. */
	for (u32 access = SLAT_READ; access <= SLAT_EXEC; access <<= 1)
		assert_int_equal(fault(space, 1, access), FAULT_DONE);
	assert_int_equal(fault(space, 2, SLAT_READ), FAULT_DONE);
	assert_int_equal(space_counted(space, faults_spurious), 4);
	assert_int_equal(frame_free_count(), free_frames - 3);
	stop(space);
}

static void test_each_state_and_access(void **state)
{
	(void)state;
	each_state(&slat_ept);
	each_state(&slat_npt);
}

static void test_addresses_beyond_ram(void **state)
{
	static const u64 gpas[] = {
		MIB(4), GIB(3), 0xfee00000, GIB(4), 1ull << 47, 1ull << 52, ~0ull};

	(void)state;
	start(4000);
	struct space *space = make(&slat_ept, MIB(4), false, false);

	for (u32 i = 0; i < ARRAY_COUNT(gpas); i++)
		assert_int_equal(fault_handle(space, GPA(gpas[i]), SLAT_WRITE), FAULT_NOT_RAM);
	assert_int_equal(space_counted(space, faults), 0);
	stop(space);
}

static void test_new_frames_carry_nothing_over(void **state)
{
	u64 secret = 0x7365637265743031, value;

	(void)state;
	start(1200);
	struct space *space = make(&slat_ept, MIB(2), false, false);

	for (u64 page = 0; page < 512; page++)
		assert_int_equal(
			fake_guest_access(space, GPA(page * 4096 + 8), SLAT_WRITE, &secret, 8),
			FAULT_DONE);
	fake_guest_leave_all();
	space_destroy(space);
	space = make(&slat_npt, MIB(2), false, false);
	for (u64 page = 0; page < 512; page++) {
		u64 one = 1;

		assert_int_equal(fake_guest_access(space, GPA(page * 4096), SLAT_WRITE, &one, 8),
			FAULT_DONE);
		assert_int_equal(
			fake_guest_access(space, GPA(page * 4096 + 8), SLAT_READ, &value, 8),
			FAULT_DONE);
		assert_int_equal(value, 0);
	}
	stop(space);
}

static void test_no_frame_changes_nothing(void **state)
{
	(void)state;
	start(600);
	struct space *space = make(&slat_ept, MIB(4), false, false);
	u64 page = 0;

	while (fault(space, page, SLAT_WRITE) == FAULT_DONE)
		page++;
	assert_int_equal(frame_free_count(), 0);
	assert_int_equal(space_page_state(space, GFN(page)), PAGE_UNTOUCHED);
	assert_int_equal(fault(space, page, SLAT_READ), FAULT_DONE); /* zeros cost nothing */
	assert_int_equal(fault(space, page, SLAT_WRITE), FAULT_NOMEM);
	assert_int_equal(space_page_state(space, GFN(page)), PAGE_ZERO);
	assert_int_equal(space_counted(space, faults_nomem), 2);
	stop(space);
}

/* A CPU that reads zeros through its cache is thrown out before another's write becomes a page. */
static void test_zero_to_private_flushes_the_other_cpu(void **state)
{
	u64 value = ~0ull, seven = 7;

	(void)state;
	start(4000);
	struct space *space = make(&slat_ept, MIB(2), false, false);

	fake_cpu_set(1);
	assert_int_equal(fake_guest_access(space, GPA(0), SLAT_READ, &value, 8), FAULT_DONE);
	assert_int_equal(value, 0);
	fake_cpu_set(2);
	assert_int_equal(fake_guest_access(space, GPA(0), SLAT_WRITE, &seven, 8), FAULT_DONE);
	assert_int_equal(fake_guest_kicks(), 1);
	assert_null(fake_guest_running(1));
	fake_cpu_set(1);
	assert_int_equal(fake_guest_access(space, GPA(0), SLAT_READ, &value, 8), FAULT_DONE);
	assert_int_equal(value, 7);
	stop(space);
}

static void test_untouched_needs_no_flush(void **state)
{
	u64 value = 7;

	(void)state;
	start(4000);
	struct space *space = make(&slat_ept, MIB(2), false, false);

	for (u64 page = 0; page < 512; page++)
		assert_int_equal(fake_guest_access(space, GPA(page * 4096), SLAT_WRITE, &value, 8),
			FAULT_DONE);
	assert_int_equal(space->tlb.generation, 1);
	stop(space);
}

static void test_large_when_plentiful(void **state)
{
	(void)state;
	start(12000);
	struct space *space = make(&slat_ept, MIB(6) + KIB(64), true, false);

	assert_int_equal(fault(space, 5, SLAT_READ), FAULT_DONE);
	assert_int_equal(space_counted(space, faults_large), 1);
	assert_int_equal(space_pages_in_state(space, PAGE_PRIVATE), 512);
	assert_int_equal(rights_of(space, 511), SPACE_RIGHTS_ALL);
	assert_int_equal(fault(space, 700, SLAT_EXEC), FAULT_DONE);
	assert_int_equal(space_counted(space, faults_large), 2);
	/* The last region is not whole. */
	assert_int_equal(fault(space, 1536, SLAT_WRITE), FAULT_DONE);
	assert_int_equal(space_counted(space, faults_large), 2);
	stop(space);
}

static void test_no_large_page_in_a_touched_region(void **state)
{
	(void)state;
	start(12000);
	struct space *space = make(&slat_ept, MIB(4), true, false);

	space->large_pages = false;
	assert_int_equal(fault(space, 5, SLAT_READ), FAULT_DONE);
	space->large_pages = true;
	assert_int_equal(fault(space, 6, SLAT_WRITE), FAULT_DONE);
	assert_int_equal(space_counted(space, large_leaves), 0);
	stop(space);
}

/* Free memory must exceed all that the VMs could still touch. */
static void test_no_large_page_when_promises_exceed_memory(void **state)
{
	(void)state;
	start(12000);
	struct space *space = make(&slat_ept, MIB(4), true, false);
	struct space *other = make(&slat_ept, MIB(46), true, false);

	assert_int_equal(fault(space, 0, SLAT_WRITE), FAULT_DONE);
	assert_int_equal(space_counted(space, large_leaves), 0);
	space_destroy(other);
	assert_int_equal(fault(space, 512, SLAT_WRITE), FAULT_DONE);
	assert_int_equal(space_counted(space, large_leaves), 1);
	stop(space);
}

/* What may be large is so only above 400% of minFree, 24% of this host. */
static void test_no_large_page_near_min_free(void **state)
{
	(void)state;
	start(12000);
	struct memsched_snapshot now;

	memsched_snapshot_get(&now);
	u64 keep = now.min_free_frames * 4;

	while (frame_free_count() > keep + 300)
		assert_false(pfn_is_none(frame_alloc(FRAME_HV)));
	frame_account_get(&at_start);
	struct space *space = make(&slat_ept, MIB(4), true, false);

	assert_int_equal(fault(space, 0, SLAT_WRITE), FAULT_DONE);
	assert_int_equal(space_counted(space, large_leaves), 1);
	assert_int_equal(fault(space, 512, SLAT_WRITE), FAULT_DONE);
	assert_int_equal(space_counted(space, large_leaves), 1);
	stop(space);
}

static void no_exec_splits(const struct slat_format *format)
{
	u64 value = 77, back = 0;

	start(12000);
	struct space *space = make(format, MIB(6), true, true);

	assert_int_equal(fake_guest_access(space, GPA(4096), SLAT_WRITE, &value, 8), FAULT_DONE);
	assert_int_equal(rights_of(space, 1), SLAT_READ | SLAT_WRITE);
	fake_cpu_set(1);
	assert_int_equal(fake_guest_access(space, GPA(4096), SLAT_EXEC, &back, 8), FAULT_DONE);
	assert_int_equal(back, 77);
	assert_int_equal(space_counted(space, splits), 1);
	assert_int_equal(space_counted(space, large_leaves), 0);
	assert_int_equal(rights_of(space, 1), SPACE_RIGHTS_ALL);
	/* A region first touched by a fetch is not mapped large only to be split. */
	assert_int_equal(fake_guest_access(space, GPA(MIB(2)), SLAT_EXEC, &back, 8), FAULT_DONE);
	assert_int_equal(space_counted(space, splits), 1);
	assert_int_equal(space_counted(space, faults_large), 1);
	stop(space);
}

static void test_fetch_from_a_no_exec_large_page_splits_it(void **state)
{
	(void)state;
	no_exec_splits(&slat_ept);
	no_exec_splits(&slat_npt);
}

/* Cycles of the fastest chunk of faults at the end of a VM of @bytes, for each fault. */
static u64 cost_in(u64 bytes)
{
	u64 best = ~0ull, pages = bytes >> PAGE_SHIFT;

	start(pages + 3000);
	struct space *space = make(&slat_ept, bytes, false, false);

	for (u64 page = 0; page < pages; page += COST_CHUNK) {
		u64 from = __builtin_ia32_rdtsc();

		for (u64 i = 0; i < COST_CHUNK; i++)
			assert_int_equal(fault(space, page + i, SLAT_WRITE), FAULT_DONE);
		if (page >= pages / 2)
			best = min(best, (u64)(__builtin_ia32_rdtsc() - from) / COST_CHUNK);
	}
	stop(space);
	return best;
}

/* The figures, taken under the sanitizers, are for the eye; that they do not grow is asserted. */
static void test_cost_does_not_grow_with_memory(void **state)
{
	u64 small = cost_in(MIB(8)), large = cost_in(MIB(64));

	(void)state;
	printf("cycles a fault, sanitized: %llu in 8 MiB, %llu in 64 MiB\n",
		(unsigned long long)small, (unsigned long long)large);
	assert_true(large < small * 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_state_and_access),
		cmocka_unit_test(test_addresses_beyond_ram),
		cmocka_unit_test(test_new_frames_carry_nothing_over),
		cmocka_unit_test(test_no_frame_changes_nothing),
		cmocka_unit_test(test_zero_to_private_flushes_the_other_cpu),
		cmocka_unit_test(test_untouched_needs_no_flush),
		cmocka_unit_test(test_large_when_plentiful),
		cmocka_unit_test(test_no_large_page_in_a_touched_region),
		cmocka_unit_test(test_no_large_page_when_promises_exceed_memory),
		cmocka_unit_test(test_no_large_page_near_min_free),
		cmocka_unit_test(test_fetch_from_a_no_exec_large_page_splits_it),
		cmocka_unit_test(test_cost_does_not_grow_with_memory),
	};

	return cmocka_run_group_tests_name("unit/fault", tests, NULL, NULL);
}
