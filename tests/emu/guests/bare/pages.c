/*
 * Pages in use, or not: a guest that fills so much memory with bytes that nothing shrinks, and then
 * goes round and round over it, comparing and writing, or leaves it alone; a key changes between
 * the two. All pages are used alike, each once a round and in another order each time, so that what
 * a guest lacks costs it as much as it lacks, and how much it gets is the host's choice.
 *
 *   mib=N   so much     seed=N   no two guests alike     idle=1   begins by leaving it alone
 *   PAGES filled; then PAGES works or PAGES rests; PAGES round N for the first, second, fourth ...
 */
#include "tests/emu/guests/bare/bare.h"

#define PAGE_WORDS     (PAGE_BYTES / 8)
#define LOOK_EVERY     64u /* pages between looks at the serial line */
#define LAPIC_EOI      0xfee000b0ul
#define LAPIC_SPURIOUS 0xfee000f0ul
#define LAPIC_TIMER    0xfee00320ul
#define LAPIC_INITIAL  0xfee00380ul
#define LAPIC_ENABLE   0x1ff
#define TIMER_PERIODIC (1u << 17)
#define TIMER_VECTOR   0x60
#define TIMER_COUNT    5000000u /* 10 ms: of a clock of 1 GHz, halved */

/* Primes that divide no count of pages in use here: steps of theirs come to each page once. */
static const uint64_t steps[] = {104729, 15485863, 1299709, 32452843, 7368787};

static uint64_t word(uint64_t seed, uint64_t page, uint64_t i)
{
	uint64_t x = (seed << 40 | page << 16 | i) * 0x9e3779b97f4a7c15ull;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

static void fail(uint64_t page)
{
	print_number("PAGES FAIL at ", page);
	print("\n");
	power_off();
}

/* The first word counts rounds; the others stay as they were filled. */
static void look_at(uint64_t *words, uint64_t seed, uint64_t page, uint64_t round)
{
	uint64_t i = 1 + (page + round) % (PAGE_WORDS - 1);

	if (words[0] != round || words[i] != word(seed, page, i))
		fail(page);
	words[0] = round + 1;
}

static void lapic_write(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static void on_timer(struct frame *frame)
{
	(void)frame;
	lapic_write(LAPIC_EOI, 0);
}

/* Asleep but for a look at the serial line now and then. */
static void rest(void)
{
	print("PAGES rests\n");
	interrupts_init();
	interrupt_handler = on_timer;
	lapic_write(LAPIC_SPURIOUS, LAPIC_ENABLE);
	lapic_write(LAPIC_TIMER, TIMER_PERIODIC | TIMER_VECTOR);
	lapic_write(LAPIC_INITIAL, TIMER_COUNT);
	while (!key_pressed())
		asm volatile("sti; hlt; cli");
	lapic_write(LAPIC_INITIAL, 0);
}

_Noreturn void pages_run(const struct bare_boot *boot, const char *arguments)
{
	uint64_t count = list_number(arguments, "mib", 8) << 20 >> 12;
	uint64_t seed = list_number(arguments, "seed", 1), round = 0;
	uint64_t *memory = (uint64_t *)free_memory(boot);

	if ((uintptr_t)memory + count * PAGE_BYTES > boot->memory_end)
		fail(count);
	for (uint64_t page = 0; page < count; page++) {
		memory[page * PAGE_WORDS] = 0;
		for (uint64_t i = 1; i < PAGE_WORDS; i++)
			memory[page * PAGE_WORDS + i] = word(seed, page, i);
	}
	print("PAGES filled\n");
	if (list_number(arguments, "idle", 0))
		rest();
	print("PAGES works\n");
	for (;; round++) {
		uint64_t step = steps[round % (sizeof(steps) / sizeof(steps[0]))];

		for (uint64_t i = 0; i < count; i++) {
			uint64_t page = (round * LOOK_EVERY + i * step) % count;

			look_at(&memory[page * PAGE_WORDS], seed, page, round);
			if (i % LOOK_EVERY == 0 && key_pressed()) {
				rest();
				print("PAGES works\n");
			}
		}
		if ((round & (round + 1)) == 0) {
			print_number("PAGES round ", round + 1);
			print("\n");
		}
	}
}
