/* SRCS: tests/bench/host_platform.c mm/[a-z]*.c
   mm/base/lock.c mm/base/check.c mm/base/log.c mm/base/fmt.c mm/base/str.c */
/*
 * share.* on the host: share_scan() over a space, beside the kernel's KSM over a mapping with the
 * same bytes, in CPU time. bench_share unique|duplicate|unchanged FILE: the bytes are the file's, a
 * guest's kernel, over and over; in a page that is to be unique one word is made so.
 *
 * What the platform here leaves out, and the hypervisor pays besides: kicking CPUs out of guests
 * for each batch's two flushes, and the faults of guests that write meanwhile. KSM's figure has its
 * flushes in it, on a process that does not run, and no faults either.
 */
#include "tests/bench/host_platform.h"
#include "tests/bench/timing.h"
#include "mm/fault.h"
#include "mm/platform.h"
#include "mm/share.h"
#include "mm/space_entry.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES      16384u
#define COPIES     8u /* of each page among the duplicates */
#define KSM_BATCH  4096u
#define PASSES     50u /* over unchanged pages, for one sample */
#define FOREVER_NS 1000000000000ull

static unsigned char corpus[PAGES * PAGE_BYTES];

/* Each page is the file's, and no two are alike. */
static void corpus_read(const char *path)
{
	int fd = open(path, O_RDONLY);
	size_t bytes = 0, at;

	while (fd >= 0 && bytes < sizeof(corpus)) {
		ssize_t got = read(fd, corpus + bytes, sizeof(corpus) - bytes);

		if (got <= 0)
			break;
		bytes += (size_t)got;
	}
	if (bytes < PAGE_BYTES) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	for (at = bytes & ~(PAGE_BYTES - 1); at < sizeof(corpus); at += PAGE_BYTES)
		memcpy(corpus + at, corpus + at % (bytes & ~(PAGE_BYTES - 1)), PAGE_BYTES);
	for (u64 page = 0; page < PAGES; page++) {
		u64 word = 0x9e3779b97f4a7c15ull * (page + 1);

		/* Late in the page: a comparison has to go there. */
		memcpy(corpus + page * PAGE_BYTES + 3000, &word, sizeof(word));
	}
}

static const void *page_bytes(u64 page, bool duplicates)
{
	return corpus + (duplicates ? page % (PAGES / COPIES) : page) * PAGE_BYTES;
}

static void space_fill(struct space *space, bool duplicates)
{
	for (u64 page = 0; page < PAGES; page++) {
		pfn_t frame;

		if (fault_handle(space, GPA(page * PAGE_BYTES), SLAT_WRITE) != FAULT_DONE)
			abort();
		space_leaf(space, GFN(page), &frame);
		memcpy(platform_frame_va(frame), page_bytes(page, duplicates), PAGE_BYTES);
	}
}

/* CPU seconds of one whole pass. */
static double pass(struct space *space)
{
	double start = timing_cpu_s();

	while (!share_scan(space, ~0ull, FOREVER_NS).pass_ended)
		;
	return timing_cpu_s() - start;
}

static struct space *ours_make(void)
{
	static u32 salt; /* another one each time: hints from the run before are of no use */
	struct space_config config = {.name = "bench",
		.memory_bytes = PAGES * PAGE_BYTES,
		.format = &slat_ept,
		.share_salt = ++salt};
	struct space *space;

	if (space_create(&space, &config) != E_OK)
		abort();
	return space;
}

static unsigned char *peer_make(bool duplicates)
{
	unsigned char *at = mmap(
		NULL, sizeof(corpus), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		abort();
	madvise(at, sizeof(corpus), MADV_NOHUGEPAGE);
	for (u64 page = 0; page < PAGES; page++)
		memcpy(at + page * PAGE_BYTES, page_bytes(page, duplicates), PAGE_BYTES);
	if (madvise(at, sizeof(corpus), MADV_MERGEABLE))
		timing_cannot_run("this kernel has no KSM");
	return at;
}

/* Pages that KSM looked at, or passed by because they had long been the same (smart_scan). */
static u64 ksm_visits(void)
{
	u64 skipped = 0;

	timing_setting_read("/sys/kernel/mm/ksm/pages_skipped", &skipped);
	return timing_ksm_count("pages_scanned") + skipped;
}

/*
 * CPU seconds that KSM took for each page it visited, in the next @passes. Other processes' pages
 * may be among them.
 */
static double ksm_visit_s(u32 passes)
{
	u64 before = ksm_visits();
	double spent = timing_ksm_wait(passes);
	u64 visits = ksm_visits() - before;

	return spent / (double)(visits ? visits : 1);
}

/* A first pass, until each page was looked up: KSM looks a page up at its second sight. */
static void first_pass(bool duplicates)
{
	for (u32 run = 0; run < TIMING_RUNS; run++) {
		struct space *space = ours_make();

		space_fill(space, duplicates);
		timing_sample("ours", PAGES / pass(space));
		if (duplicates && space_pages_in_state(space, PAGE_SHARED) != PAGES)
			abort();
		timing_sample("saved", (double)(PAGES - space_consumed_pages(space)) * PAGE_BYTES);
		space_destroy(space);
	}
	timing_ksm_start(KSM_BATCH);
	for (u32 run = 0; run < TIMING_RUNS; run++) {
		unsigned char *at = peer_make(duplicates);

		timing_sample("peer", 1 / (2 * ksm_visit_s(2)));
		munmap(at, sizeof(corpus));
	}
	timing_ksm_stop();
}

/* Pages that were hashed before and not written since. */
static void unchanged_pass(void)
{
	struct space *space = ours_make();

	space_fill(space, false);
	timing_sample("hash", pass(space) * 1e9 / PAGES);
	for (u32 run = 0; run < TIMING_RUNS; run++) {
		double spent = 0;

		for (u32 i = 0; i < PASSES; i++)
			spent += pass(space);
		timing_sample("ours", spent * 1e9 / PAGES / PASSES);
	}
	for (u32 run = 1; run < TIMING_RUNS; run++) {
		space_destroy(space);
		space = ours_make();
		space_fill(space, false);
		timing_sample("hash", pass(space) * 1e9 / PAGES);
	}
	space_destroy(space);
	timing_ksm_start(KSM_BATCH);
	unsigned char *at = peer_make(false);

	timing_ksm_wait(3);
	for (u32 run = 0; run < TIMING_RUNS; run++)
		timing_sample("peer", ksm_visit_s(1) * 1e9);
	munmap(at, sizeof(corpus));
	timing_ksm_stop();
}

int main(int count, char **words)
{
	if (count != 3) {
		fprintf(stderr, "bench_share unique|duplicate|unchanged FILE\n");
		return 2;
	}
	corpus_read(words[2]);
	host_platform_start(PAGES + 8192);
	if (strcmp(words[1], "unchanged") == 0)
		unchanged_pass();
	else
		first_pass(strcmp(words[1], "duplicate") == 0);
	return 0;
}
