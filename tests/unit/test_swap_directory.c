/* SRCS: tests/fake/fake_platform.c tests/fake/fake_blk.c mm */
/* Room on a swap volume: files get few, long extents, exactly as many slots as asked, and none
 * twice. */
#include "tests/unit/swap_rig.h"

static u64 room(void)
{
	u64 longest;

	return swap_directory_room(rig.volume, &longest);
}

static u64 longest(void)
{
	u64 slots;

	swap_directory_room(rig.volume, &slots);
	return slots;
}

static err_t create(u64 slots)
{
	struct swap_file *file;

	return swap_file_create(rig.volume, "x.vswp", slots, &file);
}

static void test_a_file_has_exactly_the_slots_asked_in_one_piece(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 100);

	(void)state;
	assert_int_equal(file->slot_count, 100);
	assert_int_equal(file->extent_count, 1);
	assert_int_equal(file->extents[0].count, 100);
	assert_int_equal(room(), RIG_SLOTS - 100);
	swap_file_abandon(file);
	assert_int_equal(room(), RIG_SLOTS);
	assert_int_equal(frame_free_count(), rig.free_frames);
}

static void test_a_full_volume_says_how_much_there_is(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 500);

	(void)state;
	assert_int_equal(create(13), E_LIMIT);
	assert_int_equal(create(~0ull), E_LIMIT);
	assert_int_equal(create(0), E_INVAL);
	assert_int_equal(room(), 12);
	assert_int_equal(create(12), 0);
	assert_int_equal(room(), 0);
	assert_int_equal(longest(), 0);
	assert_int_equal(file->extent_count, 1);
}

static void test_the_smallest_gap_that_holds_it_is_taken(void **state)
{
	struct swap_file *a = rig_file("a.vswp", 100), *b = rig_file("b.vswp", 50);
	struct swap_file *c = rig_file("c.vswp", 30), *d = rig_file("d.vswp", 50), *e;

	(void)state;
	swap_file_abandon(a);
	swap_file_abandon(c);
	e = rig_file("e.vswp", 25);
	assert_int_equal(e->extent_count, 1);
	assert_int_equal(e->extents[0].first, 150);
	assert_int_equal(longest(), RIG_SLOTS - 230);
	assert_int_equal(b->extents[0].first, 100);
	assert_int_equal(d->extents[0].first, 180);
}

static void test_files_of_one_slot_lie_side_by_side(void **state)
{
	struct swap_file *a = rig_file("a.vswp", 1), *b = rig_file("b.vswp", 1);
	struct swap_file *rest = rig_file("rest.vswp", RIG_SLOTS - 3), *last;

	(void)state;
	last = rig_file("last.vswp", 1);
	assert_int_equal(last->extents[0].first, RIG_SLOTS - 1);
	swap_file_abandon(b);
	assert_int_equal(room(), 1);
	b = rig_file("again.vswp", 1);
	assert_int_equal(a->extents[0].first, 0);
	assert_int_equal(b->extents[0].first, 1);
	assert_int_equal(rest->extents[0].first, 2);
}

static void test_a_file_takes_the_longest_gaps_when_none_holds_it(void **state)
{
	struct swap_file *gaps[8], *between[8], *file;

	(void)state;
	for (u32 i = 0; i < 8; i++) {
		char name[2][16] = {"a.vswp", "A.vswp"};

		name[0][0] += (char)i;
		name[1][0] += (char)i;
		gaps[i] = rig_file(name[0], 10 + i);
		between[i] = rig_file(name[1], 20);
	}
	file = rig_file("rest.vswp", room());
	for (u32 i = 0; i < 8; i++)
		swap_file_abandon(gaps[i]);
	swap_file_abandon(file);
	file = rig_file("rest.vswp", room() - 10);
	assert_int_equal(file->extent_count, 8);
	assert_int_equal(room(), 10);
	/* Each slot of the file has its own place, and none of them is another file's. */
	for (u64 slot = 0; slot < file->slot_count; slot++) {
		u64 at = swap_file_volume_slot(file, slot);

		for (u64 other = 0; other < slot; other++)
			assert_int_not_equal(swap_file_volume_slot(file, other), at);
		for (u32 i = 0; i < 8; i++)
			assert_true(at - between[i]->extents[0].first >= 20);
	}
}

/* So many files: of 4 slots each, but the last, which has all the rest. */
static void fill(struct swap_file **files, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		char name[16] = "00.vswp";

		name[0] += (char)(i / 10);
		name[1] += (char)(i % 10);
		files[i] = rig_file(name, i + 1 < count ? 4 : room());
	}
}

static void test_room_in_too_many_pieces_is_refused(void **state)
{
	struct swap_file *files[2 * SWAP_EXTENTS + 3];
	u32 count = ARRAY_COUNT(files);

	(void)state;
	fill(files, count);
	for (u32 i = 0; i < count; i += 2)
		swap_file_abandon(files[i]);
	/* SWAP_EXTENTS + 2 gaps, all but one of them of 4 slots. */
	assert_int_equal(create(room() - 2 * 4 + 1), E_LIMIT);
	assert_int_equal(create(room() - 2 * 4), 0);
}

static void give_back(struct swap_io *io)
{
	frame_free(io->pages[0].frame);
	swap_io_give(io);
}

/* A page of the file's, on its way to the disk until that completes something. */
static void write_one(struct swap_file *file)
{
	struct swap_io *io = swap_io_take(false);

	assert_non_null(io);
	io->page_count = 1;
	io->pages[0] = (struct swap_page){
		.gfn = GFN(1), .frame = frame_alloc(FRAME_HV), .slot = ~0ull, .bytes = PAGE_BYTES};
	io->done = give_back;
	assert_int_equal(swap_slots_take(file, io), 0);
	assert_int_equal(swap_write(file, io), 0);
}

static err_t ask(u64 slots, u64 coming_expected)
{
	u64 coming = ~0ull;
	err_t err = swap_directory_ask(rig.volume, slots, &coming);

	assert_int_equal(coming, coming_expected);
	return err;
}

static void test_room_of_an_abandoned_file_comes_when_its_last_write_is_done(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 300);

	(void)state;
	rig_file("b.vswp", 100);
	assert_int_equal(ask(200, 0), E_LIMIT);
	write_one(file);
	write_one(file);
	swap_file_abandon(file);
	assert_int_equal(ask(RIG_SLOTS - 400, 300), 0);
	assert_int_equal(ask(RIG_SLOTS - 100, 300), E_WAIT);
	assert_int_equal(ask(RIG_SLOTS - 99, 300), E_LIMIT);
	fake_blk_run(&rig.disk, 1);
	assert_int_equal(ask(RIG_SLOTS - 100, 300), E_WAIT);
	assert_int_equal(create(RIG_SLOTS - 100), E_LIMIT);
	fake_blk_run(&rig.disk, 1);
	assert_int_equal(ask(RIG_SLOTS - 100, 0), 0);
	assert_int_equal(create(RIG_SLOTS - 100), 0);
}

static void test_nothing_is_coming_from_files_in_use_or_without_io(void **state)
{
	struct swap_file *file = rig_file("a.vswp", RIG_SLOTS);

	(void)state;
	write_one(file);
	assert_int_equal(ask(1, 0), E_LIMIT);
	fake_blk_run(&rig.disk, 1);
	swap_file_abandon(file);
	assert_int_equal(ask(RIG_SLOTS, 0), 0);
	assert_int_equal(ask(RIG_SLOTS + 1, 0), E_LIMIT);
	assert_int_equal(ask(~0ull, 0), E_LIMIT);
}

/* The gaps that are there and those to come are too many for one file, though there is room. */
static void test_room_to_come_in_too_many_pieces_is_no_room(void **state)
{
	struct swap_file *files[2 * SWAP_EXTENTS + 2];
	u32 count = ARRAY_COUNT(files);

	(void)state;
	fill(files, count);
	for (u32 i = 0; i < count; i += 2) {
		write_one(files[i]);
		swap_file_abandon(files[i]);
	}
	assert_int_equal(ask(SWAP_EXTENTS * 4, (SWAP_EXTENTS + 1) * 4), E_WAIT);
	assert_int_equal(ask(SWAP_EXTENTS * 4 + 1, (SWAP_EXTENTS + 1) * 4), E_LIMIT);
	fake_blk_run(&rig.disk, ~0u);
	assert_int_equal(create(SWAP_EXTENTS * 4), 0);
}

/* A disk that dies gives back all that is under way. */
static void test_room_comes_also_when_the_disk_dies(void **state)
{
	struct swap_file *file = rig_file("a.vswp", RIG_SLOTS);

	(void)state;
	write_one(file);
	swap_file_abandon(file);
	assert_int_equal(ask(RIG_SLOTS, RIG_SLOTS), E_WAIT);
	fake_blk_kill(&rig.disk);
	fake_blk_run(&rig.disk, ~0u);
	assert_int_equal(ask(RIG_SLOTS, 0), 0);
	assert_int_equal(create(RIG_SLOTS), E_IO);
}

static void test_a_name_is_given_once_and_free_again_after_the_end(void **state)
{
	struct swap_file *file = rig_file("x.vswp", 10);

	(void)state;
	assert_int_equal(create(10), E_EXIST);
	swap_file_abandon(file);
	assert_int_equal(create(10), 0);
}

static void test_a_name_in_use_on_another_volume_is_in_use(void **state)
{
	struct swap_volume *other;
	struct swap_file *file;

	(void)state;
	rig_file("x.vswp", 10);
	assert_int_equal(swap_volume_open(&rig.disk.device, 0, 100, "second"), 0);
	fake_blk_run(&rig.disk, 3);
	other = rig.volume->next;
	assert_int_equal(swap_volume_state(other), SWAP_READY);
	assert_int_equal(swap_file_create(other, "x.vswp", 3, &file), E_EXIST);
	assert_int_equal(swap_file_create(other, "y.vswp", 3, &file), 0);
}

static void test_a_name_too_long_is_refused(void **state)
{
	char name[SWAP_NAME_BYTES + 1];
	struct swap_file *file;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[SWAP_NAME_BYTES] = '\0';
	assert_int_equal(swap_file_create(rig.volume, name, 3, &file), E_INVAL);
	name[SWAP_NAME_BYTES - 1] = '\0';
	assert_int_equal(swap_file_create(rig.volume, name, 3, &file), 0);
}

static void test_a_file_costs_what_was_said(void **state)
{
	u64 before = frame_free_count();

	(void)state;
	rig_file("a.vswp", RIG_SLOTS);
	assert_int_equal(before - frame_free_count(), swap_file_overhead_frames(RIG_SLOTS));
	/* 0.2%: 8 bytes a page, and what holds them together. */
	assert_in_range(swap_file_overhead_frames(GIB(64) >> PAGE_SHIFT),
		GIB(64) / PAGE_BYTES / 512, GIB(64) / PAGE_BYTES / 512 * 101 / 100);
}

static void test_no_memory_leaves_nothing_behind(void **state)
{
	u64 n;

	(void)state;
	for (n = 1;; n++) {
		fake_fail_alloc(n, false);
		if (create(RIG_SLOTS) == 0)
			break;
		assert_int_equal(frame_free_count(), rig.free_frames);
		assert_int_equal(room(), RIG_SLOTS);
	}
	fake_fail_alloc(0, false);
	assert_true(n > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_file_has_exactly_the_slots_asked_in_one_piece),
		TEST(test_a_full_volume_says_how_much_there_is),
		TEST(test_the_smallest_gap_that_holds_it_is_taken),
		TEST(test_files_of_one_slot_lie_side_by_side),
		TEST(test_a_file_takes_the_longest_gaps_when_none_holds_it),
		TEST(test_room_in_too_many_pieces_is_refused),
		TEST(test_room_of_an_abandoned_file_comes_when_its_last_write_is_done),
		TEST(test_nothing_is_coming_from_files_in_use_or_without_io),
		TEST(test_room_to_come_in_too_many_pieces_is_no_room),
		TEST(test_room_comes_also_when_the_disk_dies),
		TEST(test_a_name_is_given_once_and_free_again_after_the_end),
		TEST(test_a_name_in_use_on_another_volume_is_in_use),
		TEST(test_a_name_too_long_is_refused),
		TEST(test_a_file_costs_what_was_said),
		TEST(test_no_memory_leaves_nothing_behind),
	};

	return cmocka_run_group_tests_name("unit/swap_directory", tests, NULL, NULL);
}
