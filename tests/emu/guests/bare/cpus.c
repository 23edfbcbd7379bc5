/*
 * Every CPU writes the same pages at once, and notices each write of its own that is lost (by a frame that another
 * CPU's translation missed when pages were merged, evicted, copied) or done twice. In each page a CPU has a line of
 * its own, a byte in a line of all, and adds to a sum of all.
 *
 * Between rounds all pages are alike, for whoever merges them, and a CPU sleeps, so that the host has CPUs with time
 * to scan, or computes with no exit, so that its translations of all pages are as old as can be when it writes again;
 * or it goes on at once. In a round each page gets something of its own, which is looked at after an exit: what went
 * by an old translation into a page that others now share is not where it belongs then. (Were all pages written
 * alike, a write that is lost in one would be made up for by the same one in another.)
 *
 *   n=N      CPUs          pages=N   that they write to
 *   rounds=N of each CPU; 0: until somebody types at the serial line
 *   sleep=US for which a CPU sleeps, or computes, at most
 *   lose=N, forget=N         CPU 0 leaves out a write, or an addition, of its round N: for the test of this test
 */
#include "tests/emu/guests/bare/cpus.h"

#define NOBODY       (~0u)
#define UNTIL_KEY    (~0ull)
#define LOOPS_PER_US 40u /* of Bochs' clock, which counts 100 instructions in 1 us */

struct line {
	uint64_t own;
	uint64_t rest[7];
};

struct page {
	uint64_t sum; /* of what all have added */
	uint64_t rest[7];
	uint8_t byte_of[64];
	struct line line_of[CPUS_MOST];
};
_Static_assert(sizeof(struct page) == PAGE_BYTES, "a page");

static struct {
	volatile struct page *pages;
	uint64_t page_count, rounds, sleep_us, lose, forget;
	volatile bool is_over;             /* somebody has typed, or something is wrong */
	volatile uint64_t done[CPUS_MOST]; /* rounds */
	uint32_t left;                     /* CPUs that still write */
	/* The first that is wrong. */
	uint32_t wrong_cpu;
	uint64_t wrong_page, wrong_value;
} all = {.wrong_cpu = NOBODY};

static void is_wrong(uint32_t cpu, uint64_t page, uint64_t value)
{
	uint32_t nobody = NOBODY;

	if (!__atomic_compare_exchange_n(&all.wrong_cpu, &nobody, cpu, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	all.wrong_page = page;
	all.wrong_value = value;
	all.is_over = true;
}

static bool leaves_out(uint64_t which, uint32_t cpu, uint64_t round, uint64_t page)
{
	return cpu == 0 && round == which && page == all.page_count / 2;
}

/* What a CPU has in a page in the midst of a round. */
static uint64_t mark(uint64_t round, uint64_t page)
{
	return (page + 1) << 32 | round;
}

static void put(volatile struct page *p, uint32_t cpu, uint64_t value, uint64_t adds)
{
	p->line_of[cpu].own = value;
	p->byte_of[cpu] = (uint8_t)(value ^ value >> 32);
	__atomic_fetch_add((uint64_t *)&p->sum, adds, __ATOMIC_SEQ_CST);
}

static void look(uint32_t cpu, uint64_t page, uint64_t value)
{
	const volatile struct page *p = &all.pages[page];

	if (p->line_of[cpu].own != value || p->byte_of[cpu] != (uint8_t)(value ^ value >> 32))
		is_wrong(cpu, page, p->line_of[cpu].own);
}

static void leave_guest(void)
{
	uint32_t a = 0, b, c, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d)::"memory");
}

static void write_all(uint32_t cpu, uint64_t round)
{
	for (uint64_t i = 0; i < all.page_count; i++) {
		look(cpu, i, round);
		if (!leaves_out(all.lose, cpu, round, i))
			put(&all.pages[i], cpu, mark(round, i),
				leaves_out(all.forget, cpu, round, i) ? 0 : cpu + 1 + i);
	}
	leave_guest();
	for (uint64_t i = 0; i < all.page_count; i++) {
		look(cpu, i, mark(round, i));
		put(&all.pages[i], cpu, round + 1, 0 - i);
	}
}

/* Nothing that leaves the guest: neither PAUSE nor a look at the clock. */
static void compute(uint64_t us)
{
	for (uint64_t i = 0; i < us * LOOPS_PER_US; i++)
		asm volatile("");
}

static void work(uint32_t cpu)
{
	uint64_t round, us, random = cpu + 1;

	for (round = 0; round < all.rounds && !all.is_over; round++) {
		write_all(cpu, round);
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		us = (random >> 32) % all.sleep_us + 1;
		if (random >> 63)
			cpus_sleep((uint32_t)us);
		else if (random >> 62)
			compute(us);
		if (cpu == 0 && all.rounds == UNTIL_KEY && key_pressed())
			all.is_over = true;
	}
	all.done[cpu] = round;
	__atomic_fetch_sub(&all.left, 1, __ATOMIC_SEQ_CST);
}

/* When nobody writes any more: what is there is what all have written, no more and no less. */
static void check_all(uint32_t count)
{
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < count; cpu++)
		sum += (cpu + 1) * all.done[cpu];
	for (uint64_t i = 0; i < all.page_count; i++) {
		const volatile struct page *p = &all.pages[i];

		if (p->sum != sum)
			is_wrong(count, i, p->sum);
		for (uint32_t cpu = 0; cpu < count; cpu++)
			look(cpu, i, all.done[cpu]);
	}
}

static void report(uint32_t count)
{
	bool ok = all.wrong_cpu == NOBODY;

	print(ok ? "WORKLOAD ok profile=cpus" : "WORKLOAD FAIL profile=cpus");
	print_number(" cpus=", count);
	print_number(" pages=", all.page_count);
	for (uint32_t cpu = 0; cpu < count; cpu++)
		print_number(cpu ? "," : " rounds=", all.done[cpu]);
	print_number(" wrong=", !ok);
	if (!ok) {
		print_number(all.wrong_cpu < count ? " cpu=" : " sum, cpus=", all.wrong_cpu);
		print_number(" page=", all.wrong_page);
		print_number(" value=", all.wrong_value);
	}
	print("\n");
}

_Noreturn void cpus_run(const struct bare_boot *boot, const char *arguments)
{
	uint32_t count = (uint32_t)list_number(arguments, "n", 1);
	uint8_t *memory = free_memory(boot);

	all.page_count = list_number(arguments, "pages", 256);
	all.rounds = list_number(arguments, "rounds", 0);
	all.rounds = all.rounds ? all.rounds : UNTIL_KEY;
	all.sleep_us = list_number(arguments, "sleep", 1500);
	all.lose = list_number(arguments, "lose", UNTIL_KEY);
	all.forget = list_number(arguments, "forget", UNTIL_KEY);
	all.pages = (volatile struct page *)memory;
	all.left = count;
	memory += all.page_count * PAGE_BYTES;
	if (count == 0 || count > CPUS_MOST || (uintptr_t)memory + (count + 1) * CPUS_STACK_BYTES > boot->memory_end) {
		print("WORKLOAD FAIL profile=cpus: no memory, or too many CPUs\n");
		power_off();
	}
	cpus_init(memory + CPUS_STACK_BYTES);
	for (uint32_t cpu = 1; cpu < count; cpu++)
		cpus_start_one(cpu, work);
	print_number("CPUS work ", count);
	print("\n");
	work(0);
	while (__atomic_load_n(&all.left, __ATOMIC_SEQ_CST))
		asm volatile("pause");
	check_all(count);
	report(count);
	power_off();
}
