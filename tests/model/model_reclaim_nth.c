/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/*
 * Each allocation and each command to the disk fails in turn, alone or with all that follow, while
 * pages of all kinds are evicted, brought back, written, evicted again and given up. No byte is
 * ever wrong: a page is served as it was, or not at all; what a failed write concerns stays in
 * memory; and all frames and slots come back.
 */
#include "tests/fake/fake_blk.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/reclaim/evict_objects.h"
#include "mm/reclaim/reclaim.h"
#include "mm/space/space_entry.h"
#include "mm/swap/swap.h"
#include "mm/zcache/zcache.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(expr)                                                                              \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			fprintf(stderr, "%s:%d: %s, with %s %llu failing\n", __FILE__, __LINE__,   \
				#expr, of_disk ? "command" : "allocation",                         \
				(unsigned long long)failing);                                      \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define PAGES     300u
#define USED      64u
#define BLOCK     512u
#define WAITS_MAX 1000u

static struct fake_blk disk;
static bool of_disk;
static u64 failing, refused, lost, kept_in_memory;
static u8 content[USED][PAGE_BYTES];
static bool given_up[USED];

static void complete(void)
{
	fake_guest_leave_all();
	while (fake_blk_run(&disk, ~0u))
		;
}

static void content_make(u32 page, u64 seed)
{
	struct rng rng = {seed * 1000 + page + 1};

	for (u32 at = 0; at < PAGE_BYTES; at += 8) {
		u64 word = page % 3 == 0   ? rng_next(&rng)
			   : page % 3 == 1 ? page + seed
					   : 0x0101010101010101ull * (page + at / 64 + seed);

		if (page % 3 == 1)
			word |= word << 32;
		memcpy(&content[page][at], &word, 8);
	}
}

/* Pinned, or NULL: this page is not to be had, and that is said. */
static u8 *page_pin(struct space *space, u32 page, bool write, pfn_t *pfn)
{
	u32 waits = 0;
	err_t err;

	fake_guest_leave_all();
	while ((err = space_pin(space, GFN(page), write, pfn)) == E_WAIT) {
		REQUIRE(++waits < WAITS_MAX);
		complete();
	}
	if (!err)
		return platform_frame_va(*pfn);
	REQUIRE(err == E_NOMEM || (of_disk && err == E_CORRUPT));
	err == E_NOMEM ? refused++ : lost++;
	given_up[page] = given_up[page] || err == E_CORRUPT;
	return NULL;
}

static void write_all(struct space *space, u64 seed)
{
	for (u32 page = 0; page < USED; page++) {
		pfn_t pfn;
		u8 *at = page_pin(space, page, true, &pfn);

		if (!at)
			continue;
		REQUIRE(seed == 0 || memcmp(at, content[page], PAGE_BYTES) == 0);
		content_make(page, seed);
		memcpy(at, content[page], PAGE_BYTES);
		space_unpin(space, pfn);
	}
}

static void read_all(struct space *space)
{
	for (u32 page = 0; page < USED; page++) {
		pfn_t pfn;
		u8 *at = page_pin(space, page, false, &pfn);

		if (!at)
			continue;
		REQUIRE(!given_up[page] && memcmp(at, content[page], PAGE_BYTES) == 0);
		space_unpin(space, pfn);
	}
}

static void evict_all(struct space *space)
{
	fake_guest_leave_all();
	reclaim_everything(space);
	REQUIRE(space_audit(space));
	if (space->zcache && space->swap)
		evict_objects_write(space);
	REQUIRE(space_audit(space));
	complete();
	kept_in_memory += space_pages_in_state(space, PAGE_PRIVATE);
	REQUIRE(space_audit(space) && frame_audit());
}

static void scenario(void)
{
	struct space_config config = {.name = "nth",
		.memory_bytes = PAGES * PAGE_BYTES,
		.format = &slat_ept,
		.vcpu_count = 1,
		.zip_most_frames = 6};
	struct space *space;

	memset(content, 0, sizeof(content));
	memset(given_up, 0, sizeof(given_up));
	if (swap_file_create(swap_volume_first(), "nth", PAGES, &config.swap)) {
		refused++;
		return;
	}
	if (space_create(&space, &config)) {
		refused++;
		swap_file_abandon(config.swap);
		return;
	}
	write_all(space, 0);
	for (u64 round = 1; round < 3; round++) {
		evict_all(space);
		read_all(space);
		evict_all(space);
		write_all(space, round);
	}
	evict_all(space);
	REQUIRE(zcache_audit(space->zcache));
	space_destroy(space);
	complete();
}

/* Returns how many allocations, or commands, the scenario makes with none failing. */
static u64 run(bool and_all_after)
{
	struct frame_account start, end;

	refused = lost = kept_in_memory = 0;
	fake_start_plain(2, 1200);
	fake_clock_start(0);
	fake_log_quiet(true);
	fake_guest_start();
	fake_blk_init(&disk, BLOCK, (PAGES * 2 + 1) * (PAGE_BYTES / BLOCK));
	swap_init();
	REQUIRE(swap_volume_open(&disk.device, 0, disk.device.block_count, "nth") == 0);
	complete();
	REQUIRE(swap_volume_state(swap_volume_first()) == SWAP_READY && reclaim_init() == 0);
	frame_account_get(&start);
	u64 commands = disk.reads + disk.writes;

	if (of_disk) {
		disk.fail_nth = failing;
		disk.fail_all_after = and_all_after;
	} else {
		fake_fail_alloc(failing, and_all_after);
	}
	scenario();
	u64 made = of_disk ? disk.reads + disk.writes - commands : fake_alloc_count();

	fake_fail_alloc(0, false);
	frame_account_get(&end);
	REQUIRE(memcmp(&start, &end, sizeof(start)) == 0);
	REQUIRE(frame_audit() && fake_guest_violations() == 0);
	fake_stop();
	fake_blk_free(&disk);
	return made;
}

static void each_in_turn(void)
{
	u64 noticed = 0, count;

	failing = 0;
	count = run(false);
	REQUIRE(refused == 0 && lost == 0);
	for (u32 after = 0; after < 2; after++) {
		for (failing = 1; failing <= count; failing++) {
			run(after);
			noticed += refused || lost || kept_in_memory;
		}
	}
	printf("each of %llu %s failed, alone and with all after it: noticed in %llu runs\n",
		(unsigned long long)count, of_disk ? "commands" : "allocations",
		(unsigned long long)noticed);
	if (noticed < count)
		abort();
}

int main(void)
{
	each_in_turn();
	of_disk = true;
	each_in_turn();
	return 0;
}
