/*
 * One thread puts another page in the place of one that a second thread, on another CPU, reads all
 * the time: the kernel must make that CPU forget the old translation before the first thread goes
 * on. What the reader sees must never be older than what was told to be there.
 */
#define _GNU_SOURCE
#include "tests/emu/guests/act.h"
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE_BYTES 4096
#define ROUNDS     1000u

static uint64_t *place;
static uint64_t told; /* [a] the number in the page that is there now, or the one before it */
static bool is_reading, is_over; /* [a] */
static bool is_wrong;

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *reader(void *argument)
{
	stay_on(1);
	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		uint64_t least = __atomic_load_n(&told, __ATOMIC_ACQUIRE);
		uint64_t now = __atomic_load_n(place, __ATOMIC_ACQUIRE);

		if (now < least)
			is_wrong = true;
		__atomic_store_n(&is_reading, true, __ATOMIC_RELEASE);
	}
	return argument;
}

/* A page with @number in it, at no place that anybody knows. */
static uint64_t *make_page(uint64_t number)
{
	uint64_t *page =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page != MAP_FAILED)
		*page = number;
	return page;
}

static const char *replace_pages(void)
{
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		uint64_t *page = make_page(round);

		if (page == MAP_FAILED || mremap(page, PAGE_BYTES, PAGE_BYTES,
						  MREMAP_MAYMOVE | MREMAP_FIXED, place) != place)
			return "no memory";
		__atomic_store_n(&told, round, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* As the kernel tells it, of all CPUs: the eighth number. */
static unsigned long long stolen_ticks(void)
{
	unsigned long long ticks = 0;
	FILE *file = fopen("/proc/stat", "r");

	if (file && fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &ticks) != 1)
		ticks = 0;
	if (file)
		fclose(file);
	return ticks;
}

const char *act_flush(void)
{
	struct timespec start, end;
	const char *wrong;
	pthread_t thread;

	place = make_page(0);
	stay_on(0);
	if (place == MAP_FAILED || pthread_create(&thread, NULL, reader, NULL) != 0)
		return "no memory";
	while (!__atomic_load_n(&is_reading, __ATOMIC_ACQUIRE))
		;
	clock_gettime(CLOCK_MONOTONIC, &start);
	wrong = replace_pages();
	clock_gettime(CLOCK_MONOTONIC, &end);
	__atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	printf("ACTION flush rounds=%u us=%lld stolen=%llu\n", ROUNDS,
		(long long)(end.tv_sec - start.tv_sec) * 1000000 +
			(end.tv_nsec - start.tv_nsec) / 1000,
		stolen_ticks());
	return wrong ? wrong : is_wrong ? "a page was read that was no longer there" : NULL;
}
