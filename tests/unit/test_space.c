/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/* Spaces: what they cost, what is RAM in them, pins, clearing, splitting, and their end. */
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/space/space_entry.h"
#include <string.h>

static struct frame_account at_start;

static int setup(void **state)
{
	(void)state;
	fake_start_plain(2, 12000);
	fake_guest_start();
	frame_account_get(&at_start);
	return 0;
}

/* Whatever a test did: all came back. */
static int teardown(void **state)
{
	struct frame_account now;

	(void)state;
	fake_cpu_set(0);
	frame_account_get(&now);
	assert_memory_equal(&now, &at_start, sizeof(now));
	assert_true(frame_audit());
	fake_stop();
	return 0;
}

static struct space *make(u64 bytes, bool large)
{
	struct space_config config = {
		.name = "unit", .memory_bytes = bytes, .format = &slat_ept, .large_pages = large};
	struct space *space = NULL;

	assert_int_equal(space_create(&space, &config), E_OK);
	assert_true(space_audit(space));
	return space;
}

static void end(struct space *space)
{
	fake_guest_leave_all();
	assert_true(space_audit(space));
	space_destroy(space);
}

static u64 read_at(struct space *space, u64 gpa)
{
	u64 value = ~0ull;

	assert_int_equal(fake_guest_access(space, GPA(gpa), SLAT_READ, &value, 8), FAULT_DONE);
	return value;
}

static void write_at(struct space *space, u64 gpa, u64 value)
{
	assert_int_equal(fake_guest_access(space, GPA(gpa), SLAT_WRITE, &value, 8), FAULT_DONE);
}

static void test_sizes_that_cannot_be_are_refused(void **state)
{
	static const u64 sizes[] = {
		0, 4096, MIB(1) - 4096, MIB(1) + 1, MIB(16) + 2048, ~0ull, 1ull << 62};
	struct space *space = NULL;

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct space_config config = {
			.name = "bad", .memory_bytes = sizes[i], .format = &slat_ept};

		assert_int_equal(space_create(&space, &config), E_INVAL);
	}
	assert_null(space);
}

static void test_cost_is_what_was_said(void **state)
{
	static const u64 sizes[] = {MIB(1), MIB(2), MIB(256), GIB(3), GIB(3) + MIB(2), GIB(5)};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct space_config config = {
			.name = "cost", .memory_bytes = sizes[i], .format = &slat_npt};
		u64 before = frame_free_count();
		struct space *space = make(sizes[i], false);

		assert_int_equal(before - frame_free_count(), space_overhead_frames(&config));
		/* 0.2% of the VM for tables, and little else */
		assert_true(space_overhead_frames(&config) <= (sizes[i] >> PAGE_SHIFT) / 400 + 16);
		end(space);
	}
}

static void test_long_names_are_cut(void **state)
{
	struct space_config config = {.name = "a name that is far longer than there is room for it",
		.memory_bytes = MIB(1),
		.format = &slat_ept};
	struct space *space;

	(void)state;
	assert_int_equal(space_create(&space, &config), E_OK);
	assert_int_equal(strlen(space->name), SPACE_NAME_BYTES - 1);
	end(space);
}

static void test_what_is_ram(void **state)
{
	struct space *small = make(MIB(5), false), *big = make(GIB(3) + MIB(5), false);

	(void)state;
	assert_true(space_range_is_ram(small, GPA(0), MIB(5)));
	assert_false(space_range_is_ram(small, GPA(0), MIB(5) + 1));
	assert_false(space_range_is_ram(small, GPA(MIB(5)), 0));
	assert_true(space_range_is_ram(small, GPA(MIB(5) - 1), 0));
	assert_false(space_range_is_ram(small, GPA(4096), ~0ull)); /* wraps */
	assert_false(space_range_is_ram(small, GPA(~0ull), 1));
	assert_false(space_range_is_ram(small, GPA(~0ull), 2));

	assert_true(space_range_is_ram(big, GPA(0), GIB(3)));
	assert_false(space_range_is_ram(big, GPA(GIB(3) - 1), 2));
	assert_false(space_range_is_ram(big, GPA(GIB(3) - 1), GIB(1) + 2)); /* over the hole */
	assert_true(space_range_is_ram(big, GPA(GIB(4)), MIB(5)));
	assert_false(space_range_is_ram(big, GPA(GIB(4)), MIB(5) + 1));
	assert_false(space_is_ram(big, GFN(GIB(4) / PAGE_BYTES - 1)));
	assert_true(space_is_ram(big, GFN(GIB(4) / PAGE_BYTES)));
	assert_false(space_is_ram(big, GFN(~0ull)));
	for (u64 index = 0; index < big->page_count; index += 511)
		assert_int_equal(space_page_index(big, space_page_gfn(big, index)), index);
	write_at(big, GIB(3) - 8, 1);
	write_at(big, GIB(4), 2);
	write_at(big, GIB(4) + MIB(5) - 8, 3);
	assert_int_equal(read_at(big, GIB(3) - 8), 1);
	assert_int_equal(read_at(big, GIB(4)), 2);
	end(small);
	end(big);
}

static void test_clear_makes_all_pages_zero_again(void **state)
{
	struct space *space = make(MIB(6), false);

	(void)state;
	for (u32 round = 0; round < 3; round++) {
		for (u64 gpa = 0; gpa < MIB(6); gpa += KIB(12)) {
			assert_int_equal(read_at(space, gpa), 0);
			write_at(space, gpa, gpa + 1);
		}
		assert_true(space_audit(space));
		fake_guest_leave_all();
		space_clear(space);
		assert_true(space_audit(space));
		assert_int_equal(space_pages_in_state(space, PAGE_UNTOUCHED), space->page_count);
		assert_int_equal(space_counted(space, table_pages), 3); /* levels 4 to 2 */
	}
	end(space);
}

/* A CPU that comes back after a reset does not read through what it had cached before. */
static void test_clear_flushes_even_where_only_zeros_were(void **state)
{
	struct space *space = make(MIB(2), false);

	(void)state;
	assert_int_equal(read_at(space, 0), 0);
	fake_guest_leave();
	space_clear(space);
	u64 faults = space_counted(space, faults);

	assert_int_equal(read_at(space, 0), 0);
	assert_int_equal(space_counted(space, faults), faults + 1);
	assert_int_equal(fake_guest_violations(), 0);
	end(space);
}

static void test_pins_of_every_state(void **state)
{
	struct space *space = make(MIB(2), false);
	pfn_t pfn, again;

	(void)state;
	/* Untouched: a reading pin sees zeros and takes no frame. */
	assert_int_equal(space_pin(space, GFN(1), false, &pfn), E_OK);
	assert_int_equal(pfn.v, frame_zero().v);
	space_unpin(space, pfn);
	assert_int_equal(space_page_state(space, GFN(1)), PAGE_ZERO);
	/* A writing one makes the page the guest's own, and dirty. */
	assert_int_equal(space_pin(space, GFN(1), true, &pfn), E_OK);
	assert_int_equal(space_page_state(space, GFN(1)), PAGE_PRIVATE);
	assert_true(*space_page_entry(space, GFN(1)) & slat_ept.dirty_bit);
	assert_int_equal(space_pin(space, GFN(1), false, &again), E_OK);
	assert_int_equal(again.v, pfn.v);
	memset(platform_frame_va(pfn), 0x11, PAGE_BYTES);
	assert_int_equal(read_at(space, 4096), 0x1111111111111111ull);
	fake_guest_leave();
	assert_int_equal(frame_pin_count(pfn), 2);
	space_unpin(space, pfn);
	space_unpin(space, again);
	assert_int_equal(space->pins, 0);
	assert_int_equal(space_pin(space, GFN(512), true, &pfn), E_RANGE);
	assert_int_equal(space_pin(space, GFN(~0ull), false, &pfn), E_RANGE);
	end(space);
}

static void test_pins_of_what_is_present_bring_nothing_in(void **state)
{
	struct space *space = make(MIB(2), false);
	pfn_t pfn;

	(void)state;
	assert_int_equal(space_pin_present(space, GFN(1), &pfn), E_WAIT);
	assert_int_equal(space_page_state(space, GFN(1)), PAGE_UNTOUCHED);
	assert_int_equal(space_pin(space, GFN(1), false, &pfn), E_OK);
	space_unpin(space, pfn);
	assert_int_equal(space_pin_present(space, GFN(1), &pfn), E_WAIT); /* read-only */
	assert_int_equal(space_page_state(space, GFN(1)), PAGE_ZERO);
	assert_int_equal(space_pin(space, GFN(1), true, &pfn), E_OK);
	space_unpin(space, pfn);
	assert_int_equal(space_pin_present(space, GFN(1), &pfn), E_OK);
	assert_int_equal(frame_pin_count(pfn), 1);
	space_unpin(space, pfn);
	assert_true(space_hide(space, GFN(1)));
	assert_int_equal(space_pin_present(space, GFN(1), &pfn), E_WAIT);
	assert_int_equal(space_page_state(space, GFN(1)), PAGE_HIDDEN);
	assert_int_equal(space_pin_present(space, GFN(512), &pfn), E_RANGE);
	assert_int_equal(space->pins, 0);
	end(space);
}

static void test_pins_are_bounded(void **state)
{
	struct space *space = make(MIB(2), false);
	pfn_t pfn, more;

	(void)state;
	for (u32 i = 0; i < SPACE_PINS_MAX; i++)
		assert_int_equal(space_pin(space, GFN(1), true, &pfn), E_OK);
	assert_int_equal(space_pin(space, GFN(1), true, &more), E_BUSY);
	for (u32 i = 0; i < SPACE_PINS_MAX; i++)
		space_unpin(space, pfn);
	end(space);
}

static void test_pinned_frames_outlive_their_vm(void **state)
{
	struct space *space = make(MIB(2), false);
	pfn_t pfn;

	(void)state;
	assert_int_equal(space_pin(space, GFN(3), true, &pfn), E_OK);
	end(space);
	assert_int_equal(frame_kind(pfn), FRAME_ORPHAN);
	memset(platform_frame_va(pfn), 0x22, PAGE_BYTES); /* the device had not finished */
	frame_unpin(pfn);
	assert_int_equal(frame_kind(pfn), FRAME_FREE);
}

static void test_pin_over_a_reset(void **state)
{
	struct space *space = make(MIB(2), false);
	pfn_t pfn;

	(void)state;
	assert_int_equal(space_pin(space, GFN(3), true, &pfn), E_OK);
	space_clear(space);
	memset(platform_frame_va(pfn), 0x33, PAGE_BYTES);
	assert_int_equal(read_at(space, 3 * 4096), 0); /* the new page is another frame */
	space_unpin(space, pfn);
	assert_int_equal(frame_kind(pfn), FRAME_FREE);
	end(space);
}

static void test_pin_in_a_large_leaf(void **state)
{
	struct space *space = make(MIB(4), true);
	pfn_t pfn;

	(void)state;
	write_at(space, 0, 1);
	assert_int_equal(space_counted(space, large_leaves), 1);
	fake_guest_leave();
	assert_int_equal(space_pin(space, GFN(7), true, &pfn), E_OK);
	assert_int_equal(space_counted(space, large_leaves), 1);
	memset(platform_frame_va(pfn), 0x44, PAGE_BYTES);
	assert_int_equal(space_split_all(space), 1); /* the frame stays where it is */
	assert_int_equal(read_at(space, 7 * 4096), 0x4444444444444444ull);
	fake_guest_leave();
	end(space);
	assert_int_equal(frame_kind(pfn), FRAME_ORPHAN);
	frame_unpin(pfn);
}

static void test_split_keeps_contents_and_dirt(void **state)
{
	struct space *space = make(MIB(8), true);

	(void)state;
	for (u64 gpa = 0; gpa < MIB(8); gpa += KIB(64))
		write_at(space, gpa, gpa ^ 0x5a5a);
	assert_int_equal(space_counted(space, large_leaves), 4);
	fake_guest_leave();
	assert_int_equal(space_split_all(space), 4);
	assert_int_equal(space_split_all(space), 0);
	assert_true(space_audit(space));
	assert_int_equal(space_pages_in_state(space, PAGE_PRIVATE), 2048);
	assert_true(*space_page_entry(space, GFN(1)) & slat_ept.dirty_bit);
	for (u64 gpa = 0; gpa < MIB(8); gpa += KIB(64))
		assert_int_equal(read_at(space, gpa), gpa ^ 0x5a5a);
	end(space);
}

static void test_hidden_pages_come_back_as_they_were(void **state)
{
	struct space *space = make(MIB(6), true);
	pfn_t pfn;

	(void)state;
	write_at(space, 8, 1); /* a 2 MiB leaf */
	space->large_pages = false;
	write_at(space, MIB(2), 2);
	assert_int_equal(read_at(space, MIB(4)), 0);
	fake_guest_leave();
	assert_int_equal(space_pin(space, GFN(7), true, &pfn), E_OK);
	assert_false(space_hide(space, GFN(7)));    /* pinned */
	assert_false(space_hide(space, GFN(1024))); /* zero */
	assert_false(space_hide(space, GFN(1025))); /* untouched */
	assert_false(space_hide(space, GFN(~0ull)));
	assert_true(space_hide(space, GFN(512)));
	assert_false(space_hide(space, GFN(512)));
	assert_true(space_audit(space));
	assert_int_equal(space_page_state(space, GFN(512)), PAGE_HIDDEN);
	assert_int_equal(space_hide_all(space), 511); /* of the first region, but the pinned one */
	assert_int_equal(space_consumed_pages(space), 513);
	assert_true(space_audit(space));
	u64 faults = space_counted(space, faults_hidden);

	assert_int_equal(read_at(space, 8), 1);
	write_at(space, MIB(2) + 8, 3);
	assert_int_equal(read_at(space, MIB(2)), 2);
	assert_int_equal(space_counted(space, faults_hidden), faults + 2);
	fake_guest_leave();
	space_unpin(space, pfn);
	end(space); /* with hidden pages left */
}

static void test_every_touch_faults_once_when_hidden(void **state)
{
	struct space *space = make(MIB(2), false);

	(void)state;
	write_at(space, 0, 5);
	for (u64 i = 1; i < 20; i++) {
		/* From another CPU, while this one is inside with the page in its cache. */
		fake_cpu_set(1);
		assert_true(space_hide(space, GFN(0)));
		fake_cpu_set(0);
		assert_int_equal(read_at(space, 0), 5);
		assert_int_equal(space_counted(space, faults_hidden), i);
	}
	end(space);
}

static void test_audit_notices_a_wrong_entry(void **state)
{
	struct space *space = make(MIB(2), false);
	pfn_t strange = frame_alloc(FRAME_HV);

	(void)state;
	fake_log_quiet(true);
	write_at(space, 0, 1);
	fake_guest_leave();
	u64 *entry = space_page_entry(space, GFN(0)), sound = *entry;
	u64 wrong[] = {slat_make_leaf(&slat_ept, strange, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false),
		slat_make_leaf(
			&slat_ept, slat_pfn(&slat_ept, sound), SLAT_READ, PAGE_PRIVATE, false),
		slat_make_leaf(&slat_ept, frame_zero(), SPACE_RIGHTS_ALL, PAGE_ZERO, false), 0,
		1 << 11, slat_make_absent(&slat_ept, PAGE_SWAPPED, 5)};

	for (u32 i = 0; i < ARRAY_COUNT(wrong); i++) {
		*entry = wrong[i];
		assert_false(space_audit(space));
	}
	*entry = sound;
	*(entry + 1) = sound; /* the same frame twice */
	assert_false(space_audit(space));
	*(entry + 1) = 0;
	frame_free(strange);
	end(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_sizes_that_cannot_be_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cost_is_what_was_said, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_names_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_clear_makes_all_pages_zero_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_clear_flushes_even_where_only_zeros_were, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pins_of_every_state, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_pins_of_what_is_present_bring_nothing_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pins_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_pinned_frames_outlive_their_vm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pin_over_a_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pin_in_a_large_leaf, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_split_keeps_contents_and_dirt, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_hidden_pages_come_back_as_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_every_touch_faults_once_when_hidden, setup, teardown),
		cmocka_unit_test_setup_teardown(test_audit_notices_a_wrong_entry, setup, teardown),
	};

	return cmocka_run_group_tests_name("unit/space", tests, NULL, NULL);
}
