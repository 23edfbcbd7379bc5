/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/* One page's way out of memory and back, through every state. */
#include "tests/unit/reclaim_rig.h"
#include "mm/balloon/balloon.h"
#include "mm/reclaim/evict_objects.h"
#include "mm/reclaim/reclaim_age.h"
#include "mm/space/space_peek.h"

static struct space *space;

static int setup(void **state)
{
	(void)state;
	rig_start(4096);
	space = rig_space("one", 1024, 64, 1024);
	return 0;
}

static int teardown(void **state)
{
	rig_end(space);
	return rig_teardown(state);
}

static void a_page_that_shrinks_is_compressed_and_comes_back(void **state)
{
	(void)state;
	rig_fill(space, 7, RIG_SMALL);
	u64 consumed = space_consumed_pages(space);

	assert_int_equal(rig_evict(space, 7), EVICT_CHOSEN);
	assert_int_equal(rig_state(space, 7), PAGE_ZIPPED);
	assert_int_equal(space_consumed_pages(space), consumed - 1);
	assert_true(space_audit(space));
	rig_verify(space, 7, RIG_SMALL);
	assert_int_equal(rig_state(space, 7), PAGE_PRIVATE);
	assert_int_equal(space_counted(space, faults_zip), 1);
	assert_int_equal(rig.disk.writes, 1); /* the header's */
}

static void a_page_of_one_value_takes_no_storage(void **state)
{
	struct zcache_figures zip;

	(void)state;
	rig_fill(space, 7, RIG_VALUE);
	rig_evict(space, 7);
	assert_int_equal(rig_state(space, 7), PAGE_ZIPPED);
	zcache_figures(space->zcache, &zip);
	assert_int_equal(zip.objects, 0);
	rig_verify(space, 7, RIG_VALUE);
	assert_int_equal(space_counted(space, faults_fill), 1);
}

static void a_page_of_zeros_is_untouched_again(void **state)
{
	(void)state;
	rig_write(space, 7, 1);
	rig_write(space, 7, 0);
	rig_evict(space, 7);
	assert_int_equal(rig_state(space, 7), PAGE_UNTOUCHED);
	assert_int_equal(rig_read(space, 7), 0);
	assert_int_equal(rig_state(space, 7), PAGE_ZERO);
}

static void a_page_that_does_not_shrink_is_written_and_read_back(void **state)
{
	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_evict(space, 7);
	assert_int_equal(rig_state(space, 7), PAGE_WRITING);
	assert_true(space_audit(space));
	rig_complete();
	assert_int_equal(rig_state(space, 7), PAGE_SWAPPED);
	assert_true(space_audit(space));

	u64 value;

	assert_int_equal(
		fake_guest_access(space, GPA(7 * PAGE_BYTES), SLAT_READ, &value, 8), FAULT_WAIT);
	fake_guest_leave();
	assert_int_equal(rig_state(space, 7), PAGE_LOADING);
	assert_true(space_audit(space));
	u64 wakes = fake_wakes();

	rig_complete();
	assert_true(fake_wakes() > wakes);
	assert_int_equal(rig_state(space, 7), PAGE_CLEAN);
	rig_verify(space, 7, RIG_RANDOM);
}

static void a_page_that_a_write_waits_for_is_its_own_at_once(void **state)
{
	u64 value = 5;

	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_evict(space, 7);
	rig_complete();
	assert_int_equal(
		fake_guest_access(space, GPA(7 * PAGE_BYTES), SLAT_WRITE, &value, 8), FAULT_WAIT);
	fake_guest_leave();
	rig_complete();
	assert_int_equal(rig_state(space, 7), PAGE_PRIVATE);
	assert_int_equal(swap_file_used(space->swap), 0);
	assert_true(space_audit(space));
	rig_verify(space, 7, RIG_RANDOM);
	u64 faults = space_counted(space, faults);

	rig_write(space, 7, 5);
	assert_int_equal(space_counted(space, faults), faults);
}

static void several_faults_on_a_page_under_read_join(void **state)
{
	u64 value;

	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_evict(space, 7);
	rig_complete();
	u64 reads = rig.disk.reads;

	for (u32 cpu = 0; cpu < 2; cpu++) {
		fake_cpu_set(cpu);
		assert_int_equal(
			fake_guest_access(space, GPA(7 * PAGE_BYTES), SLAT_READ, &value, 8),
			FAULT_WAIT);
		fake_guest_leave();
	}
	fake_cpu_set(0);
	rig_complete();
	assert_int_equal(rig.disk.reads, reads + 1);
	assert_int_equal(space_counted(space, faults_joined), 1);
	rig_verify(space, 7, RIG_RANDOM);
}

static void a_clean_page_is_evicted_with_no_io(void **state)
{
	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_evict(space, 7);
	rig_complete();
	rig_verify(space, 7, RIG_RANDOM);
	u64 writes = rig.disk.writes;

	assert_int_equal(rig_evict(space, 7), EVICT_GONE);
	assert_int_equal(rig_state(space, 7), PAGE_SWAPPED);
	assert_int_equal(rig.disk.writes, writes);
	rig_verify(space, 7, RIG_RANDOM);
}

static void a_write_to_a_clean_page_frees_its_slot(void **state)
{
	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_evict(space, 7);
	rig_complete();
	assert_int_equal(swap_file_used(space->swap), 1);
	rig_write(space, 7, 5);
	assert_int_equal(rig_state(space, 7), PAGE_PRIVATE);
	assert_int_equal(swap_file_used(space->swap), 0);
	assert_int_equal(rig_read(space, 7), 5);
}

static void a_write_during_the_write_out_wins(void **state)
{
	u64 value = 5;

	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_evict(space, 7);
	assert_int_equal(
		fake_guest_access(space, GPA(7 * PAGE_BYTES), SLAT_WRITE, &value, 8), FAULT_DONE);
	fake_guest_leave();
	assert_int_equal(rig_state(space, 7), PAGE_PRIVATE);
	/* It is not chosen again while the device may still read the frame. */
	assert_int_equal(rig_evict(space, 7), EVICT_NOT);
	rig_complete();
	assert_int_equal(rig_state(space, 7), PAGE_PRIVATE);
	assert_int_equal(swap_file_used(space->swap), 0);
	assert_int_equal(rig_read(space, 7), 5);
}

static void a_page_read_during_the_write_out_stays_clean(void **state)
{
	u64 value;

	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_evict(space, 7);
	assert_int_equal(
		fake_guest_access(space, GPA(7 * PAGE_BYTES), SLAT_READ, &value, 8), FAULT_DONE);
	fake_guest_leave();
	rig_complete();
	assert_int_equal(rig_state(space, 7), PAGE_CLEAN);
	rig_verify(space, 7, RIG_RANDOM);
}

static void a_failed_write_loses_nothing(void **state)
{
	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig.disk.fail_nth = 1;
	rig_evict(space, 7);
	rig_complete();
	assert_int_equal(rig_state(space, 7), PAGE_PRIVATE);
	assert_int_equal(swap_file_used(space->swap), 0);
	rig_verify(space, 7, RIG_RANDOM);
}

static void a_page_that_cannot_be_read_is_lost_to_its_vm(void **state)
{
	u64 value;

	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_evict(space, 7);
	rig_complete();
	rig.disk.fail_nth = 1;
	rig.disk.fail_all_after = true;
	assert_int_equal(
		fake_guest_access(space, GPA(7 * PAGE_BYTES), SLAT_READ, &value, 8), FAULT_WAIT);
	fake_guest_leave();
	rig_complete();
	assert_int_equal(
		fake_guest_access(space, GPA(7 * PAGE_BYTES), SLAT_READ, &value, 8), FAULT_CORRUPT);
	fake_guest_leave();
	assert_true(space_audit(space));
}

static void a_dead_disk_is_said_at_once(void **state)
{
	u64 value;

	(void)state;
	rig_fill(space, 7, RIG_RANDOM);
	rig_fill(space, 8, RIG_RANDOM);
	rig_evict(space, 7);
	rig_complete();
	fake_blk_kill(&rig.disk);
	assert_int_equal(
		fake_guest_access(space, GPA(7 * PAGE_BYTES), SLAT_READ, &value, 8), FAULT_CORRUPT);
	fake_guest_leave();
	/* What is in memory stays there. */
	rig_evict(space, 8);
	assert_int_equal(rig_state(space, 8), PAGE_PRIVATE);
	rig_verify(space, 8, RIG_RANDOM);
}

/* One page for each state, in two regions, so that no read brings along what it shall not. */
static const struct {
	u64 page;
	enum rig_kind kind;
	enum page_state state;
} every_state[] = {
	{1, RIG_SMALL, PAGE_ZIPPED_WRITING},
	{2, RIG_VALUE, PAGE_ZIPPED},
	{3, RIG_SMALL, PAGE_ZIPPED},
	{4, RIG_RANDOM, PAGE_CLEAN},
	{5, RIG_RANDOM, PAGE_WRITING},
	{6, RIG_RANDOM, PAGE_PRIVATE},
	{600, RIG_RANDOM, PAGE_LOADING},
	{601, RIG_RANDOM, PAGE_LOADING}, /* comes along */
	{7, RIG_RANDOM, PAGE_SWAPPED},
};

static void put_in_every_state(void)
{
	u64 value;

	for (u32 i = 0; i < ARRAY_COUNT(every_state); i++)
		rig_fill(space, every_state[i].page, every_state[i].kind);
	rig_evict(space, 2);
	rig_evict(space, 600);
	rig_evict(space, 601);
	rig_evict(space, 4);
	rig_complete();
	rig_verify(space, 4, RIG_RANDOM);
	rig_evict(space, 7);
	rig_complete();
	rig_evict(space, 5);
	rig_evict(space, 1);
	assert_int_equal(evict_objects_write(space), 1);
	rig_evict(space, 3);
	assert_int_equal(
		fake_guest_access(space, GPA(600 * PAGE_BYTES), SLAT_READ, &value, 8), FAULT_WAIT);
	fake_guest_leave();
	for (u32 i = 0; i < ARRAY_COUNT(every_state); i++)
		assert_int_equal(rig_state(space, every_state[i].page), every_state[i].state);
	assert_true(space_audit(space));
}

static void a_reset_frees_every_state(void **state)
{
	(void)state;
	put_in_every_state();
	space_clear(space);
	assert_true(space_audit(space));
	rig_complete();
	assert_int_equal(swap_file_used(space->swap), 0);
	assert_int_equal(space_consumed_pages(space), 0);
}

static void the_balloon_frees_every_state(void **state)
{
	u64 pages[ARRAY_COUNT(every_state)];
	err_t why;

	(void)state;
	put_in_every_state();
	for (u32 i = 0; i < ARRAY_COUNT(every_state); i++)
		pages[i] = every_state[i].page;
	assert_int_equal(
		balloon_inflate(space, pages, ARRAY_COUNT(pages), 0, &why), ARRAY_COUNT(pages));
	assert_true(space_audit(space));
	rig_complete();
	assert_true(space_audit(space));
	assert_int_equal(swap_file_used(space->swap), 0);
	assert_int_equal(space_consumed_pages(space), 0);
	for (u32 i = 0; i < ARRAY_COUNT(every_state); i++)
		assert_int_equal(rig_read(space, pages[i]), 0);
}

static void the_end_of_a_vm_orphans_what_is_under_way(void **state)
{
	(void)state;
	put_in_every_state();
	rig_end(space);
	rig_complete();
	space = rig_space("one", 1024, 64, 1024);
}

static void every_state_comes_back_with_its_bytes(void **state)
{
	(void)state;
	put_in_every_state();
	for (u32 round = 0; round < 2; round++) {
		for (u32 i = 0; i < ARRAY_COUNT(every_state); i++)
			rig_verify(space, every_state[i].page, every_state[i].kind);
		rig_complete();
		assert_true(space_audit(space));
	}
}

static void an_object_is_written_as_it_is_and_comes_back(void **state)
{
	struct zcache_figures zip;

	(void)state;
	rig_fill(space, 1, RIG_SMALL);
	rig_evict(space, 1);
	assert_int_equal(evict_objects_write(space), 1);
	rig_complete();
	assert_int_equal(rig_state(space, 1), PAGE_SWAPPED);
	zcache_figures(space->zcache, &zip);
	assert_int_equal(zip.objects, 0);
	rig_verify(space, 1, RIG_SMALL);
	assert_int_equal(rig_state(space, 1), PAGE_CLEAN);
	assert_int_equal(space_counted(space, evicted_object), 1);
}

static void an_object_that_could_not_be_written_stays_in_the_cache(void **state)
{
	(void)state;
	rig_fill(space, 1, RIG_SMALL);
	rig_evict(space, 1);
	rig.disk.fail_nth = 1;
	assert_int_equal(evict_objects_write(space), 1);
	rig_complete();
	assert_int_equal(rig_state(space, 1), PAGE_ZIPPED);
	rig_verify(space, 1, RIG_SMALL);
}

static void pages_brought_in_for_a_vcpu_stay_until_it_moves_on(void **state)
{
	(void)state;
	fault_guard_use(space, 0);
	rig_write(space, 7, 1);
	assert_int_equal(rig_evict(space, 7), EVICT_NOT);
	for (u64 page = 100; page < 100 + FAULT_GUARD_PAGES - 1; page++)
		rig_write(space, page, page);
	assert_int_equal(rig_evict(space, 7), EVICT_NOT);
	rig_write(space, 200, 1); /* one more than are protected */
	assert_int_equal(rig_evict(space, 7), EVICT_CHOSEN);
	assert_int_equal(rig_evict(space, 200), EVICT_NOT);
	fault_guard_moved_on();
	assert_int_equal(rig_evict(space, 200), EVICT_CHOSEN);
	fault_guard_use(NULL, 0);
}

static void a_page_that_is_overwritten_is_not_fetched(void **state)
{
	pfn_t pfn;

	(void)state;
	for (u64 page = 7; page <= 8; page++) {
		rig_fill(space, page, page == 7 ? RIG_RANDOM : RIG_SMALL);
		rig_evict(space, page);
	}
	rig_complete();
	u64 reads = rig.disk.reads;

	for (u64 page = 7; page <= 8; page++) {
		assert_int_equal(space_pin_overwrite(space, GFN(page), &pfn), 0);
		assert_int_equal(rig_read(space, page), 0);
		memset(platform_frame_va(pfn), 0x11, PAGE_BYTES);
		space_unpin(space, pfn);
		assert_int_equal(rig_read(space, page), 0x1111111111111111);
	}
	assert_int_equal(rig.disk.reads, reads);
	assert_int_equal(swap_file_used(space->swap), 0);
	assert_int_equal(space_counted(space, overwritten), 2);
}

static err_t peek_result;

static void peeked(struct space_peek *peek, err_t result)
{
	(void)peek;
	peek_result = result;
}

static void a_device_reads_a_page_where_it_is(void **state)
{
	static const struct {
		enum rig_kind kind;
		enum page_state state;
		err_t answer;
	} pages[] = {{RIG_SMALL, PAGE_ZIPPED, E_OK}, {RIG_VALUE, PAGE_ZIPPED, E_OK},
		{RIG_RANDOM, PAGE_SWAPPED, E_WAIT}};
	struct space_peek peek = {.to = frame_alloc(FRAME_HV), .done = peeked};
	u8 bytes[PAGE_BYTES];

	(void)state;
	for (u64 page = 0; page < ARRAY_COUNT(pages); page++) {
		rig_fill(space, page, pages[page].kind);
		assert_int_equal(space_peek(space, GFN(page), &peek), E_EXIST);
		rig_evict(space, page);
		rig_complete();
		peek_result = 1;
		assert_int_equal(space_peek(space, GFN(page), &peek), pages[page].answer);
		rig_complete();
		assert_int_equal(peek_result, pages[page].answer == E_WAIT ? 0 : 1);
		rig_bytes(page, pages[page].kind, bytes);
		assert_memory_equal(platform_frame_va(peek.to), bytes, PAGE_BYTES);
		assert_int_equal(rig_state(space, page), pages[page].state);
	}
	assert_int_equal(space_peek(space, GFN(1024), &peek), E_RANGE);
	/* The VM ends while its page is read. */
	assert_int_equal(space_peek(space, GFN(2), &peek), E_WAIT);
	rig_end(space);
	rig_complete();
	assert_int_equal(peek_result, E_NOTFOUND);
	frame_free(peek.to);
	space = rig_space("one", 1024, 64, 1024);
}

/* One slot, one reader: the others come again. */
static void a_page_that_a_device_reads_can_be_wanted_meanwhile(void **state)
{
	struct space_peek first = {.to = frame_alloc(FRAME_HV), .done = peeked};
	struct space_peek second = {.to = frame_alloc(FRAME_HV), .done = peeked};

	(void)state;
	rig_fill(space, 5, RIG_RANDOM);
	rig_evict(space, 5);
	rig_complete();
	peek_result = 1;
	assert_int_equal(space_peek(space, GFN(5), &first), E_WAIT);
	assert_int_equal(space_peek(space, GFN(5), &second), E_BUSY);
	assert_int_equal(fault_handle(space, gfn_to_gpa(GFN(5)), SLAT_READ), FAULT_WAIT);
	assert_int_equal(rig_state(space, 5), PAGE_SWAPPED);
	assert_true(space->waits);
	rig_complete();
	assert_int_equal(peek_result, 0);
	assert_false(space->waits); /* it was woken */
	rig_verify(space, 5, RIG_RANDOM);
	frame_free(first.to);
	frame_free(second.to);
}

static void neighbours_that_were_written_together_are_read_together(void **state)
{
	struct evict_batch batch;

	(void)state;
	for (u64 page = 0; page < 16; page++)
		rig_fill(space, page, RIG_RANDOM);
	assert_int_equal(reclaim_choose(space, &batch, 16, RECLAIM_ANY), 16);
	evict_some(&batch, space, ~0ull);
	rig_complete();
	u64 reads = rig.disk.reads;

	for (u64 page = 0; page < 16; page++)
		rig_verify(space, page, RIG_RANDOM);
	assert_true(rig.disk.reads - reads <= 4);
	assert_true(space_counted(space, read_ahead) >= 12);
}

#define AHEAD_PAGES 256u

/* All of these pages go, those that came along for nothing too. */
static void evict_all(void)
{
	reclaim_everything(space);
	rig_complete();
	for (u64 page = 0; page < AHEAD_PAGES; page++)
		assert_int_equal(rig_state(space, page), PAGE_SWAPPED);
}

/* Of each 16 pages in a row the guest reads so many. Returns what came along for a page read. */
static u64 ahead_in_a_round(u32 used, u32 of)
{
	u64 before = space_counted(space, read_ahead), reads = space_counted(space, faults_swap);

	for (u64 page = 0; page < AHEAD_PAGES; page++) {
		if (page % of < used)
			rig_read(space, page);
	}
	reads = space_counted(space, faults_swap) - reads;
	before = space_counted(space, read_ahead) - before;
	evict_all();
	return before * 100 / reads;
}

static void as_many_pages_are_read_ahead_as_are_used(void **state)
{
	(void)state;
	for (u64 page = 0; page < AHEAD_PAGES; page++)
		rig_fill(space, page, RIG_RANDOM);
	evict_all();
	assert_in_range(ahead_in_a_round(1, 1), 500, 700);
	/* One in sixteen: what comes along is in vain, and soon no more does. */
	for (u32 round = 0; round < 8; round++)
		ahead_in_a_round(1, 16);
	assert_true(ahead_in_a_round(1, 16) <= 20);
	/* All in a row again. */
	for (u32 round = 0; round < 32; round++)
		ahead_in_a_round(1, 1);
	assert_in_range(ahead_in_a_round(1, 1), 500, 700);
}

/* Used, and then not for so long that they are among the oldest. */
static void pages_that_were_used_long_ago_did_not_come_in_vain(void **state)
{
	(void)state;
	for (u64 page = 0; page < AHEAD_PAGES; page++)
		rig_fill(space, page, RIG_RANDOM);
	evict_all();
	for (u32 round = 0; round < 8; round++) {
		for (u64 page = 0; page < AHEAD_PAGES; page++)
			rig_read(space, page);
		for (u32 sweep = 0; sweep < 2 * SPACE_AGES; sweep++) {
			while (!reclaim_sweep(space, 0))
				;
		}
		evict_all();
	}
	assert_in_range(ahead_in_a_round(1, 1), 500, 700);
}

static void random_pages_evict(struct space *of, u64 count)
{
	for (u64 page = 0; page < count; page++) {
		rig_fill(of, page, RIG_RANDOM);
		rig_evict(of, page);
		rig_complete();
	}
}

static void where_pages_do_not_shrink_few_are_tried(void **state)
{
	struct zcache_figures zip;

	(void)state;
	random_pages_evict(space, 200);
	zcache_figures(space->zcache, &zip);
	assert_in_range(zip.refused_size, 10, 60);
	/* When they do again it is soon noticed. */
	for (u64 page = 200; page < 300; page++) {
		rig_fill(space, page, RIG_SMALL);
		rig_evict(space, page);
		rig_complete();
	}
	zcache_figures(space->zcache, &zip);
	assert_in_range(zip.objects, 60, 100);
}

static void where_the_swap_file_is_full_each_page_is_tried(void **state)
{
	struct space *full = rig_space("full", 256, 64, 4);
	struct zcache_figures zip;

	(void)state;
	random_pages_evict(full, 100);
	assert_int_equal(space_pages_in_state(full, PAGE_SWAPPED), 4);
	rig_fill(full, 100, RIG_SMALL);
	rig_evict(full, 100);
	assert_int_equal(rig_state(full, 100), PAGE_ZIPPED);
	zcache_figures(full->zcache, &zip);
	assert_true(zip.refused_size >= 96);
	rig_end(full);
}

static void where_the_disk_is_dead_each_page_is_tried(void **state)
{
	(void)state;
	random_pages_evict(space, 200);
	fake_log_quiet(true);
	fake_blk_kill(&rig.disk);
	for (u64 page = 200; page < 210; page++) {
		rig_fill(space, page, RIG_SMALL);
		rig_evict(space, page);
		assert_int_equal(rig_state(space, page), PAGE_ZIPPED);
	}
}

static void with_no_swap_file_each_page_is_tried(void **state)
{
	struct space *alone = rig_space("alone", 256, 64, 0);
	struct zcache_figures zip;

	(void)state;
	for (u64 page = 0; page < 100; page++) {
		rig_fill(alone, page, RIG_RANDOM);
		rig_evict(alone, page);
		assert_int_equal(rig_state(alone, page), PAGE_PRIVATE);
	}
	rig_fill(alone, 100, RIG_SMALL);
	rig_evict(alone, 100);
	assert_int_equal(rig_state(alone, 100), PAGE_ZIPPED);
	zcache_figures(alone->zcache, &zip);
	assert_int_equal(zip.refused_size, 100);
	rig_end(alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(a_page_that_shrinks_is_compressed_and_comes_back),
		CASE(a_page_of_one_value_takes_no_storage),
		CASE(a_page_of_zeros_is_untouched_again),
		CASE(a_page_that_does_not_shrink_is_written_and_read_back),
		CASE(a_page_that_a_write_waits_for_is_its_own_at_once),
		CASE(several_faults_on_a_page_under_read_join),
		CASE(a_clean_page_is_evicted_with_no_io),
		CASE(a_write_to_a_clean_page_frees_its_slot),
		CASE(a_write_during_the_write_out_wins),
		CASE(a_page_read_during_the_write_out_stays_clean),
		CASE(a_failed_write_loses_nothing),
		CASE(a_page_that_cannot_be_read_is_lost_to_its_vm),
		CASE(a_dead_disk_is_said_at_once),
		CASE(a_reset_frees_every_state),
		CASE(the_balloon_frees_every_state),
		CASE(the_end_of_a_vm_orphans_what_is_under_way),
		CASE(every_state_comes_back_with_its_bytes),
		CASE(an_object_is_written_as_it_is_and_comes_back),
		CASE(an_object_that_could_not_be_written_stays_in_the_cache),
		CASE(pages_brought_in_for_a_vcpu_stay_until_it_moves_on),
		CASE(a_page_that_is_overwritten_is_not_fetched),
		CASE(a_device_reads_a_page_where_it_is),
		CASE(a_page_that_a_device_reads_can_be_wanted_meanwhile),
		CASE(neighbours_that_were_written_together_are_read_together),
		CASE(as_many_pages_are_read_ahead_as_are_used),
		CASE(pages_that_were_used_long_ago_did_not_come_in_vain),
		CASE(where_pages_do_not_shrink_few_are_tried),
		CASE(where_the_swap_file_is_full_each_page_is_tried),
		CASE(where_the_disk_is_dead_each_page_is_tried),
		CASE(with_no_swap_file_each_page_is_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
