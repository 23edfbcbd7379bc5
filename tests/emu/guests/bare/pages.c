/*
 * Pages in use, or not: a guest that fills so much memory with bytes that nothing shrinks, and then
 * goes round and round over it, comparing and writing, or leaves it alone; a key changes between
 * the two. All pages are used alike, so that how much of them a guest gets is the host's choice.
 *
 *   mib=N   so much     seed=N   no two guests alike     idle=1   begins by leaving it alone
 *   PAGES filled; then PAGES works or PAGES rests; PAGES round N for the first, second, fourth ...
 */
#include "tests/emu/guests/bare/bare.h"

#define PAGE_WORDS    (PAGE_BYTES / 8)
#define LOOK_EVERY    64u /* pages between looks at the serial line */
#define PAUSES        20000u

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

static void rest(void)
{
	print("PAGES rests\n");
	while (!key_pressed()) {
		for (uint32_t i = 0; i < PAUSES; i++)
			asm volatile("pause");
	}
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
		for (uint64_t page = 0; page < count; page++) {
			look_at(&memory[page * PAGE_WORDS], seed, page, round);
			if (page % LOOK_EVERY == 0 && key_pressed()) {
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
