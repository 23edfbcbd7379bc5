/* SRCS: tests/bench/host_platform.c mm */
/*
 * Faults a second against CPUs: first writes to pages, by one thread, by two in one VM (in turn
 * a region of the one's and one of the other's), and by two in a VM each; and all of that with one
 * lock around every fault.
 *
 * CPU time counts, so that what neighbours on the machine take does not; waiting for a lock spins
 * and so does count. A run of two threads says something only if they really ran at the same time:
 * one in which either was off its CPU for more than a part is thrown away. What is left is best of
 * many short runs.
 */
#define _GNU_SOURCE /* CPU_COUNT */
#include "tests/bench/host_platform.h"
#include "tests/bench/timing.h"
#include "mm/fault/fault.h"
#include "mm/space/space.h"
#include "mm/base/lock.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS      2u
#define PAGES        4096u /* of each thread in a run: some ms */
#define VM_PAGES     (THREADS * PAGES)
#define OFF_MOST     0.1 /* of a run's time, not on a CPU */
#define BEST_OF      5u  /* runs for a sample */
#define SECONDS_MOST 120.0

struct thread {
	pthread_t thread;
	u32 cpu;
	struct space *space;
	bool locked;
	double cpu_s, start_s, end_s;
};

static struct spinlock around_all = SPINLOCK(LOCK_RANK_VM);
static u32 ready, threads_now; /* [a] */

static void touch(const struct thread *t, u64 page)
{
	if (t->locked)
		spin_lock(&around_all);
	if (fault_handle(t->space, GPA(page * PAGE_BYTES), SLAT_WRITE) != FAULT_DONE)
		abort();
	if (t->locked)
		spin_unlock(&around_all);
}

static void *work(void *arg)
{
	struct thread *t = arg;

	host_platform_cpu_set(t->cpu);
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < threads_now)
		sched_yield();
	t->start_s = timing_wall_s();
	t->cpu_s = timing_cpu_s();
	for (u64 i = 0; i < PAGES; i++)
		touch(t, (i / REGION_PAGE_COUNT * THREADS + t->cpu) * REGION_PAGE_COUNT +
				 i % REGION_PAGE_COUNT);
	t->cpu_s = timing_cpu_s() - t->cpu_s;
	t->end_s = timing_wall_s();
	return NULL;
}

/* Faults a CPU second, of all threads together; 0: they were not all running all the time. */
static double rate(struct space *const spaces[THREADS], u32 count, bool locked)
{
	struct thread threads[THREADS] = {0};
	double faults_s = 0, start = 0, end = 0;
	bool undisturbed = true;

	ready = 0;
	threads_now = count;
	for (u32 i = 0; i < count; i++) {
		threads[i] = (struct thread){.cpu = i, .space = spaces[i], .locked = locked};
		if (pthread_create(&threads[i].thread, NULL, work, &threads[i]))
			abort();
	}
	for (u32 i = 0; i < count; i++) {
		pthread_join(threads[i].thread, NULL);
		faults_s += PAGES / threads[i].cpu_s;
		start = i && threads[i].start_s > start ? start : threads[i].start_s;
		end = threads[i].end_s > end ? threads[i].end_s : end;
	}
	for (u32 i = 0; i < count; i++)
		undisturbed = undisturbed && threads[i].cpu_s > (end - start) * (1 - OFF_MOST);
	space_clear(spaces[0]);
	space_clear(spaces[1]);
	return undisturbed ? faults_s : 0;
}

static const struct {
	const char *series;
	u32 threads, vms;
	bool locked;
} kinds[] = {{"one-cpu", 1, 1, false}, {"one-vm", 2, 1, false}, {"two-vms", 2, 2, false},
	{"locked-one-cpu", 1, 1, true}, {"locked-one-vm", 2, 1, true},
	{"locked-two-vms", 2, 2, true}};

/* Ahead of whoever else uses the machine, where that is permitted: for some seconds in all. */
static void go_first(void)
{
	const struct sched_param first = {.sched_priority = 1};

	(void)!sched_setscheduler(0, SCHED_FIFO, &first);
}

static u32 cpus_for_us(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (u32)CPU_COUNT(&cpus);
}

static double bests[ARRAY_COUNT(kinds)];
static u32 goods[ARRAY_COUNT(kinds)];

/* A run of one kind. Returns how many good ones it has had. */
static u32 run(u32 kind, struct space *const spaces[THREADS])
{
	struct space *used[THREADS] = {spaces[0], spaces[kinds[kind].vms - 1]};
	double faults_s = rate(used, kinds[kind].threads, kinds[kind].locked);

	if (faults_s > bests[kind])
		bests[kind] = faults_s;
	if (faults_s > 0 && ++goods[kind] % BEST_OF == 0) {
		timing_sample(kinds[kind].series, bests[kind]);
		bests[kind] = 0;
	}
	return goods[kind];
}

int main(void)
{
	struct space_config config = {.name = "bench",
		.memory_bytes = VM_PAGES * PAGE_BYTES,
		.format = &slat_ept,
		.vcpu_count = THREADS};
	struct space *spaces[THREADS];
	double start = timing_wall_s();

	if (cpus_for_us() < THREADS)
		timing_cannot_run("there is one CPU for it");
	host_platform_start_cpus(THREADS * VM_PAGES + 4096, THREADS);
	for (u32 i = 0; i < THREADS; i++) {
		if (space_create(&spaces[i], &config) != E_OK)
			abort();
	}
	go_first();
	for (u32 least = 0; least < TIMING_RUNS * BEST_OF;) {
		if (timing_wall_s() - start > SECONDS_MOST)
			timing_cannot_run(
				"CPUs are too busy: threads hardly ever run at the same time");
		least = ~0u;
		for (u32 kind = 0; kind < ARRAY_COUNT(kinds); kind++)
			least = min(least, run(kind, spaces));
	}
	return 0;
}
