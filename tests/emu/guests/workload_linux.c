/*
 * The memory workload as a static Linux program: what a guest's /init starts.
 *
 * Takes one argument, "key=value,key=value,...": profile (unique, mixed), mib, ops and/or seconds
 * (whichever ends first; SIGTERM ends it too), seed, corrupt (a page to damage on purpose, which
 * must end in FAIL), phases and rest (the ops in so many parts, with so many seconds of sleep
 * between them). Prints exactly one result line, by which the hypervisor judges the VM: WORKLOAD ok
 * profile=mixed mib=64 ops=20000 writes=10012 seconds=3.21 wrong=0 WORKLOAD FAIL ...
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/emu/guests/workload.h"

/* How many operations go between two looks at the clock. */
#define OPS_PER_LOOK 64

struct options {
	enum workload_profile profile;
	unsigned long mib;
	unsigned long ops;
	unsigned long seconds;
	unsigned long seed;
	unsigned long corrupt;
	unsigned long phases, rest;
	bool is_corrupting;
};

static volatile sig_atomic_t is_ended;

static void on_term(int signal)
{
	(void)signal;
	is_ended = 1;
}

static int fail(const char *why, const char *what)
{
	printf("WORKLOAD FAIL %s%s\n", why, what);
	return 1;
}

static bool parse_number(const char *text, unsigned long *number)
{
	char *end;

	*number = strtoul(text, &end, 0);
	return end != text && *end == '\0';
}

static bool parse_one(struct options *o, const char *key, const char *value)
{
	if (strcmp(key, "profile") == 0) {
		o->profile = strcmp(value, "unique") == 0 ? WORKLOAD_UNIQUE : WORKLOAD_MIXED;
		return strcmp(value, "unique") == 0 || strcmp(value, "mixed") == 0;
	}
	if (strcmp(key, "mib") == 0)
		return parse_number(value, &o->mib) && o->mib > 0 && o->mib < 1ul << 20;
	if (strcmp(key, "ops") == 0)
		return parse_number(value, &o->ops);
	if (strcmp(key, "seconds") == 0)
		return parse_number(value, &o->seconds);
	if (strcmp(key, "seed") == 0)
		return parse_number(value, &o->seed);
	if (strcmp(key, "phases") == 0)
		return parse_number(value, &o->phases) && o->phases > 0;
	if (strcmp(key, "rest") == 0)
		return parse_number(value, &o->rest);
	if (strcmp(key, "corrupt") == 0) {
		o->is_corrupting = true;
		return parse_number(value, &o->corrupt);
	}
	return false;
}

static bool parse(struct options *o, char *text)
{
	for (char *item = strtok(text, ","); item; item = strtok(NULL, ",")) {
		char *equals = strchr(item, '=');

		if (!equals)
			return false;
		*equals = '\0';
		if (!parse_one(o, item, equals + 1))
			return false;
	}
	return true;
}

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Until @ops are done, or without end. */
static void run_ops(struct workload *w, const struct options *o, unsigned long ops)
{
	double end = now_seconds() + (double)o->seconds;

	while (!is_ended && (ops == 0 || w->ops_count < ops)) {
		if (o->seconds && w->ops_count % OPS_PER_LOOK == 0 && now_seconds() >= end)
			break;
		workload_op(w);
	}
}

static void run_phases(struct workload *w, const struct options *o)
{
	for (unsigned long phase = 1; phase <= o->phases && !is_ended; phase++) {
		run_ops(w, o, o->ops * phase / o->phases);
		if (phase < o->phases)
			sleep((unsigned)o->rest);
	}
}

static int run(const struct options *o)
{
	uint32_t page_count = (uint32_t)(o->mib << 20 >> 12);
	void *pages = mmap(NULL, (size_t)page_count * WORKLOAD_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *tables = malloc(workload_table_bytes(page_count));
	struct workload w;
	double start = now_seconds();
	bool ok;

	if (pages == MAP_FAILED || !tables)
		return fail("no memory", "");
	workload_init(&w, o->profile, o->seed, pages, page_count, tables);
	workload_fill(&w);
	if (o->is_corrupting && o->corrupt < page_count)
		w.pages[o->corrupt * WORKLOAD_PAGE_BYTES + 1234] ^= 1;
	run_phases(&w, o);
	workload_verify_all(&w);
	ok = w.wrong_count == 0;
	printf("WORKLOAD %s profile=%s mib=%lu ops=%llu writes=%llu seconds=%.2f wrong=%llu",
		ok ? "ok" : "FAIL", o->profile == WORKLOAD_UNIQUE ? "unique" : "mixed", o->mib,
		(unsigned long long)w.ops_count, (unsigned long long)w.writes_count,
		now_seconds() - start, (unsigned long long)w.wrong_count);
	if (!ok)
		printf(" first=%u", w.wrong_page);
	printf("\n");
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options o = {.profile = WORKLOAD_MIXED, .mib = 64, .seed = 1, .phases = 1};

	signal(SIGTERM, on_term);
	setvbuf(stdout, NULL, _IOFBF, 512);
	if (argc != 2 || !parse(&o, argv[1]))
		return fail(
			"arguments: profile=unique|mixed,mib=N,ops=N,seconds=N,seed=N,phases=N,rest=N",
			argc == 2 ? " (not understood)" : " expected");
	if (o.ops == 0 && o.seconds == 0)
		return fail("arguments: ops or seconds must be given", "");
	return run(&o);
}
