/*
 * A guest that uses all of its memory, for the overcommit bench: the memory workload on mib=N of it,
 * and the rest in use once and never again, as what an OS has free mostly is.
 *
 *   OVERCOMMIT filled              all memory has been written to; operations go on from here to the end
 *   OVERCOMMIT ops=N ticks=T ...   from a key on, each span=N million TSC ticks: what was done in them
 *
 * With balloon=1 it has a balloon
 * driver, which gives up what an OS would: first what is not in use; then, those that were not used
 * for the longest time first, by the clock algorithm, pages that need not be kept because they can
 * be had again, as a page cache is: those of zeros and those that are the same in all guests. Such a
 * page is taken back, and filled again, when an operation wants it.
 */
#include "hv/abi/balloon.h"
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/balloon.h"
#include "tests/emu/guests/bare/bare.h"
#include "tests/emu/guests/workload.h"

#define OPS_PER_LOOK   64u
#define PAGES_PER_LOOK 64u
#define OS_MINIMUM     256u /* pages */
#define MEGA           1000000ull

/* USED: by an operation, since the clock's hand went by. FREE: without its content, as GIVEN. */
enum page_use { CACHED, USED, FREE, GIVEN };

static uint64_t list[BELLOWS_BALLOON_LIST_MAX] __attribute__((aligned(4096)));
static struct bellows_balloon_stats stats __attribute__((aligned(4096)));

static struct workload w;
static uint8_t *use; /* of each page of the workload */
static uint64_t spare_first, spare_count, spare_given; /* page numbers; given from the first on */
static uint32_t hand, droppable;
static uint32_t freed, dropped; /* pages that are FREE, GIVEN */
static bool has_balloon;

static _Noreturn void fail(const char *why)
{
	print("WORKLOAD FAIL overcommit: ");
	print(why);
	print("\n");
	power_off();
}

static uint64_t frame_of(uint32_t page)
{
	return (uintptr_t)w.pages / PAGE_BYTES + page;
}

static bool is_droppable(uint32_t page)
{
	enum workload_class class = workload_class_of(&w, page);

	return class == WORKLOAD_ZERO || class == WORKLOAD_IDENTICAL;
}

/* --- The balloon ----------------------------------------------------------------------------- */

static int64_t call(uint64_t number, uint64_t rbx, uint64_t rcx)
{
	int64_t answer;

	do
		answer = hypercall4(number, rbx, rcx, BELLOWS_BALLOON_ORDER_4K, 0);
	while (answer == BELLOWS_HC_E_AGAIN);
	if (answer < 0 && answer != BELLOWS_HC_E_LIMIT)
		fail("a hypercall was refused");
	return answer;
}

static uint64_t size(void)
{
	return spare_given + dropped;
}

/* The next page that the guest can do without, or ~0 where all that are left have just been used. */
static uint64_t victim(void)
{
	if (spare_given < spare_count)
		return spare_first + spare_given++;
	for (uint32_t looked = 0; dropped < droppable && looked < 2 * w.page_count; looked++) {
		uint32_t page = hand;

		hand = hand + 1 == w.page_count ? 0 : hand + 1;
		if (!is_droppable(page) || use[page] == GIVEN)
			continue;
		if (use[page] == USED) {
			use[page] = CACHED;
			continue;
		}
		freed -= use[page] == FREE;
		use[page] = GIVEN;
		dropped++;
		return frame_of(page);
	}
	return ~0ull;
}

static void inflate(uint64_t target)
{
	uint64_t count = 0;

	while (count < BELLOWS_BALLOON_LIST_MAX && size() < target) {
		uint64_t page = victim();

		if (page == ~0ull)
			break;
		list[count++] = page;
	}
	if (count && call(BELLOWS_HC_BALLOON_INFLATE, (uintptr_t)list, count) != (int64_t)count)
		fail("a balloon's page was refused");
}

static void take_back(uint64_t frame)
{
	list[0] = frame;
	if (call(BELLOWS_HC_BALLOON_DEFLATE, (uintptr_t)list, 1) != 1)
		fail("the balloon is held");
}

static void page_back(uint32_t page)
{
	take_back(frame_of(page));
	dropped--;
	freed++;
	use[page] = FREE;
}

/* A page without content costs nothing until it is wanted. */
static void deflate(uint64_t target)
{
	for (uint32_t page = 0; size() > target && page < w.page_count && dropped; page++) {
		if (use[page] == GIVEN)
			page_back(page);
	}
	while (size() > target && spare_given)
		take_back(spare_first + --spare_given);
}

static void balloon_look(void)
{
	int64_t target;

	if (!has_balloon)
		return;
	target = call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_TARGET, 0);
	if ((uint64_t)target > size())
		inflate((uint64_t)target);
	else
		deflate((uint64_t)target);
	stats.free_pages = spare_count - spare_given + freed;
	stats.available_pages = spare_count - spare_given + droppable - dropped;
	stats.balloon_pages = size();
	call(BELLOWS_HC_BALLOON_STATS, (uintptr_t)&stats, 0);
}

static void balloon_start(const struct bare_boot *boot)
{
	stats.total_pages = boot->memory_end / PAGE_BYTES;
	if (hypercall(BELLOWS_HC_VERSION, BELLOWS_ABI_VERSION) != BELLOWS_ABI_VERSION)
		fail("no such hypercalls");
	call(BELLOWS_HC_BALLOON_HELLO, BELLOWS_GUEST_TEST | 1ull << 48, OS_MINIMUM);
	has_balloon = true;
}

/* --- The work -------------------------------------------------------------------------------- */

static void operate(void)
{
	uint32_t page = workload_pick_page(&w);

	if (use[page] == GIVEN)
		page_back(page);
	if (use[page] == FREE) {
		freed--;
		workload_fill_page(&w, page);
	}
	use[page] = USED;
	if (!workload_op_on(&w, page))
		fail("a wrong page");
}

static void operate_for(uint64_t ticks)
{
	uint64_t start = measure_tsc();

	while (measure_tsc() - start < ticks) {
		for (uint32_t i = 0; i < OPS_PER_LOOK; i++)
			operate();
		balloon_look();
	}
}

static void operate_until_key(void)
{
	while (!key_pressed()) {
		for (uint32_t i = 0; i < OPS_PER_LOOK; i++)
			operate();
		balloon_look();
	}
}

/* All memory gets its content; the guest tells what it can spare as it goes. */
static void fill(void)
{
	uint64_t *words = (uint64_t *)(spare_first * PAGE_BYTES);

	for (uint64_t i = 0; i < spare_count * (PAGE_BYTES / 8); i++)
		words[i] = (w.seed << 32 | i) * 0x9e3779b97f4a7c15ull;
	for (uint32_t page = 0; page < w.page_count; page++) {
		workload_fill_page(&w, page);
		droppable += is_droppable(page);
		if (page % PAGES_PER_LOOK == 0)
			balloon_look();
	}
}

static void lay_out(const struct bare_boot *boot, const char *arguments)
{
	const char *profile = list_value(arguments, "profile");
	uint32_t count = (uint32_t)(list_number(arguments, "mib", 16) << 20 >> 12);
	uint8_t *pages = free_memory(boot);
	uint8_t *tables = pages + (uint64_t)count * PAGE_BYTES;
	uintptr_t spare;

	use = tables + workload_table_bytes(count);
	spare = ((uintptr_t)use + count + PAGE_BYTES - 1) / PAGE_BYTES;
	if (spare * PAGE_BYTES > boot->memory_end)
		fail("no memory");
	workload_init(&w, profile && is_word(profile, "unique") ? WORKLOAD_UNIQUE : WORKLOAD_MIXED,
		list_number(arguments, "seed", 1), pages, count, tables);
	for (uint32_t page = 0; page < count; page++)
		use[page] = CACHED;
	spare_first = spare;
	spare_count = boot->memory_end / PAGE_BYTES - spare;
}

_Noreturn void overcommit_run(const struct bare_boot *boot, const char *arguments)
{
	uint64_t ops, start;

	lay_out(boot, arguments);
	if (list_number(arguments, "balloon", 0))
		balloon_start(boot);
	fill();
	print("OVERCOMMIT filled\n");
	operate_until_key();
	for (;;) {
		ops = w.ops_count;
		start = measure_tsc();
		operate_for(list_number(arguments, "span", 100) * MEGA);
		start = measure_tsc() - start;
		print_number("OVERCOMMIT ops=", w.ops_count - ops);
		print_number(" ticks=", start);
		print_number(" balloon=", size());
		print("\n");
	}
}
