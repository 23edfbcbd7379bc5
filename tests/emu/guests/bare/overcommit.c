/*
 * A guest that uses all of its memory, for the overcommit bench: the memory workload on mib=N of
 * it, and the rest in use once and never again, as what an OS has free mostly is.
 *
 *   OVERCOMMIT filled         all memory has been written to; operations go on to the end
 *   OVERCOMMIT ops=N ticks=T  from a key on, each span=N million TSC ticks: what was done in them
 *
 * With balloon=1 it has a balloon driver, which gives up what is not in use. It has no swap space
 * of its own, so the workload's pages, which are a process's data, are not the guest's to spare.
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

static uint64_t list[BELLOWS_BALLOON_LIST_MAX] __attribute__((aligned(4096)));
static struct bellows_balloon_stats stats __attribute__((aligned(4096)));

static struct workload w;
static uint64_t spare_first, spare_count, given; /* page numbers; given from the first on */
static bool has_balloon;

static _Noreturn void fail(const char *why)
{
	print("WORKLOAD FAIL overcommit: ");
	print(why);
	print("\n");
	power_off();
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

/* Towards @target, one list at most. */
static void move(uint64_t target)
{
	bool up = target > given;
	uint64_t count = 0, most = up ? target - given : given - target;
	uint64_t room = up ? spare_count - given : given;

	for (; count < most && count < room && count < BELLOWS_BALLOON_LIST_MAX; count++)
		list[count] = spare_first + (up ? given + count : given - count - 1);
	if (!count)
		return;
	int64_t done = call(up ? BELLOWS_HC_BALLOON_INFLATE : BELLOWS_HC_BALLOON_DEFLATE,
		(uintptr_t)list, count);

	if (done > 0)
		given = up ? given + (uint64_t)done : given - (uint64_t)done;
}

static void balloon_look(void)
{
	if (!has_balloon)
		return;
	move((uint64_t)call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_TARGET, 0));
	stats.free_pages = stats.available_pages = spare_count - given;
	stats.balloon_pages = given;
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
	for (uint32_t i = 0; i < OPS_PER_LOOK; i++) {
		if (!workload_op(&w))
			fail("a wrong page");
	}
	balloon_look();
}

static void operate_for(uint64_t ticks)
{
	uint64_t start = measure_tsc();

	while (measure_tsc() - start < ticks)
		operate();
}

/* All memory gets its content; the guest tells what it can spare as it goes. */
static void fill(void)
{
	uint64_t *words = (uint64_t *)(spare_first * PAGE_BYTES);

	for (uint64_t i = 0; i < spare_count * (PAGE_BYTES / 8); i++)
		words[i] = (w.seed << 32 | i) * 0x9e3779b97f4a7c15ull;
	for (uint32_t page = 0; page < w.page_count; page++) {
		workload_fill_page(&w, page);
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
	uintptr_t end = (uintptr_t)tables + workload_table_bytes(count);
	uint64_t spare = (end + PAGE_BYTES - 1) / PAGE_BYTES;

	if (spare * PAGE_BYTES > boot->memory_end)
		fail("no memory");
	workload_init(&w, profile && is_word(profile, "unique") ? WORKLOAD_UNIQUE : WORKLOAD_MIXED,
		list_number(arguments, "seed", 1), pages, count, tables);
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
	while (!key_pressed())
		operate();
	for (;;) {
		ops = w.ops_count;
		start = measure_tsc();
		operate_for(list_number(arguments, "span", 100) * MEGA);
		start = measure_tsc() - start;
		print_number("OVERCOMMIT ops=", w.ops_count - ops);
		print_number(" ticks=", start);
		print("\n");
	}
}
