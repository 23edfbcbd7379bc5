/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * Every allocation fails in turn: one scenario (two VMs, pages of both sizes, pins, a balloon, a
 * reset) is run with the Nth allocation failing, for every N, and again with all from the Nth on.
 * Each time nothing is half done, nothing else is harmed, and all frames come back. Likewise the
 * copies that writes to shared pages need.
 */
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/balloon/balloon.h"
#include "mm/share/share.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_PAGES 24u

#define REQUIRE(expr)                                                                              \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			fprintf(stderr, "%s:%d: %s, with allocation %llu failing\n", __FILE__,     \
				__LINE__, #expr, (unsigned long long)failing);                     \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static u64 failing;
static bool failing_all_after;
static u64 failures_seen;

static void audit(struct space *space)
{
	REQUIRE(frame_audit());
	if (space)
		REQUIRE(space_audit(space));
}

/* A failed fault must leave the page as it was; then it is the VM's end. */
static bool touch(struct space *space, u64 page, u32 access, u64 *value)
{
	gpa_t gpa = gfn_to_gpa(GFN(page));
	enum page_state before = space_page_state(space, GFN(page));
	enum fault_result result = fake_guest_access(space, gpa, access, value, sizeof(*value));

	audit(space);
	if (result == FAULT_DONE)
		return true;
	REQUIRE(result == FAULT_NOMEM);
	REQUIRE(space_page_state(space, GFN(page)) == before);
	failures_seen++;
	return false;
}

static bool pin(struct space *space, u64 page, bool write)
{
	u64 pins = stats_get(&space->pins);
	pfn_t pfn;

	fake_guest_leave();
	err_t err = space_pin(space, GFN(page), write, &pfn);

	audit(space);
	if (!err) {
		space_unpin(space, pfn);
		return true;
	}
	REQUIRE(err == E_NOMEM && stats_get(&space->pins) == pins);
	failures_seen++;
	return false;
}

/* Nothing here may need a frame but the touches. */
static bool vm_balloon(struct space *space, u64 tag)
{
	u64 pages[100], cursor = 0, back = ~0ull;
	err_t why;

	fake_guest_leave();
	for (u64 i = 0; i < ARRAY_COUNT(pages); i++)
		pages[i] = i * 5;
	REQUIRE(balloon_inflate(space, pages, ARRAY_COUNT(pages), BALLOON_ORDER_4K, &why) ==
		ARRAY_COUNT(pages));
	REQUIRE(balloon_inflate(space, (u64[]){512}, 1, BALLOON_ORDER_2M, &why) == 1);
	audit(space);
	REQUIRE(balloon_deflate(space, pages, 50, BALLOON_ORDER_4K, &why) == 50);
	bool touched = touch(space, 700, SLAT_WRITE, &tag) && touch(space, 300, SLAT_WRITE, &tag) &&
		       touch(space, 700, SLAT_READ, &back);

	fake_guest_leave();
	REQUIRE(!touched || back == tag);
	REQUIRE(balloon_release(space, &cursor, ~0u) && balloon_pages(space) == 0);
	audit(space);
	return touched;
}

/* False once an allocation failed. */
static bool vm_use(struct space *space, u64 tag)
{
	u64 zero = 0, value = tag;

	for (u64 page = 0; page < 1100; page += 61) {
		if (!touch(space, page, SLAT_READ, &zero) ||
			!touch(space, page, SLAT_WRITE, &value) ||
			!touch(space, page + 1, SLAT_EXEC, &zero))
			return false;
		u64 back = 0;

		REQUIRE(touch(space, page, SLAT_READ, &back) && back == tag);
	}
	return pin(space, 5, false) && pin(space, 5, true) && pin(space, 700, true) &&
	       vm_balloon(space, tag);
}

static struct space *vm_make(const struct slat_format *format, bool large)
{
	struct space_config config = {.name = "nth",
		.memory_bytes = MIB(5),
		.format = format,
		.large_pages = large,
		.large_pages_no_exec = true};
	struct space *space = NULL;
	u64 free_before = frame_free_count();

	fake_guest_leave();
	err_t err = space_create(&space, &config);

	REQUIRE(err == E_OK || err == E_NOMEM);
	if (err) {
		failures_seen++;
		REQUIRE(frame_free_count() == free_before);
	}
	audit(space);
	return space;
}

static void vm_end(struct space *space)
{
	fake_guest_leave_all();
	if (space)
		space_destroy(space);
	audit(NULL);
}

/* Pages that are shared with a neighbour of the same salt are written, one after the other. */
static void sharers_use(const struct slat_format *format)
{
	struct space *sharers[2];
	u64 alike = 7;

	for (u32 i = 0; i < 2; i++) {
		struct space_config config = {.name = "sharer",
			.memory_bytes = MIB(1),
			.format = format,
			.share_salt = 1};

		REQUIRE(space_create(&sharers[i], &config) == E_OK);
		for (u64 page = 0; page < SHARED_PAGES; page++)
			REQUIRE(touch(sharers[i], page, SLAT_WRITE, &alike));
	}
	fake_guest_leave();
	for (u32 i = 0; i < 4; i++) {
		while (!share_scan(sharers[i % 2], ~0ull, 1000000000).pass_ended)
			;
	}
	REQUIRE(space_pages_in_state(sharers[0], PAGE_SHARED) == SHARED_PAGES);
	fake_fail_alloc(failing, failing_all_after);
	for (u64 page = 0; page < SHARED_PAGES; page++) {
		u64 value = 100 + page, seen = 0;
		bool written = touch(sharers[0], page, SLAT_WRITE, &value);

		REQUIRE(touch(sharers[0], page, SLAT_READ, &seen) &&
			seen == (written ? value : alike));
		REQUIRE(touch(sharers[1], page, SLAT_READ, &seen) && seen == alike);
	}
	REQUIRE(share_index_audit());
	for (u32 i = 0; i < 2; i++)
		vm_end(sharers[i]);
}

/* The neighbour, made before anything fails, must not notice. */
static void scenario(const struct slat_format *format, bool large)
{
	struct space *first = vm_make(format, large);

	if (first && vm_use(first, 1)) {
		fake_guest_leave_all();
		space_split_all(first);
		audit(first);
		space_clear(first);
		audit(first);
	}
	if (first)
		vm_use(first, 2);
	fake_cpu_set(1);
	struct space *second = vm_make(format, large);

	if (second)
		vm_use(second, 3);
	vm_end(second);
	fake_cpu_set(0);
	vm_end(first);
}

static void all_failures(const struct slat_format *format, bool large, bool and_all_after)
{
	struct frame_account start, end;
	struct space_config config = {
		.name = "neighbour", .memory_bytes = MIB(1), .format = format};
	struct space *neighbour;
	u64 value = 0x6e65696768626f75, back = 0, count = 0;

	fake_start_plain(2, 6000);
	fake_clock_start(0);
	fake_guest_start();
	frame_account_get(&start);
	REQUIRE(space_create(&neighbour, &config) == E_OK);
	REQUIRE(touch(neighbour, 3, SLAT_WRITE, &value));
	failures_seen = 0;
	for (failing = 0;; failing++) {
		u64 seen_before = failures_seen;

		fake_fail_alloc(failing, and_all_after);
		scenario(format, large);
		count = fake_alloc_count();
		fake_fail_alloc(0, false);
		REQUIRE(touch(neighbour, 3, SLAT_READ, &back) && back == value);
		if (failing && failing > count)
			break;
		/* A failing 2 MiB allocation is made good by small pages; any other is noticed. */
		REQUIRE(failing == 0 || large || failures_seen > seen_before);
	}
	vm_end(neighbour);
	frame_account_get(&end);
	REQUIRE(memcmp(&start, &end, sizeof(start)) == 0);
	printf("%s%s: each of %llu allocations failed%s, %llu times noticed\n", format->name,
		large ? " large" : "", (unsigned long long)count,
		and_all_after ? " with all after it" : "", (unsigned long long)failures_seen);
	fflush(stdout);
	fake_stop();
}

/* Each copy that a write to a shared page needs fails in turn; once none does, all were made. */
static void all_break_failures(const struct slat_format *format, bool and_all_after)
{
	u64 failures = 0;

	failing_all_after = and_all_after;
	for (failing = 1; failing == 1 || failures_seen; failing++) {
		fake_start_plain(2, 2000);
		fake_clock_start(0);
		fake_guest_start();
		failures_seen = 0;
		sharers_use(format);
		failures += failures_seen;
		fake_stop();
	}
	REQUIRE(failing - 2 == SHARED_PAGES);
	printf("%s: each of %u copies of shared pages failed%s, %llu times noticed\n", format->name,
		SHARED_PAGES, and_all_after ? " with all after it" : "",
		(unsigned long long)failures);
	fflush(stdout);
}

int main(void)
{
	for (u32 i = 0; i < 8; i++)
		all_failures(i & 1 ? &slat_npt : &slat_ept, i & 2, i & 4);
	for (u32 i = 0; i < 4; i++)
		all_break_failures(i & 1 ? &slat_npt : &slat_ept, i & 2);
	return 0;
}
