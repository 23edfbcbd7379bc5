/*
 * Every CPU writes the same pages at once, and notices each write of its own that is lost (by a frame that another
 * CPU's translation missed when pages were merged, evicted, copied) or done twice. In each page a CPU has a line of
 * its own, a byte in a line of all, and adds to a sum of all. Wherever no CPU is just writing, pages are alike, for
 * whoever merges them. After some rounds a CPU sleeps a little, so that the host has CPUs with time to scan while
 * the others write.
 *
 *   n=N      CPUs          pages=N   that they write to
 *   rounds=N of each CPU; 0: until somebody types at the serial line
 *   sleep=US for which a CPU sleeps at most
 *   lose=N   CPU 0 leaves out a write of its round N: who tests this test wants it to be found
 */
#include "tests/emu/guests/bare/cpus.h"

#define NOBODY    (~0u)
#define UNTIL_KEY (~0ull)

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
	uint64_t page_count, rounds, lose, sleep_us;
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

static void write_all(uint32_t cpu, uint64_t round)
{
	for (uint64_t i = 0; i < all.page_count; i++) {
		volatile struct page *p = &all.pages[i];

		if (p->line_of[cpu].own != round || p->byte_of[cpu] != (uint8_t)round)
			is_wrong(cpu, i, p->line_of[cpu].own);
		if (cpu == 0 && round == all.lose && i == all.page_count / 2)
			continue;
		p->line_of[cpu].own = round + 1;
		p->byte_of[cpu] = (uint8_t)(round + 1);
		__atomic_fetch_add((uint64_t *)&p->sum, cpu + 1, __ATOMIC_SEQ_CST);
	}
}

static void work(uint32_t cpu)
{
	uint64_t round, random = cpu + 1;

	for (round = 0; round < all.rounds && !all.is_over; round++) {
		write_all(cpu, round);
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		if (random >> 63)
			cpus_sleep((uint32_t)((random >> 32) % all.sleep_us) + 1);
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
		for (uint32_t cpu = 0; cpu < count; cpu++) {
			if (p->line_of[cpu].own != all.done[cpu] || p->byte_of[cpu] != (uint8_t)all.done[cpu])
				is_wrong(cpu, i, p->line_of[cpu].own);
		}
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
