/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * Page sharing: what is merged and what is not, what a write gets, what a quiet pass costs, salts,
 * large leaves, rates.
 */
#include "mm/share/share_audit.h"
#include "mm/share/share_batch.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include "tests/fake/fake_platform.h"
#include "tests/unit/share_rig.h"
#include <string.h>

static struct space *vms[3];

static void start(u32 salt_a, u32 salt_b)
{
	fake_start_plain(2, 4000);
	fake_guest_start();
	share_test_hooks(NULL, 0);
	vms[0] = make(salt_a, MIB(4), false);
	vms[1] = make(salt_b, MIB(4), false);
	vms[2] = NULL;
}

static void stop(void)
{
	fake_guest_leave_all();
	for (u32 i = 0; i < 3; i++) {
		if (vms[i]) {
			assert_true(space_audit(vms[i]));
			space_destroy(vms[i]);
		}
	}
	assert_true(share_index_audit());
	assert_true(frame_audit());
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 0);
	assert_int_equal(fake_guest_violations(), 0);
	fake_stop();
}

static u64 get(struct space *space, u64 page)
{
	u64 value = 0;

	assert_int_equal(
		fake_guest_access(space, GPA(page * PAGE_BYTES + 64), SLAT_READ, &value, 8),
		FAULT_DONE);
	return value;
}

static void pass_all(u32 times)
{
	while (times--) {
		for (u32 i = 0; i < 3; i++) {
			if (vms[i])
				pass(vms[i]);
		}
	}
}

static enum page_state state_of(struct space *space, u64 page)
{
	return space_page_state(space, GFN(page));
}

/* Also where no page is like another, so that nothing else ends the slice. */
static void test_a_slice_ends_when_its_time_is_over(void **state)
{
	struct share_progress done;
	u64 hashed = 0;

	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 100; page++)
		put(vms[0], page, 1000 + page);
	fake_guest_leave();
	do {
		done = share_scan(vms[0], ALL, 0);
		assert_true(done.hashed <= 8);
		hashed += done.hashed;
	} while (!done.pass_ended);
	assert_int_equal(hashed, 100);
	stop();
}

static void test_equal_pages_become_one_frame(void **state)
{
	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 10; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, 1000 + page);
	}
	put(vms[0], 20, 1000); /* like another of its own */
	put(vms[0], 21, 77);   /* like none */
	pass_all(2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 10);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 1);
	assert_int_equal(state_of(vms[0], 20), PAGE_SHARED);
	assert_int_equal(state_of(vms[0], 21), PAGE_PRIVATE);
	assert_int_equal(space_counted(vms[0], share_merged_own), 1);
	assert_int_equal(space_counted(vms[1], share_merged_other), 10);
	struct share_figures a, b;

	share_figures_get(vms[0], &a);
	share_figures_get(vms[1], &b);
	assert_int_equal(a.shared_pages, 11);
	assert_int_equal(a.own_pages, 11);
	assert_int_equal(b.shared_pages, 10);
	assert_int_equal(b.other_pages, 10);
	assert_int_equal(a.hint_pages, 1);
	/* 21 mappings on 10 frames. */
	assert_in_range(a.saved_millipages + b.saved_millipages, 10990, 11010);
	for (u64 page = 0; page < 10; page++) {
		assert_int_equal(get(vms[0], page), 1000 + page);
		assert_int_equal(get(vms[1], page), 1000 + page);
	}
	stop();
}

static void test_zero_pages_cost_no_frame(void **state)
{
	(void)state;
	start(1, 2);
	for (u64 page = 0; page < 5; page++) {
		put(vms[0], page, 5);
		put(vms[0], page, 0);
	}
	pass_all(2);
	assert_int_equal(state_of(vms[0], 3), PAGE_ZERO);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE) + frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(space_counted(vms[0], share_zeroed), 5);
	assert_int_equal(get(vms[0], 3), 0);
	put(vms[0], 3, 9);
	assert_int_equal(get(vms[0], 3), 9);
	stop();
}

static void test_a_write_gets_a_copy_and_the_last_owner_the_frame(void **state)
{
	(void)state;
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 2, 42);
	pass_all(2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 1);
	put(vms[1], 2, 43);
	assert_int_equal(space_counted(vms[1], share_copied), 1);
	assert_int_equal(get(vms[0], 1), 42);
	assert_int_equal(get(vms[1], 2), 43);
	u64 rounds = vms[0]->tlb.generation;

	put(vms[0], 1, 44);
	assert_int_equal(space_counted(vms[0], share_taken), 1);
	assert_int_equal(vms[0]->tlb.generation, rounds);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 2);
	assert_int_equal(get(vms[1], 2), 43);
	stop();
}

static void test_a_pin_for_writing_breaks_and_a_pinned_page_is_left_alone(void **state)
{
	pfn_t pin, read_pin;

	(void)state;
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 1, 42);
	pass_all(2);
	fake_guest_leave();
	assert_int_equal(space_pin(vms[1], GFN(1), false, &read_pin), E_OK);
	assert_int_equal(space_pin(vms[0], GFN(1), true, &pin), E_OK);
	assert_int_equal(state_of(vms[0], 1), PAGE_PRIVATE);
	assert_int_not_equal(pin.v, read_pin.v);
	/* A write through the pin sets no D: still the page is not taken for unchanged. */
	pass_all(2);
	assert_int_equal(state_of(vms[0], 1), PAGE_PRIVATE);
	assert_true(space_counted(vms[0], share_refused[SHARE_REFUSED_PINNED]) +
			    space_counted(vms[0], share_refused[SHARE_REFUSED_WRITTEN]) >
		    0);
	((u64 *)platform_frame_va(pin))[8] = 99;
	assert_int_equal(get(vms[0], 1), 99);
	assert_int_equal(get(vms[1], 1), 42);
	/* The last owner cannot have a frame that somebody reads. */
	put(vms[1], 1, 50);
	assert_int_equal(space_counted(vms[1], share_taken), 0);
	assert_int_equal(((u64 *)platform_frame_va(read_pin))[8], 42);
	fake_guest_leave();
	space_unpin(vms[1], read_pin);
	space_unpin(vms[0], pin);
	stop();
}

static void test_different_salts_never_share(void **state)
{
	(void)state;
	start(1, 2);
	vms[2] = make(0, MIB(1), false); /* sharing switched off */
	for (u32 i = 0; i < 3; i++) {
		put(vms[i], 1, 42);
		put(vms[i], 2, 42);
	}
	pass_all(3);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 2);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 2);
	assert_int_equal(state_of(vms[2], 1), PAGE_PRIVATE);
	stop();
}

static void test_a_change_of_salt_unshares_as_frames_come(void **state)
{
	pfn_t hoard[4096];
	u64 count = 0;

	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 6; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, 1000 + page);
	}
	pass_all(2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 6);
	while (count < 4096 && frame_free_count() > 2)
		hoard[count++] = frame_alloc(FRAME_HV);
	share_set_salt(vms[1], 2);
	assert_true(share_scan(vms[1], ALL, ALL).no_memory);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 4);
	while (count)
		frame_free(hoard[--count]);
	pass_all(2);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 0);
	for (u64 page = 0; page < 6; page++)
		assert_int_equal(get(vms[1], page), 1000 + page);
	share_set_salt(vms[1], 1);
	pass_all(2);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 6);
	stop();
}

#define ALIKE 6u

/* Two VMs that share ALIKE pages, and have some of their own. */
static void start_shared(void)
{
	start(1, 1);
	for (u64 page = 0; page < ALIKE; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, 1000 + page);
		put(vms[1], 100 + page, 5000 + page);
	}
	pass_all(2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), ALIKE);
}

/* As often as it takes, a step each; how often there was no memory. */
static u32 unshare(struct space *space)
{
	u32 stuck = 0, slices = 0;

	while (share_is_unsharing(space)) {
		stuck += share_scan(space, ALL, 0).no_memory;
		assert_true(slices++ < 2000);
	}
	return stuck;
}

static void assert_apart(void)
{
	struct share_figures figures;
	struct share_audit audit;

	share_figures_get(vms[0], &figures);
	assert_int_equal(figures.other_pages, 0);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 0);
	assert_int_equal(share_audit(&audit), E_OK);
	assert_int_equal(audit.stray_pages, 0);
	for (u64 page = 0; page < ALIKE; page++) {
		assert_int_equal(get(vms[0], page), 1000 + page);
		assert_int_equal(get(vms[1], page), 1000 + page);
		assert_int_equal(get(vms[1], 100 + page), 5000 + page);
	}
	fake_guest_leave();
}

static void test_unsharing_goes_on_whichever_allocation_fails(void **state)
{
	(void)state;
	for (u64 nth = 1; nth <= ALIKE + 1; nth++) {
		for (u32 salt = 0; salt <= 2; salt += 2) {
			struct share_audit audit;

			start_shared();
			share_set_salt(vms[1], salt);
			assert_true(share_is_unsharing(vms[1]));
			assert_int_equal(share_audit(&audit), E_OK);
			assert_int_equal(audit.stray_pages, ALIKE);
			fake_fail_alloc(nth, false);
			assert_int_equal(unshare(vms[1]), nth <= ALIKE);
			fake_fail_alloc(0, false);
			assert_apart();
			share_set_salt(vms[1], 1);
			pass_all(3);
			assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), ALIKE);
			stop();
		}
	}
}

static void test_unsharing_that_is_overtaken_by_another_change_ends_apart_as_well(void **state)
{
	(void)state;
	start_shared();
	share_set_salt(vms[1], 2);
	share_scan(vms[1], ALL, 0);
	share_scan(vms[1], ALL, 0);
	share_set_salt(vms[1], 3);
	unshare(vms[1]);
	assert_apart();
	/* Whoever comes back meanwhile keeps what it has not lost yet. */
	share_set_salt(vms[1], 1);
	pass_all(3);
	share_set_salt(vms[1], 2);
	share_scan(vms[1], ALL, 0);
	share_set_salt(vms[1], 1);
	u64 copied = space_counted(vms[1], share_copied);

	unshare(vms[1]);
	assert_int_equal(space_counted(vms[1], share_copied), copied);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), ALIKE - 1);
	stop();
}

static void test_guests_that_write_while_they_are_unshared_lose_nothing(void **state)
{
	(void)state;
	start_shared();
	share_set_salt(vms[1], 0);
	for (u64 page = 0; page < ALIKE; page++) {
		share_scan(vms[1], ALL, 0);
		put(vms[1], ALIKE - 1 - page, 7000 + page);
		put(vms[0], page, 8000 + page);
		fake_guest_leave();
	}
	unshare(vms[1]);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 0);
	for (u64 page = 0; page < ALIKE; page++) {
		assert_int_equal(get(vms[0], page), 8000 + page);
		assert_int_equal(get(vms[1], ALIKE - 1 - page), 7000 + page);
	}
	stop();
}

static void test_an_unchanged_page_is_not_hashed_again(void **state)
{
	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 100; page++)
		put(vms[0], page, 1000 + page);
	assert_int_equal(pass(vms[0]).hashed, 100);
	assert_int_equal(pass(vms[0]).hashed, 0);
	assert_int_equal(space_counted(vms[0], share_unchanged), 100);
	put(vms[0], 7, 5); /* since the pass: the next sweep sees it, and that pass hashes it */
	assert_int_equal(pass(vms[0]).hashed, 1);
	stop();
}

static void test_a_page_written_during_the_pass_waits_for_the_next(void **state)
{
	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 100; page++)
		put(vms[0], page, 1000 + page);
	fake_guest_leave();
	share_scan(vms[0], 8, ALL); /* the sweep, and 8 pages */
	put(vms[0], 50, 5);
	assert_int_equal(pass(vms[0]).hashed, 91);
	assert_int_equal(space_counted(vms[0], share_refused[SHARE_REFUSED_WRITTEN]), 1);
	stop();
}

static void test_page_tables_are_left_alone_until_they_rest(void **state)
{
	(void)state;
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 1, 42);
	pass_all(2);
	fake_guest_leave();
	assert_int_equal(fault_handle(vms[0], GPA(PAGE_BYTES), SLAT_READ | SLAT_WRITE | FAULT_WALK),
		FAULT_DONE);
	assert_int_equal(state_of(vms[0], 1), PAGE_PRIVATE);
	put(vms[0], 1, 42); /* a walk sets D */
	pass(vms[0]);
	assert_int_equal(state_of(vms[0], 1), PAGE_PRIVATE);
	assert_int_equal(space_counted(vms[0], share_refused[SHARE_REFUSED_WALKED]), 1);
	pass_all(2);
	assert_int_equal(state_of(vms[0], 1), PAGE_SHARED);
	stop();
}

static void test_large_leaves_are_split_for_a_gain_only(void **state)
{
	(void)state;
	fake_start_plain(2, 9000);
	fake_guest_start();
	share_test_hooks(NULL, 0);
	vms[0] = make(1, MIB(2), true);
	vms[1] = make(1, MIB(2), true);
	vms[2] = make(1, MIB(2), true);
	for (u64 page = 0; page < 512; page++) {
		put(vms[0], page, 1 + page);
		put(vms[1], page, 1 + page);
		put(vms[2], page, page < 20 ? 1 + page : 5000 + page);
	}
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(space_counted(vms[i], large_leaves), 1);
	pass_all(3);
	assert_int_equal(space_counted(vms[0], large_leaves), 0);
	assert_int_equal(space_counted(vms[1], large_leaves), 0);
	assert_int_equal(space_counted(vms[2], large_leaves), 1);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 512);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 512);
	for (u64 page = 0; page < 512; page++)
		assert_int_equal(get(vms[1], page), 1 + page);
	stop();
}

/* A VM of one 2 MiB leaf with its own bytes, and one of small pages, @alike of them the same. */
static void start_leaf_beside_small_pages(u64 alike)
{
	fake_start_plain(2, 9000);
	fake_guest_start();
	share_test_hooks(NULL, 0);
	vms[0] = make(1, MIB(2), true);
	vms[1] = make(1, MIB(2), false);
	vms[2] = NULL;
	for (u64 page = 0; page < 512; page++)
		put(vms[0], page, 1 + page);
	for (u64 page = 0; page < alike; page++)
		put(vms[1], page, 1 + page);
	assert_int_equal(space_counted(vms[0], large_leaves), 1);
}

static void test_no_leaf_is_split_for_hints_that_are_not_true_any_more(void **state)
{
	(void)state;
	for (u32 leaf_first = 0; leaf_first < 2; leaf_first++) {
		start_leaf_beside_small_pages(200);
		pass(vms[!leaf_first]);
		/* Whoever stands in the index has other bytes by now. */
		for (u64 page = 0; page < 200; page++)
			put(vms[!leaf_first], page, 7000 + page);
		pass(vms[leaf_first]);
		assert_int_equal(space_counted(vms[0], splits), 0);
		assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
		stop();
	}
}

static void test_a_page_counts_once_for_a_split_from_whichever_side_it_is_seen(void **state)
{
	(void)state;
	for (u64 missing = 0; missing < 2; missing++) {
		start_leaf_beside_small_pages(SHARE_SPLIT_GAIN_PAGES - missing);
		for (u32 i = 0; i < 4; i++) {
			pass(vms[1]);
			pass(vms[0]);
			pass(vms[1]);
		}
		assert_int_equal(space_counted(vms[0], splits), !missing);
		assert_int_equal(
			frame_kind_count(FRAME_SHARED), missing ? 0 : SHARE_SPLIT_GAIN_PAGES);
		stop();
	}
}

static void test_false_matches_are_refused(void **state)
{
	(void)state;
	start(1, 1);
	share_test_hooks(NULL, 1);
	for (u64 page = 0; page < 50; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, 2000 + page);
	}
	pass_all(3);
	assert_true(space_counted(vms[0], share_refused[SHARE_REFUSED_DIFFERS]) > 0);
	assert_int_equal(
		space_counted(vms[0], share_merged_own) + space_counted(vms[0], share_merged_other),
		0);
	/* And once is enough, as long as nothing is written. */
	assert_int_equal(pass(vms[0]).hashed, 0);
	for (u64 page = 0; page < 50; page++) {
		assert_int_equal(get(vms[0], page), 1000 + page);
		assert_int_equal(get(vms[1], page), 2000 + page);
	}
	stop();
}

static void test_a_hint_that_is_not_true_any_more_gives_way(void **state)
{
	(void)state;
	start(1, 1);
	vms[2] = make(1, MIB(4), false);
	put(vms[0], 1, 42);
	pass(vms[0]);
	put(vms[0], 1, 43);
	put(vms[1], 1, 42);
	put(vms[2], 1, 42);
	pass(vms[1]);
	assert_int_equal(space_counted(vms[1], share_refused[SHARE_REFUSED_STALE]), 1);
	pass(vms[2]);
	assert_int_equal(state_of(vms[1], 1), PAGE_SHARED);
	assert_int_equal(state_of(vms[2], 1), PAGE_SHARED);
	stop();
}

/* On CPU 1, which still runs the VM whose page a hint named: can it write there? */
static u32 late_writes;

static void write_through_the_cache(enum share_step at)
{
	u64 value = 99;

	if (at != SHARE_STEP_FLUSHED)
		return;
	fake_cpu_set(1);
	late_writes +=
		fake_guest_access_cached(vms[0], GPA(PAGE_BYTES + 64), SLAT_WRITE, &value, 8);
	fake_cpu_set(0);
}

static void test_a_hinted_pages_vm_is_flushed_before_bytes_are_compared(void **state)
{
	(void)state;
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 1, 42);
	pass(vms[0]);
	fake_cpu_set(1);
	put(vms[0], 1, 42); /* its translation is cached there from now on */
	fake_cpu_set(0);
	late_writes = 0;
	share_test_hooks(write_through_the_cache, 0);
	/* Not pass(): CPU 1 stays in its guest. */
	while (!share_scan(vms[1], ALL, ALL).pass_ended)
		;
	share_test_hooks(NULL, 0);
	assert_int_equal(late_writes, 0);
	assert_int_equal(state_of(vms[0], 1), PAGE_SHARED);
	assert_int_equal(state_of(vms[1], 1), PAGE_SHARED);
	assert_int_equal(get(vms[1], 1), 42);
	stop();
}

static void test_rates_keep_every_limit(void **state)
{
	const struct share_rate_limits usual = {60, 4, 1024};
	u64 gib4 = GIB(4) >> PAGE_SHIFT;

	(void)state;
	/* Once in an hour, where that is the least. */
	assert_int_equal(share_rate_pages_s(&usual, gib4, gib4, 3000000, 1), 292);
	/* 4 MB/s of each GHz, shared by size. */
	assert_int_equal(share_rate_pages_s(&usual, gib4, 16 * gib4, 1000000, 1), 64);
	assert_int_equal(share_rate_pages_s(&usual, 16 * gib4, 16 * gib4, 2000000, 4), 1024);
	assert_int_equal(share_rate_pages_s(&usual, gib4, 0, 2000000, 4), 0);
	const struct share_rate_limits none = {60, 0, 1024}, stopped = {60, 4, 0};

	assert_int_equal(share_rate_pages_s(&none, gib4, gib4, 3000000, 1), 0);
	assert_int_equal(share_rate_pages_s(&stopped, gib4, gib4, 3000000, 1), 0);
	for (u32 pages = 1; pages < 100000; pages = pages * 3 + 1)
		assert_in_range(share_rate_pages_s(&usual, pages, 100000, 2400000, 2), 0,
			4 * 256 * 2 * 24 / 10);
}

static void test_a_frame_with_all_references_is_not_shared_further(void **state)
{
	struct share_figures figures;

	(void)state;
	start(1, 1);
	share_index_test_count_max(3);
	for (u64 page = 0; page < 8; page++)
		put(vms[0], page, 42);
	pass_all(4);
	assert_int_equal(space_pages_in_state(vms[0], PAGE_SHARED), 8);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 3);
	share_figures_get(vms[0], &figures);
	assert_in_range(figures.saved_millipages, 4990, 5010);
	for (u64 page = 0; page < 8; page++)
		put(vms[0], page, 100 + page);
	for (u64 page = 0; page < 8; page++)
		assert_int_equal(get(vms[0], page), 100 + page);
	share_index_test_count_max(0);
	stop();
}

static u64 refused(u32 vm, enum share_refusal why)
{
	return space_counted(vms[vm], share_refused[why]);
}

/* --- What comes between, in the middle of a merge --- */

static void write_to_the_scanned_page(enum share_step at)
{
	if (at == SHARE_STEP_FLUSHED)
		put(vms[1], 1, 42);
	fake_guest_leave();
}

static pfn_t fillers[8];

/* The bucket of the page's hash, with nothing but shared frames of somebody else. */
static void fill_the_bucket(enum share_step at)
{
	bool zero;
	pfn_t frame;

	if (at != SHARE_STEP_FLUSHED)
		return;
	space_leaf(vms[1], GFN(1), &frame);
	struct share_id id = share_identify(vms[1], frame, &zero);

	for (u32 i = 0; i < 8; i++) {
		id.salt = 50 + i;
		fillers[i] = frame_alloc(FRAME_SHARED);
		assert_int_equal(share_index_enter(id, fillers[i], 1), E_OK);
	}
}

static void merge_one_page(void (*act)(enum share_step at), enum share_refusal expected)
{
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 1, 42);
	pass(vms[0]);
	share_test_hooks(act, 0);
	pass(vms[1]);
	share_test_hooks(NULL, 0);
	for (u32 why = 0; why < SHARE_REFUSED_COUNT; why++)
		assert_int_equal(refused(1, why), why == expected);
	assert_int_equal(state_of(vms[1], 1), PAGE_PRIVATE);
	assert_int_equal(get(vms[1], 1), 42);
}

static void test_what_comes_between_is_counted_by_its_reason(void **state)
{
	(void)state;
	merge_one_page(write_to_the_scanned_page, SHARE_REFUSED_RACED);
	stop();
	merge_one_page(fill_the_bucket, SHARE_REFUSED_FULL);
	for (u32 i = 0; i < 8; i++)
		share_index_put(fillers[i]);
	stop();
	start_leaf_beside_small_pages(1);
	pass(vms[0]);
	pass(vms[1]);
	assert_int_equal(refused(1, SHARE_REFUSED_LARGE), 1);
	stop();
}

static void test_the_counters_tell_what_a_pass_did(void **state)
{
	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 10; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, page < 4 ? 1000 + page : page < 7 ? 3000 + page : 3000);
	}
	put(vms[1], 20, 0);
	pass(vms[0]);
	pass(vms[1]);
	const struct space_stats s = space_stats(vms[1]);

	/* The other region was never touched: it is passed by as a whole, as one entry. */
	assert_int_equal(s.share_visited, REGION_PAGE_COUNT + 1);
	assert_int_equal(s.share_hashed, 11);
	/* 4 of the other's, 2 of 3 of its own, and the zero page. */
	assert_int_equal(s.share_merged_other, 4);
	assert_int_equal(s.share_merged_own, 2);
	assert_int_equal(s.share_zeroed, 1);
	assert_int_equal(s.share_compared, 7);
	assert_true(s.share_ns > 0);
	for (u32 why = 0; why < SHARE_REFUSED_COUNT; why++)
		assert_int_equal(refused(1, why), 0);
	stop();
}

static void test_every_refusal_has_a_name(void **state)
{
	(void)state;
	for (u32 why = 0; why < SHARE_REFUSED_COUNT; why++)
		assert_string_not_equal(share_refusal_name((enum share_refusal)why), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_pages_become_one_frame),
		cmocka_unit_test(test_zero_pages_cost_no_frame),
		cmocka_unit_test(test_a_write_gets_a_copy_and_the_last_owner_the_frame),
		cmocka_unit_test(test_a_pin_for_writing_breaks_and_a_pinned_page_is_left_alone),
		cmocka_unit_test(test_different_salts_never_share),
		cmocka_unit_test(test_a_change_of_salt_unshares_as_frames_come),
		cmocka_unit_test(test_unsharing_goes_on_whichever_allocation_fails),
		cmocka_unit_test(
			test_unsharing_that_is_overtaken_by_another_change_ends_apart_as_well),
		cmocka_unit_test(test_guests_that_write_while_they_are_unshared_lose_nothing),
		cmocka_unit_test(test_an_unchanged_page_is_not_hashed_again),
		cmocka_unit_test(test_a_page_written_during_the_pass_waits_for_the_next),
		cmocka_unit_test(test_page_tables_are_left_alone_until_they_rest),
		cmocka_unit_test(test_large_leaves_are_split_for_a_gain_only),
		cmocka_unit_test(test_no_leaf_is_split_for_hints_that_are_not_true_any_more),
		cmocka_unit_test(
			test_a_page_counts_once_for_a_split_from_whichever_side_it_is_seen),
		cmocka_unit_test(test_false_matches_are_refused),
		cmocka_unit_test(test_a_hint_that_is_not_true_any_more_gives_way),
		cmocka_unit_test(test_a_hinted_pages_vm_is_flushed_before_bytes_are_compared),
		cmocka_unit_test(test_rates_keep_every_limit),
		cmocka_unit_test(test_a_slice_ends_when_its_time_is_over),
		cmocka_unit_test(test_a_frame_with_all_references_is_not_shared_further),
		cmocka_unit_test(test_what_comes_between_is_counted_by_its_reason),
		cmocka_unit_test(test_the_counters_tell_what_a_pass_did),
		cmocka_unit_test(test_every_refusal_has_a_name),
	};

	return cmocka_run_group_tests_name("unit/share", tests, NULL, NULL);
}
