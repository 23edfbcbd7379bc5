/*
 * Every CPU of the guest writes the same pages at once, each CPU words of its own, and checks that
 * its last write is still there: a write that is lost (by a copy that another CPU's translation
 * missed) or done twice shows. After each round the pages are alike again, for whoever merges them.
 */
#define _GNU_SOURCE
#include "tests/emu/guests/act.h"
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_WORDS 512
#define PAGES      256
#define ROUNDS     2000
#define CPUS_MOST  64

static volatile uint64_t *pages; /* of all children */

static int write_as(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		return 2;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (int page = 0; page < PAGES; page++) {
			volatile uint64_t *word = &pages[page * PAGE_WORDS + cpu * 8];

			if (*word != round)
				return 1;
			*word = round + 1;
		}
	}
	return 0;
}

static const char *wait_for(int count)
{
	const char *wrong = NULL;
	int status;

	while (count--) {
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 2)
			wrong = "a child did not run";
		else if (WEXITSTATUS(status) == 1)
			wrong = "a write was lost, or done twice";
	}
	return wrong;
}

const char *act_cpus(void)
{
	int count = (int)sysconf(_SC_NPROCESSORS_ONLN);

	printf("ACTION cpus online=%d\n", count);
	pages = mmap(NULL, PAGES * PAGE_WORDS * 8, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || count > CPUS_MOST)
		return "no memory, or too many CPUs";
	for (int cpu = 0; cpu < count; cpu++) {
		if (fork() == 0)
			_exit(write_as(cpu));
	}
	return wait_for(count);
}
