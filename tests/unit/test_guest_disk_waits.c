/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c hv/disk/guest_disk.c
   hv/disk/guest_disk_slot.c hv/disk/guest_disk_data.c hv/memory/guest_mem.c
   hv/vdev/virtio_queue.c hv/vdev/virtio_mmio.c hv/vdev/virtio_blk.c mm LIBS:
   -Wl,--wrap=space_peek -Wl,--wrap=space_page_state -Wl,--wrap=space_pin_overwrite */
/*
 * What a guest's disk waits for, and who waits for it: pins, pages that are not in memory, requests
 * at the disk when their guest is reset or ends.
 */
#include "tests/unit/guest_disk_rig.h"

static void too_few_pins_are_waited_for_and_the_request_goes_on_in_parts(void **state)
{
	struct virtio_piece piece = {DATA_GPA, KIB(40)};
	u16 head;
	u32 written;

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	take_pins(SPACE_PINS_MAX - 8 - stats_get(&space->pins));
	submit(0, IN, 0, &piece, 1);
	assert_int_equal(beneath.count, 1);
	assert_int_equal(beneath.requests[0]->block_count, 64); /* 8 pages */
	submit(1, IN, 0, &piece, 1);
	assert_int_equal(beneath.count, 1);
	/* It waits, and nobody is at work on it. */
	assert_int_equal(wants, GUEST_DISK_HAS_WORK);
	complete_all();
	assert_int_equal(wants, 0);
	assert_true(next_used(&head, &written) && next_used(&head, &written));
	assert_int_equal(written, KIB(40) + 1);
	assert_int_equal(status_of(0) | status_of(1), 0);
	assert_true(guest_disk_stats(disk)->waits > 0);
	take_pins(0);
	end();
}

static void a_reset_by_the_driver_waits_for_the_disk(void **state)
{
	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	submit(0, IN, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	submit(1, OUT, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	assert_int_equal(write_register(0x70, 0), E_WAIT);
	assert_int_equal(write_register(0x44, 0), E_WAIT);
	complete(0);
	/* What comes meanwhile is not begun. */
	make_available(0);
	set(0x50, 0);
	work();
	assert_int_equal(beneath.count, 1);
	assert_int_equal(write_register(0x70, 0), E_WAIT);
	complete(0);
	work();
	assert_int_equal(beneath.count, 0);
	assert_int_equal(write_register(0x70, 0), 0);
	assert_int_equal(stats_get(&space->pins), 0);
	assert_int_equal(status_of(1), 0xee); /* nobody was told */
	driver_start(FEATURES_ALL);
	assert_int_equal(request(IN, 0, DATA_GPA, 4096), 0);
	end();
}

static void what_a_vm_leaves_at_the_disk_keeps_its_frames_and_holds_up_the_next_life(void **state)
{
	struct frame_account before, after;
	u8 page[PAGE_BYTES];

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	submit(0, IN, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	/* A reset of the VM, with its memory cleared. */
	spin_lock(&lock);
	guest_disk_reset(disk);
	spin_unlock(&lock);
	space_clear(space);
	assert_int_equal(guest_disk_orphan_count(disk), 1);
	driver_start_after_reset(FEATURES_ALL);
	submit(0, IN, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	assert_int_equal(beneath.count, 1);
	complete(0);
	work();
	assert_int_equal(beneath.count, 1); /* the new life's */
	/* Its end, with its memory gone; then another one. */
	spin_lock(&lock);
	guest_disk_close(disk);
	spin_unlock(&lock);
	frame_account_get(&before);
	space_destroy(space);
	frame_account_get(&after);
	assert_int_equal(after.frames[FRAME_ORPHAN], 1);
	make_space();
	guest_disk_open(disk, space);
	driver_start_after_reset(FEATURES_ALL);
	memset(page, 0x77, sizeof(page));
	put(DATA_GPA, page, sizeof(page));
	submit(0, OUT, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	assert_int_equal(beneath.count, 1);
	complete(0);
	work();
	assert_int_equal(beneath.count, 1);
	assert_int_equal(beneath.requests[0]->op, BLK_WRITE);
	complete_all();
	assert_memory_equal(blocks + FIRST_BLOCK * 512, page, sizeof(page));
	end();
}

static void what_the_guest_pages_out_is_left_where_the_host_has_it(void **state)
{
	struct virtio_piece piece = {DATA_GPA, 6 * PAGE_BYTES};
	u64 first = DATA_GPA / PAGE_BYTES, at = FIRST_BLOCK * 512;
	u8 page[PAGE_BYTES], other[PAGE_BYTES];

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	memset(page, 0x11, sizeof(page));
	memset(other, OTHER, sizeof(other));
	for (u32 i = 0; i < 6; i++)
		put(DATA_GPA + i * PAGE_BYTES, page, sizeof(page));
	absent.holds_others = true;
	absent.where[first + 1] = ZIPPED;
	absent.where[first + 3] = absent.where[first + 4] = SWAPPED;
	submit(0, OUT, 0, &piece, 1);
	/* The first three pages do not wait for the fourth. */
	assert_int_equal(beneath.count, 1);
	assert_int_equal(beneath.requests[0]->block_count, 24);
	complete_all();
	assert_int_equal(absent.count, 1);
	complete_peek(0, 0);
	work();
	assert_int_equal(beneath.requests[0]->block_count, 8); /* nor the fourth for the fifth */
	complete_all();
	complete_peek(0, 0);
	work();
	complete_all();
	assert_int_equal(status_of(0), 0);
	for (u32 i = 0; i < 6; i++)
		assert_memory_equal(blocks + at + i * PAGE_BYTES,
			absent.where[first + i] ? other : page, PAGE_BYTES);
	assert_int_equal(absent.peeks, 3);
	/* Reading over them. */
	assert_int_equal(request(IN, 0, DATA_GPA + 512, 3 * PAGE_BYTES - 512), 0);
	assert_int_equal(absent.overwrites, 2);
	end();
}

static void a_block_of_two_pages_that_are_both_swapped_gets_there(void **state)
{
	struct virtio_piece piece = {DATA_GPA + 2048, 4096};

	(void)state;
	begin_with(4096);
	driver_start(FEATURES_ALL);
	absent.where[DATA_GPA / PAGE_BYTES] = absent.where[DATA_GPA / PAGE_BYTES + 1] = SWAPPED;
	submit(0, OUT, 0, &piece, 1);
	complete_peek(0, 0);
	work();
	complete_peek(0, 0);
	work();
	assert_int_equal(beneath.count, 1);
	complete_all();
	assert_int_equal(status_of(0), 0);
	end();
}

static void a_page_that_is_lost_is_the_vms_end_and_one_on_its_way_is_waited_for(void **state)
{
	struct virtio_piece piece = {DATA_GPA, 4096};

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	absent.where[DATA_GPA / PAGE_BYTES] = BEING_READ;
	submit(0, OUT, 0, &piece, 1);
	assert_int_equal(beneath.count, 0);
	assert_true(wants & GUEST_DISK_HAS_WORK);
	absent.where[DATA_GPA / PAGE_BYTES] = SWAPPED;
	work();
	assert_int_equal(failed, 0);
	complete_peek(0, E_CORRUPT);
	assert_int_equal(failed, E_CORRUPT);
	absent.where[DATA_GPA / PAGE_BYTES] = IN_MEMORY;
	work();
	complete_all();
	end();
}

static void a_page_under_way_is_let_go_of_like_the_disk(void **state)
{
	struct virtio_piece piece = {DATA_GPA, 4096};

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	absent.where[DATA_GPA / PAGE_BYTES] = SWAPPED;
	submit(0, OUT, 0, &piece, 1);
	assert_int_equal(write_register(0x70, 0), E_WAIT);
	complete_peek(0, 0);
	assert_int_equal(write_register(0x70, 0), 0);
	driver_start(FEATURES_ALL);
	submit(0, OUT, 0, &piece, 1);
	spin_lock(&lock);
	guest_disk_close(disk);
	spin_unlock(&lock);
	assert_int_equal(guest_disk_orphan_count(disk), 1);
	complete_peek(0, E_NOTFOUND);
	assert_int_equal(guest_disk_orphan_count(disk), 0);
	assert_int_equal(failed, 0);
	end();
}

static void no_frame_for_the_data_is_the_vms_end(void **state)
{
	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	fake_log_quiet(true);
	submit(0, FLUSH, 0, NULL, 0); /* so that the driver's own pages are there */
	submit(1, FLUSH, 0, NULL, 0);
	complete_all();
	put_header(1, IN, 0);
	fake_fail_alloc(1, true);
	submit(1, IN, 0, &(struct virtio_piece){DATA_GPA + MIB(1), 4096}, 1);
	fake_fail_alloc(0, false);
	assert_int_equal(failed, E_NOMEM);
	assert_int_equal(beneath.count, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(too_few_pins_are_waited_for_and_the_request_goes_on_in_parts),
		UNIT(a_reset_by_the_driver_waits_for_the_disk),
		UNIT(what_a_vm_leaves_at_the_disk_keeps_its_frames_and_holds_up_the_next_life),
		UNIT(what_the_guest_pages_out_is_left_where_the_host_has_it),
		UNIT(a_block_of_two_pages_that_are_both_swapped_gets_there),
		UNIT(a_page_that_is_lost_is_the_vms_end_and_one_on_its_way_is_waited_for),
		UNIT(a_page_under_way_is_let_go_of_like_the_disk),
		UNIT(no_frame_for_the_data_is_the_vms_end),
	};
	return cmocka_run_group_tests_name("unit/guest_disk_waits", tests, NULL, NULL);
}
