/*
 * What a guest measures with the TSC, the same in a guest of the hypervisor (tests/emu/guests/bare)
 * and in the guest of a bare exit (bare_exit/), so that the two can be compared. Each sample is one
 * round trip. In Bochs and in QEMU with -icount the TSC counts instructions, the steps of a string
 * instruction one by one.
 */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stdint.h>

#define MEASURE_PAGE_BYTES 4096u

struct measured {
	uint64_t min, median, mean, max;
	uint32_t count;
};

static inline uint64_t measure_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Two readings with nothing between: what every other sample holds besides. */
static inline uint64_t measure_nothing(void)
{
	uint64_t start = measure_tsc();

	return measure_tsc() - start;
}

static inline uint64_t measure_cpuid(uint32_t leaf)
{
	uint32_t a = leaf, b, c = 0, d;
	uint64_t start = measure_tsc();

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return measure_tsc() - start;
}

/* A write to a page that has not been touched. */
static inline uint64_t measure_touch(volatile uint8_t *page)
{
	uint64_t start = measure_tsc();

	*page = 1;
	return measure_tsc() - start;
}

/* Zeroing a page that is there, with the instruction that the hypervisor uses (mm/base/str.c). */
static inline uint64_t measure_zero(uint8_t *page)
{
	uint64_t words = MEASURE_PAGE_BYTES / 8, start;
	void *to = page;

	start = measure_tsc();
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0ull) : "memory");
	return measure_tsc() - start;
}

/* Copying a page, with the instruction that the hypervisor uses (mm/base/str.c). */
static inline uint64_t measure_copy(uint8_t *to, const uint8_t *from)
{
	uint64_t words = MEASURE_PAGE_BYTES / 8, start;

	start = measure_tsc();
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
	return measure_tsc() - start;
}

/* Sorts @samples. */
static inline struct measured measure_sum_up(uint64_t *samples, uint32_t count)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t sample = samples[i];
		uint32_t at = i;

		sum += sample;
		for (; at > 0 && samples[at - 1] > sample; at--)
			samples[at] = samples[at - 1];
		samples[at] = sample;
	}
	return (struct measured){
		.min = samples[0],
		.median = samples[count / 2],
		.mean = sum / count,
		.max = samples[count - 1],
		.count = count,
	};
}

#endif
