/* SRCS: tests/fake/fake_platform.c tests/fake/fake_blk.c mm */
/*
 * Clusters on their way: what comes back is what went out or is called wrong; errors, wrong bits,
 * death, a full disk; slots freed under way; files that end under way. Each done() comes once.
 */
#include "tests/unit/swap_rig.h"
#include <pthread.h>

static struct {
	u32 count; /* done() called */
	u32 orphaned;
	struct swap_io last; /* as it was in done() */
} seen;

/* What reclaim does with an orphan: the frames go, and the record. */
static void on_done(struct swap_io *io)
{
	seen.count++;
	seen.last = *io;
	if (!io->orphaned)
		return;
	seen.orphaned++;
	for (u32 i = 0; i < io->page_count; i++)
		frame_free(io->pages[i].frame);
	swap_io_give(io);
}

static int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	return rig_setup(state);
}

static void fill(pfn_t frame, u64 what)
{
	u64 *words = platform_frame_va(frame);

	for (u32 i = 0; i < PAGE_BYTES / 8; i++)
		words[i] = what * 0x9e3779b97f4a7c15ull + i;
}

static bool holds(pfn_t frame, u64 what, u32 bytes)
{
	const u64 *words = platform_frame_va(frame);

	for (u32 i = 0; i < bytes / 8; i++) {
		if (words[i] != what * 0x9e3779b97f4a7c15ull + i)
			return false;
	}
	return true;
}

/* A record for pages of numbers from @gfn on, each with a frame filled accordingly. */
static struct swap_io *cluster(u32 count, u64 gfn)
{
	struct swap_io *io = swap_io_take(false);

	assert_non_null(io);
	io->page_count = count;
	io->done = on_done;
	for (u32 i = 0; i < count; i++) {
		pfn_t frame = frame_alloc(FRAME_PRIVATE);

		assert_false(pfn_is_none(frame));
		fill(frame, gfn + i);
		io->pages[i] = (struct swap_page){.gfn = GFN(gfn + i),
			.frame = frame,
			.slot = ~0ull,
			.bytes = PAGE_BYTES,
			.result = 1};
	}
	return io;
}

static void drop(struct swap_io *io)
{
	for (u32 i = 0; i < io->page_count; i++)
		frame_free(io->pages[i].frame);
	swap_io_give(io);
}

static void run(void)
{
	for (u32 i = 0; i < 100 && rig.disk.pending_count; i++) {
		fake_blk_run(&rig.disk, FAKE_BLK_PENDING);
		swap_volumes_poll();
	}
}

static void assert_results(u32 count, err_t result)
{
	assert_int_equal(seen.last.page_count, count);
	for (u32 i = 0; i < count; i++)
		assert_int_equal(seen.last.pages[i].result, result);
}

/* Write @count pages; the first one's slot. */
static u64 write_out(struct swap_file *file, u32 count, u64 gfn)
{
	struct swap_io *io = cluster(count, gfn);
	u64 slot;

	assert_int_equal(swap_slots_take(file, io), 0);
	assert_int_equal(io->page_count, count);
	slot = io->pages[0].slot;
	assert_int_equal(swap_write(file, io), 0);
	run();
	assert_results(count, 0);
	drop(io);
	return slot;
}

static struct swap_io *begin_read(struct swap_file *file, u64 slot, u32 count)
{
	struct swap_io *io = cluster(count, 0);

	for (u32 i = 0; i < count; i++)
		io->pages[i].slot = slot + i;
	assert_int_equal(swap_read(file, io), 0);
	return io;
}

static struct swap_io *read_in(struct swap_file *file, u64 slot, u32 count)
{
	struct swap_io *io = begin_read(file, slot, count);

	run();
	return io;
}

static void assert_page(const struct swap_io *io, u32 index, u64 what)
{
	assert_int_equal(io->pages[index].result, 0);
	assert_int_equal(io->pages[index].bytes, PAGE_BYTES);
	assert_true(holds(io->pages[index].frame, what, PAGE_BYTES));
}

static void test_a_cluster_is_one_command_out_and_one_back(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 100);
	u64 slot, before = rig.disk.writes;
	struct swap_io *io;

	(void)state;
	slot = write_out(file, 32, 500);
	assert_int_equal(rig.disk.writes - before, 1);
	before = rig.disk.reads;
	io = read_in(file, slot, 32);
	assert_int_equal(rig.disk.reads - before, 1);
	for (u32 i = 0; i < 32; i++)
		assert_page(io, i, 500 + i);
	assert_int_equal(seen.count, 2);
	drop(io);
	assert_true(rig_is_outside_untouched());
	assert_int_equal(swap_file_used(file), 32);
}

static void test_pages_come_back_singly_and_again(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 100);
	u64 slot = write_out(file, 10, 7);

	(void)state;
	for (u32 round = 0; round < 2; round++) {
		for (u32 i = 0; i < 10; i++) {
			struct swap_io *io = read_in(file, slot + i, 1);

			assert_page(io, 0, 7 + i);
			drop(io);
		}
	}
}

static void test_a_large_file_reaches_every_extent(void **state)
{
	struct swap_file *a = rig_file("a.vswp", 70), *b = rig_file("b.vswp", 5), *rest, *file;
	u64 longest, slots = 0;

	(void)state;
	rest = rig_file("rest.vswp", swap_directory_room(rig.volume, &longest) - 30);
	swap_file_abandon(a);
	file = rig_file("file.vswp", 100);
	assert_int_equal(file->extent_count, 2);
	for (u32 pages = 20; slots < 100; slots += pages)
		write_out(file, pages = slots == 60 || slots == 70 ? 10 : 20, slots);
	for (u64 slot = 0; slot < 100; slot++) {
		struct swap_run run;
		struct swap_io *io;

		swap_neighbours(file, slot, 1, &run);
		io = read_in(file, slot, 1);
		assert_page(io, 0, run.gfns[0].v);
		drop(io);
	}
	swap_file_abandon(b);
	swap_file_abandon(rest);
	swap_file_abandon(file);
	assert_int_equal(frame_free_count(), rig.free_frames);
}

static void test_an_object_brings_its_length(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 10);
	struct swap_io *io = cluster(3, 40);
	static const u32 bytes[] = {2048, PAGE_BYTES, 16};
	u64 slot;

	(void)state;
	for (u32 i = 0; i < 3; i++)
		io->pages[i].bytes = bytes[i];
	assert_int_equal(swap_slots_take(file, io), 0);
	slot = io->pages[0].slot;
	assert_int_equal(swap_write(file, io), 0);
	run();
	drop(io);
	io = read_in(file, slot, 3);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(io->pages[i].result, 0);
		assert_int_equal(io->pages[i].bytes, bytes[i]);
		assert_true(holds(io->pages[i].frame, 40 + i, bytes[i]));
	}
	drop(io);
}

static void test_a_failed_write_frees_its_slots_and_leaves_the_frames(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 10);
	struct swap_io *io = cluster(4, 3);

	(void)state;
	rig.disk.fail_nth = 1;
	assert_int_equal(swap_slots_take(file, io), 0);
	assert_int_equal(swap_write(file, io), 0);
	assert_int_equal(swap_file_used(file), 4);
	run();
	assert_results(4, E_IO);
	assert_int_equal(swap_file_used(file), 0);
	for (u32 i = 0; i < 4; i++)
		assert_true(holds(io->pages[i].frame, 3 + i, PAGE_BYTES));
	assert_int_equal(file->stats.write_errors, 4);
	assert_int_equal(rig.volume->stats.write_errors, 4);
	drop(io);
}

static void test_a_bad_block_costs_the_one_page_only(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 32);
	u64 slot = write_out(file, 16, 100);
	struct swap_io *io;

	(void)state;
	rig.disk.bad_block =
		rig.volume->slots_block + swap_file_volume_slot(file, slot + 5) * RIG_PER_SLOT + 2;
	io = read_in(file, slot, 16);
	for (u32 i = 0; i < 16; i++) {
		if (i == 5)
			assert_int_equal(io->pages[i].result, E_IO);
		else
			assert_page(io, i, 100 + i);
	}
	assert_int_equal(seen.count, 2);
	assert_int_equal(file->stats.read_errors, 1);
	assert_int_equal(swap_file_used(file), 16);
	drop(io);
}

/* The driver has retried: a page alone is not asked for again. */
static void test_a_lone_page_that_fails_is_not_read_again(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 32);
	u64 slot = write_out(file, 1, 100);
	struct swap_io *io;

	(void)state;
	rig.disk.fail_nth = 1;
	io = read_in(file, slot, 1);
	assert_int_equal(io->pages[0].result, E_IO);
	assert_int_equal(file->stats.reread, 0);
	drop(io);
}

static void test_a_bit_lost_on_the_way_is_read_again(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 32);
	u64 slot = write_out(file, 8, 100);
	struct swap_io *io;

	(void)state;
	rig.disk.corrupt_nth = 1;
	io = read_in(file, slot, 8);
	for (u32 i = 0; i < 8; i++)
		assert_page(io, i, 100 + i);
	assert_int_equal(file->stats.reread, 1);
	assert_int_equal(file->stats.corrupt, 0);
	drop(io);
}

static u8 *slot_bytes(const struct swap_file *file, u64 slot)
{
	return rig.disk.data +
	       (rig.volume->slots_block + swap_file_volume_slot(file, slot) * RIG_PER_SLOT) *
		       RIG_BLOCK;
}

static void test_a_bit_lost_on_the_disk_is_told(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 32);
	u64 slot = write_out(file, 8, 100);
	struct swap_io *io;

	(void)state;
	slot_bytes(file, slot + 2)[PAGE_BYTES - 1] ^= 0x80;
	slot_bytes(file, slot + 7)[0] ^= 1;
	io = read_in(file, slot, 8);
	for (u32 i = 0; i < 8; i++) {
		if (i == 2 || i == 7)
			assert_int_equal(io->pages[i].result, E_CORRUPT);
		else
			assert_page(io, i, 100 + i);
	}
	assert_int_equal(file->stats.corrupt, 2);
	drop(io);
}

static void test_another_page_in_the_slot_is_told(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 32);
	u64 slot = write_out(file, 2, 100);
	struct swap_io *io;

	(void)state;
	memcpy(slot_bytes(file, slot), slot_bytes(file, slot + 1), PAGE_BYTES);
	io = read_in(file, slot, 1);
	assert_int_equal(io->pages[0].result, E_CORRUPT);
	drop(io);
}

static void test_death_under_way_fails_everything_once(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 64);
	u64 slot = write_out(file, 8, 100);
	struct swap_io *read = begin_read(file, slot, 8), *write = cluster(8, 200), *late;

	(void)state;
	assert_int_equal(swap_slots_take(file, write), 0);
	assert_int_equal(swap_write(file, write), 0);
	fake_blk_kill(&rig.disk);
	assert_int_equal(seen.count, 3);
	for (u32 i = 0; i < 8; i++) {
		assert_int_equal(read->pages[i].result, E_IO);
		assert_int_equal(write->pages[i].result, E_IO);
	}
	assert_int_equal(swap_file_used(file), 8);
	drop(read);
	drop(write);
	late = cluster(1, 0);
	late->pages[0].slot = slot;
	assert_int_equal(swap_read(file, late), E_IO);
	assert_int_equal(swap_slots_take(file, late), E_IO);
	assert_int_equal(seen.count, 3);
	drop(late);
	swap_file_abandon(file);
	assert_int_equal(frame_free_count(), rig.free_frames);
}

/* It dies between the taking of slots and the write. */
static void test_a_write_that_cannot_start_gives_its_slots_back(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 64);
	struct swap_io *io = cluster(8, 200);

	(void)state;
	assert_int_equal(swap_slots_take(file, io), 0);
	fake_blk_kill(&rig.disk);
	assert_int_equal(swap_write(file, io), E_IO);
	assert_int_equal(swap_file_used(file), 0);
	assert_int_equal(seen.count, 0);
	drop(io);
}

static void test_a_disk_without_room_gets_it_later(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 64);
	struct swap_io *ios[5];

	(void)state;
	rig.disk.depth = 2;
	for (u32 i = 0; i < 5; i++) {
		ios[i] = cluster(4, 10 * i);
		assert_int_equal(swap_slots_take(file, ios[i]), 0);
		assert_int_equal(swap_write(file, ios[i]), 0);
	}
	assert_int_equal(rig.disk.pending_count, 2);
	run();
	assert_int_equal(seen.count, 5);
	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(ios[i]->pages[3].result, 0);
		drop(ios[i]);
	}
}

static void test_a_slot_freed_while_it_is_written_is_not_given_out_before(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 4);
	struct swap_io *io = cluster(4, 1), *other = cluster(1, 50);

	(void)state;
	assert_int_equal(swap_slots_take(file, io), 0);
	assert_int_equal(swap_write(file, io), 0);
	swap_slot_free(file, 2);
	assert_int_equal(swap_slots_take(file, other), E_LIMIT);
	run();
	assert_int_equal(swap_slots_take(file, other), 0);
	assert_int_equal(other->pages[0].slot, 2);
	drop(io);
	drop(other);
}

static void test_a_slot_freed_while_it_is_read_is_read_all_the_same(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 4);
	u64 slot = write_out(file, 2, 9);
	struct swap_io *io = begin_read(file, slot, 2);

	(void)state;
	swap_slot_free(file, slot);
	assert_int_equal(swap_file_used(file), 2);
	run();
	assert_page(io, 0, 9);
	assert_page(io, 1, 10);
	assert_int_equal(swap_file_used(file), 1);
	drop(io);
}

static void test_neighbours_under_way_are_left_out(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 16);
	u64 slot = write_out(file, 8, 9);
	struct swap_io *io = begin_read(file, slot + 4, 2);
	struct swap_run run_of;

	(void)state;
	swap_neighbours(file, slot + 1, 8, &run_of);
	assert_int_equal(run_of.first, slot);
	assert_int_equal(run_of.count, 4);
	run();
	drop(io);
}

static void test_abandon_orphans_what_is_under_way(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 64), *again;
	u64 slot = write_out(file, 8, 9), longest;
	struct swap_io *write = cluster(8, 100);

	(void)state;
	begin_read(file, slot, 8);
	assert_int_equal(swap_slots_take(file, write), 0);
	assert_int_equal(swap_write(file, write), 0);
	swap_file_abandon(file);
	/* The name is free, the slots are not: the disk may still write there. */
	again = rig_file("a.vswp", 64);
	assert_int_equal(swap_directory_room(rig.volume, &longest), RIG_SLOTS - 128);
	assert_int_equal(seen.orphaned, 0);
	run();
	assert_int_equal(seen.orphaned, 2);
	assert_int_equal(seen.count, 3);
	assert_int_equal(swap_directory_room(rig.volume, &longest), RIG_SLOTS - 64);
	swap_file_abandon(again);
	assert_int_equal(frame_free_count(), rig.free_frames);
}

static void test_orphans_of_a_dead_disk_end_too(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 64);
	struct swap_io *write = cluster(8, 100);

	(void)state;
	assert_int_equal(swap_slots_take(file, write), 0);
	assert_int_equal(swap_write(file, write), 0);
	swap_file_abandon(file);
	fake_blk_kill(&rig.disk);
	assert_int_equal(seen.orphaned, 1);
	assert_int_equal(frame_free_count(), rig.free_frames);
}

static void test_faults_find_records_when_reclaim_has_taken_its_part(void **state)
{
	u32 writes = 0, reads = 0;
	struct swap_io *io;

	(void)state;
	while ((io = swap_io_take(true)) != NULL) {
		assert_ptr_equal(swap_io_find(swap_io_number(io)), io);
		assert_true(swap_io_number(io) < swap_io_count());
		writes++;
	}
	while (swap_io_take(false))
		reads++;
	assert_int_equal(writes + reads, swap_io_count());
	assert_int_equal(reads, swap_io_count() / 4);
}

/* --- A done() that runs on another CPU while its file is abandoned --- */

static struct {
	struct swap_file *file;
	u32 in_done, over;
} race;

static void slow_done(struct swap_io *io)
{
	__atomic_store_n(&race.in_done, 1, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < 2000000; i++)
		__builtin_ia32_pause();
	/* The file must still be there. */
	assert_int_equal(swap_file_used(race.file), 4);
	__atomic_store_n(&race.over, 1, __ATOMIC_SEQ_CST);
	assert_false(io->orphaned);
}

static void *complete_elsewhere(void *arg)
{
	fake_cpu_set(1);
	fake_blk_run(&rig.disk, 1);
	return arg;
}

static void test_abandon_waits_for_a_done_that_runs(void **state)
{
	struct swap_io *io = cluster(4, 1);
	pthread_t thread;

	(void)state;
	race.in_done = race.over = 0;
	race.file = rig_file("a.vswp", 8);
	io->done = slow_done;
	assert_int_equal(swap_slots_take(race.file, io), 0);
	assert_int_equal(swap_write(race.file, io), 0);
	assert_int_equal(pthread_create(&thread, NULL, complete_elsewhere, NULL), 0);
	while (!__atomic_load_n(&race.in_done, __ATOMIC_SEQ_CST))
		;
	swap_file_abandon(race.file);
	assert_true(__atomic_load_n(&race.over, __ATOMIC_SEQ_CST));
	pthread_join(thread, NULL);
	drop(io);
	assert_int_equal(frame_free_count(), rig.free_frames);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_cluster_is_one_command_out_and_one_back),
		TEST(test_pages_come_back_singly_and_again),
		TEST(test_a_large_file_reaches_every_extent),
		TEST(test_an_object_brings_its_length),
		TEST(test_a_failed_write_frees_its_slots_and_leaves_the_frames),
		TEST(test_a_bad_block_costs_the_one_page_only),
		TEST(test_a_lone_page_that_fails_is_not_read_again),
		TEST(test_a_bit_lost_on_the_way_is_read_again),
		TEST(test_a_bit_lost_on_the_disk_is_told),
		TEST(test_another_page_in_the_slot_is_told),
		TEST(test_death_under_way_fails_everything_once),
		TEST(test_a_write_that_cannot_start_gives_its_slots_back),
		TEST(test_a_disk_without_room_gets_it_later),
		TEST(test_a_slot_freed_while_it_is_written_is_not_given_out_before),
		TEST(test_a_slot_freed_while_it_is_read_is_read_all_the_same),
		TEST(test_neighbours_under_way_are_left_out),
		TEST(test_abandon_orphans_what_is_under_way),
		TEST(test_orphans_of_a_dead_disk_end_too),
		TEST(test_faults_find_records_when_reclaim_has_taken_its_part),
		TEST(test_abandon_waits_for_a_done_that_runs),
	};

	return cmocka_run_group_tests_name("unit/swap_io", tests, NULL, NULL);
}
