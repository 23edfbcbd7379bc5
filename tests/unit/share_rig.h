/* What tests of sharing do: make spaces, write words into their guests' pages, scan. */
#ifndef TESTS_UNIT_SHARE_RIG_H
#define TESTS_UNIT_SHARE_RIG_H

#include "mm/share/share.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_guest.h"

#define ALL 1000000000000ull

static struct space *make(u32 salt, u64 bytes, bool large)
{
	struct space_config config = {.name = "unit",
		.memory_bytes = bytes,
		.format = &slat_ept,
		.large_pages = large,
		.share_salt = salt};
	struct space *space;

	assert_int_equal(space_create(&space, &config), E_OK);
	return space;
}

static void put(struct space *space, u64 page, u64 value)
{
	assert_int_equal(
		fake_guest_access(space, GPA(page * PAGE_BYTES + 64), SLAT_WRITE, &value, 8),
		FAULT_DONE);
}

/* To the end of the pass under way, or for want of memory. */
static struct share_progress pass(struct space *space)
{
	struct share_progress done, sum = {0};

	fake_guest_leave();
	do {
		done = share_scan(space, ALL, ALL);
		sum.visited += done.visited;
		sum.hashed += done.hashed;
		sum.no_memory = done.no_memory;
	} while (!done.pass_ended && !done.no_memory);
	return sum;
}

#endif
