/*
 * A balloon driver in small: memory from the top downwards is the guest's to spare, first whole
 * 2 MiB, then single pages. It follows its target, checks that what comes back reads as zeros, that
 * what it kept is as it was, and that the device's interrupt comes; it ends when, after a target
 * above nothing, it is asked for nothing again.
 *
 *   BALLOON size=N of target=N   whenever it has got where it was to be
 *
 * A taker uses at a key all that it has given away.
 */
#include "hv/abi/balloon.h"
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/balloon.h"
#include "tests/emu/guests/bare/bare.h"

#define LARGE_PAGES    512u
#define LARGE_BYTES    (LARGE_PAGES * (uint64_t)PAGE_BYTES)
#define KEPT_BYTES     (4ull << 20) /* from free_memory() on: never given away */
#define OS_MINIMUM     1024u        /* pages */
#define VECTOR         0x50
#define IOAPIC_SELECT  0xfec00000ul
#define IOAPIC_WINDOW  0xfec00010ul
#define IOAPIC_PIN(n)  (0x10 + 2 * (n))
#define LAPIC_EOI      0xfee000b0ul
#define LAPIC_SPURIOUS 0xfee000f0ul
#define LAPIC_ENABLE   0x1ff
#define REST_MS        10u
#define CALM_ROUNDS    20u
#define IDLE_RESTS     1200u
#define REPORTS_MAX    10u

static uint64_t list[LARGE_PAGES] __attribute__((aligned(4096)));
static struct bellows_balloon_stats stats __attribute__((aligned(4096)));
static volatile uint32_t interrupt_count;
static uint32_t check_count, wrong_count;
static uint64_t rest_ticks;

/* Large pages from @top downwards, then small ones from @middle downwards, not below @bottom. */
static uint64_t bottom, middle, top; /* page numbers */
static uint64_t large_count, small_count;

int64_t hypercall4(uint64_t number, uint64_t rbx, uint64_t rcx, uint64_t rdx, uint64_t rsi)
{
	static uint32_t amd; /* 1: no, 2: yes */
	int64_t answer = (int64_t)number;

	if (!amd) {
		uint32_t a = 0, b, c, d;

		asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
		amd = c == 0x444d4163 ? 2 : 1;
	}
	if (amd == 2)
		asm volatile("vmmcall"
			     : "+a"(answer)
			     : "b"(rbx), "c"(rcx), "d"(rdx), "S"(rsi)
			     : "memory");
	else
		asm volatile("vmcall"
			     : "+a"(answer)
			     : "b"(rbx), "c"(rcx), "d"(rdx), "S"(rsi)
			     : "memory");
	return answer;
}

static void expect(bool holds, const char *what, uint64_t number)
{
	check_count++;
	if (holds || ++wrong_count > REPORTS_MAX)
		return;
	print("BALLOON FAIL ");
	print(what);
	print_number(" ", number);
	print("\n");
}

static volatile uint64_t *page(uint64_t number)
{
	return (volatile uint64_t *)(uintptr_t)(number * PAGE_BYTES);
}

static uint64_t pattern(uint64_t number)
{
	return number * 0x9e3779b97f4a7c15ull | 1;
}

/* One word of each page: writing is what makes it cost memory. */
static void fill(uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		page(from)[from % LARGE_PAGES] = pattern(from);
}

static void verify(uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		expect(page(from)[from % LARGE_PAGES] == pattern(from), "lost page", from);
}

static void verify_zero(uint64_t from, uint64_t count)
{
	for (; count; count--, from++) {
		uint64_t all = 0;

		for (uint32_t i = 0; i < LARGE_PAGES; i++)
			all |= page(from)[i];
		expect(all == 0, "page came back, but not as zeros", from);
	}
}

static uint64_t size(void)
{
	return large_count * LARGE_PAGES + small_count;
}

/* Some ms, in which an interrupt may come. */
static void rest(void)
{
	uint64_t start = measure_tsc();

	asm volatile("sti");
	while (measure_tsc() - start < rest_ticks)
		asm volatile("pause");
	asm volatile("cli");
}

/* Who called too often waits, and asks again. */
static int64_t call(uint64_t number, uint64_t rbx, uint64_t rcx, uint64_t rdx)
{
	int64_t answer;

	while ((answer = hypercall4(number, rbx, rcx, rdx, 0)) == BELLOWS_HC_E_AGAIN)
		rest();
	return answer;
}

/* A list that goes in pieces; how many entries went. */
static uint64_t send(uint64_t number, uint64_t count, uint64_t order)
{
	int64_t done = call(number, (uintptr_t)list, count, order);

	expect(done > 0 || done == BELLOWS_HC_E_LIMIT, "hypercall answered", (uint64_t)-done);
	return done > 0 ? (uint64_t)done : 0;
}

static bool inflate_large(uint64_t target)
{
	uint64_t most = (top - middle) / LARGE_PAGES - large_count;
	uint64_t want = (target - size()) / LARGE_PAGES, n = 0;

	for (; n < want && n < most && n < LARGE_PAGES; n++)
		list[n] = top - (large_count + n + 1) * LARGE_PAGES;
	if (!n)
		return false;
	large_count += send(BELLOWS_HC_BALLOON_INFLATE, n, BELLOWS_BALLOON_ORDER_2M);
	return true;
}

static void inflate(uint64_t target)
{
	uint64_t n = 0;

	if (inflate_large(target))
		return;
	for (; n < target - size() && n < LARGE_PAGES && middle - small_count - n > bottom; n++)
		list[n] = middle - small_count - n - 1;
	if (n)
		small_count += send(BELLOWS_HC_BALLOON_INFLATE, n, BELLOWS_BALLOON_ORDER_4K);
}

/* The newest first. What comes back is filled again. */
static void deflate(uint64_t target)
{
	uint64_t n = 0, done;

	for (; n < size() - target && n < small_count && n < LARGE_PAGES; n++)
		list[n] = middle - small_count + n;
	if (n) {
		done = send(BELLOWS_HC_BALLOON_DEFLATE, n, BELLOWS_BALLOON_ORDER_4K);
		verify_zero(middle - small_count, done);
		fill(middle - small_count, middle - small_count + done);
		small_count -= done;
	} else if (large_count) {
		list[0] = top - large_count * LARGE_PAGES;
		if (send(BELLOWS_HC_BALLOON_DEFLATE, 1, BELLOWS_BALLOON_ORDER_2M)) {
			verify_zero(list[0], LARGE_PAGES);
			fill(list[0], list[0] + LARGE_PAGES);
			large_count--;
		}
	}
}

static void tell(void)
{
	stats.total_pages = top;
	stats.free_pages = stats.available_pages =
		middle - small_count - bottom + top - middle - large_count * LARGE_PAGES;
	stats.balloon_pages = size();
	expect(call(BELLOWS_HC_BALLOON_STATS, (uintptr_t)&stats, 0, 0) == 0, "statistics", 0);
}

static void on_interrupt(struct frame *frame)
{
	interrupt_count += frame->vector == VECTOR;
	*(volatile uint32_t *)LAPIC_EOI = 0;
}

static void open_interrupt(void)
{
	interrupts_init();
	interrupt_handler = on_interrupt;
	*(volatile uint32_t *)LAPIC_SPURIOUS = LAPIC_ENABLE;
	*(volatile uint32_t *)IOAPIC_SELECT = IOAPIC_PIN(BELLOWS_BALLOON_GSI);
	*(volatile uint32_t *)IOAPIC_WINDOW = VECTOR; /* fixed, physical, edge, high */
	*(volatile uint32_t *)IOAPIC_SELECT = IOAPIC_PIN(BELLOWS_BALLOON_GSI) + 1;
	*(volatile uint32_t *)IOAPIC_WINDOW = 0;
}

static void report(uint64_t target)
{
	print_number("BALLOON size=", size());
	print_number(" of target=", target);
	print_number(" large=", large_count);
	print_number(" interrupts=", interrupt_count > 0);
	print("\n");
}

/* Once somebody types, and without a word to the host. */
static void take_back(void)
{
	print("BALLOON waiting\n");
	while (!key_pressed())
		rest();
	fill(middle - small_count, middle);
	fill(top - large_count * LARGE_PAGES, top);
	print("BALLOON took all back\n");
	power_off();
}

/* Until the target has been above nothing and is nothing again. */
static void follow(bool takes_back)
{
	uint64_t shown = 0, before = 0;
	uint32_t calm = 0;

	for (;;) {
		int64_t target = call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_TARGET, 0, 0);

		expect(target >= 0, "target", (uint64_t)-target);
		if (target < 0)
			return;
		if ((uint64_t)target > size())
			inflate((uint64_t)target);
		else if ((uint64_t)target < size())
			deflate((uint64_t)target);
		calm = size() == before ? calm + 1 : 0;
		before = size();
		tell();
		/* It stands still for a while. */
		if (calm >= CALM_ROUNDS && size() != shown) {
			report((uint64_t)target);
			verify(bottom, middle - small_count);
			shown = size();
			if (takes_back && shown)
				take_back();
		}
		if (calm >= CALM_ROUNDS && shown == 0 && size() == 0 && interrupt_count > 0)
			return;
		rest();
	}
}

static void hello(uint64_t flags)
{
	rest_ticks = REST_MS * ticks_per_ms();
	expect(hypercall(BELLOWS_HC_VERSION, BELLOWS_ABI_VERSION) == BELLOWS_ABI_VERSION, "version",
		0);
	expect(hypercall4(BELLOWS_HC_BALLOON_HELLO, BELLOWS_GUEST_TEST | 1ull << 48, OS_MINIMUM, 0,
		       flags) == 0,
		"hello", 0);
}

void balloon_idle(bool asks, bool disabled)
{
	interrupts_init();
	hello(disabled ? BELLOWS_BALLOON_DISABLED : 0);
	for (uint64_t since = measure_tsc();;) {
		if (asks)
			call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_TARGET, 0, 0);
		rest();
		if (measure_tsc() - since < IDLE_RESTS * rest_ticks)
			continue;
		print("BALLOON idle for long\n");
		since = measure_tsc();
	}
}

/* Before any of it is used. */
static void inflate_first(void)
{
	int64_t target = call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_TARGET, 0, 0);

	while (target > 0 && (uint64_t)target > size() && wrong_count == 0)
		inflate((uint64_t)target);
}

void balloon_run(
	const struct bare_boot *boot, enum balloon_way way, uint32_t *tests, uint32_t *wrong)
{
	uint64_t first = (uintptr_t)free_memory(boot) / PAGE_BYTES;

	bottom = first + KEPT_BYTES / PAGE_BYTES;
	top = boot->memory_end / LARGE_BYTES * LARGE_PAGES;
	middle = bottom + (top - bottom) / 2;
	middle = (middle + LARGE_PAGES - 1) / LARGE_PAGES * LARGE_PAGES;
	if (way != BALLOON_EARLY)
		fill(first, top);
	open_interrupt();
	hello(0);
	if (way == BALLOON_EARLY) {
		inflate_first();
		fill(first, middle - small_count);
		fill(middle, top - large_count * LARGE_PAGES);
	}
	follow(way == BALLOON_TAKES_BACK);
	verify(first, top);
	expect(call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_SIZE, 0, 0) == 0,
		"the host counts another size", 0);
	expect(call(BELLOWS_HC_BALLOON_GOODBYE, 0, 0, 0) == 0, "goodbye", 0);
	*tests += check_count;
	*wrong += wrong_count;
}
