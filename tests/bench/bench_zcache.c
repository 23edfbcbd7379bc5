/* SRCS: tests/bench/host_platform.c mm */
/*
 * zcache.* on the host: the compression cache beside the kernel's zram (lz4), with the same pages
 * in one run. bench_zcache time|loss FILE...: the pages are the files', those that LZ4 shrinks to
 * half; pages filled with one word are left out on both sides.
 *
 * Times are CPU time of this thread for each page. zram is written and read by O_DIRECT requests of
 * 4 KiB, which it serves in the caller's thread: what that costs without zram, as a read of a block
 * that was never written tells, is printed too ("floor"; it clears the page).
 */
#define _GNU_SOURCE
#include "tests/bench/host_platform.h"
#include "tests/bench/timing.h"
#include "tests/fake/rng.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/zcache/zcache.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGES_MOST 32768u
#define TIME_PAGES 4096u  /* stored and loaded in one run */
#define VM_PAGES   65536u /* the cache that is filled is a tenth of a VM of 256 MiB */
#define CHURN      60000u /* pages that go and come in the full cache */

/* What Linux keeps for a block of zram besides mm_stat's memory: an entry of a table, a handle. */
#define ZRAM_ENTRY_BYTES 24.0

static pfn_t pages[PAGES_MOST]; /* the corpus, in frames */
static u32 page_count;
static double refused_count;  /* pages that do not shrink to half */
static u32 order[PAGES_MOST]; /* of pages, shuffled again for each pass */
static double times[PAGES_MOST];
static pfn_t target; /* where pages come back */
static int zram = -1;
static struct rng rng;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void *bytes_of(pfn_t frame)
{
	return platform_frame_va(frame);
}

static pfn_t frame_make(void)
{
	pfn_t frame = frame_alloc(FRAME_PRIVATE);

	must(!pfn_is_none(frame), "frames");
	return frame;
}

static struct zcache *cache_make(u64 page_limit, u64 most_frames)
{
	struct zcache *cache;

	must(zcache_create(&cache, page_limit, most_frames) == E_OK, "zcache_create");
	return cache;
}

static struct zcache_figures figures_of(struct zcache *cache)
{
	struct zcache_figures figures;

	zcache_figures(cache, &figures);
	return figures;
}

static bool is_filled(const u64 *words)
{
	for (u32 i = 1; i < PAGE_BYTES / sizeof(u64); i++) {
		if (words[i] != words[0])
			return false;
	}
	return true;
}

/* Take the file's pages that count into the corpus. */
static void corpus_read(const char *path, struct zcache *judge)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	u64 handle;

	must(fd >= 0, path);
	while (page_count < PAGES_MOST &&
		read(fd, bytes_of(target), PAGE_BYTES) == (ssize_t)PAGE_BYTES) {
		if (is_filled(bytes_of(target)) || zcache_store(judge, GFN(0), target, &handle))
			continue;
		zcache_drop(judge, handle);
		pages[page_count] = target;
		order[page_count] = page_count;
		page_count++;
		target = frame_make();
	}
	close(fd);
}

static void shuffle(void)
{
	for (u32 i = page_count - 1; i > 0; i--) {
		u32 j = (u32)rng_below(&rng, i + 1), kept = order[i];

		order[i] = order[j];
		order[j] = kept;
	}
}

/* --- zram ------------------------------------------------------------------------------------ */

static void zram_open(u64 blocks)
{
	const char *path = timing_zram_start(blocks * PAGE_BYTES, "lz4");

	zram = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	must(zram >= 0, path);
}

static void zram_write(u64 block, pfn_t frame)
{
	must(pwrite(zram, bytes_of(frame), PAGE_BYTES, (off_t)(block * PAGE_BYTES)) ==
			(ssize_t)PAGE_BYTES,
		"zram write");
}

static void zram_read(u64 block)
{
	must(pread(zram, bytes_of(target), PAGE_BYTES, (off_t)(block * PAGE_BYTES)) ==
			(ssize_t)PAGE_BYTES,
		"zram read");
}

static void zram_drop(u64 block)
{
	u64 range[2] = {block * PAGE_BYTES, PAGE_BYTES};

	must(ioctl(zram, BLKDISCARD, range) == 0, "zram discard");
}

/* --- Times ----------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void percentiles(const char *series, u32 count)
{
	char tail[64];

	qsort(times, count, sizeof(times[0]), by_size);
	timing_sample(series, times[count / 2] * 1e6);
	snprintf(tail, sizeof(tail), "%s-p99", series);
	timing_sample(tail, times[count * 99ull / 100] * 1e6);
}

static void time_ours(u32 count)
{
	struct zcache *cache = cache_make(count, count);
	static u64 handles[PAGES_MOST];

	for (u32 i = 0; i < count; i++) {
		double start = timing_cpu_s();
		err_t err = zcache_store(cache, GFN(i), pages[order[i]], &handles[i]);

		times[i] = timing_cpu_s() - start;
		must(err == E_OK, "zcache_store");
	}
	percentiles("store", count);
	for (u32 i = 0; i < count; i++) {
		u32 at = order[i] % count;
		double start = timing_cpu_s();
		err_t err = zcache_load(cache, handles[at], target);

		times[i] = timing_cpu_s() - start;
		must(err == E_OK &&
				!memcmp(bytes_of(target), bytes_of(pages[order[at]]), PAGE_BYTES),
			"zcache_load");
	}
	percentiles("load", count);
	for (u32 i = 0; i < count; i++) {
		double start = timing_cpu_s();

		zcache_drop(cache, handles[i]);
		times[i] = timing_cpu_s() - start;
	}
	percentiles("drop", count);
	zcache_destroy(cache);
}

static void time_zram(u32 count)
{
	for (u32 i = 0; i < count; i++) {
		double start = timing_cpu_s();

		zram_write(i, pages[order[i]]);
		times[i] = timing_cpu_s() - start;
	}
	percentiles("zram-store", count);
	for (u32 i = 0; i < count; i++) {
		u32 at = order[i] % count;
		double start = timing_cpu_s();

		zram_read(at);
		times[i] = timing_cpu_s() - start;
		must(!memcmp(bytes_of(target), bytes_of(pages[order[at]]), PAGE_BYTES), "zram");
	}
	percentiles("zram-load", count);
	for (u32 i = 0; i < count; i++) {
		double start = timing_cpu_s();

		zram_read(count + i);
		times[i] = timing_cpu_s() - start;
	}
	percentiles("floor", count);
	for (u32 i = 0; i < count; i++)
		zram_drop(i);
}

static void bench_time(bool with_zram)
{
	u32 count = page_count < TIME_PAGES ? page_count : TIME_PAGES;

	if (with_zram)
		zram_open(2 * TIME_PAGES);
	for (u32 run = 0; run < TIMING_RUNS; run++) {
		timing_sample("kept", page_count);
		timing_sample("refused", refused_count);
		shuffle();
		time_ours(count);
		if (with_zram)
			time_zram(count);
	}
}

/* --- Memory ---------------------------------------------------------------------------------- */

/* A page of the VM: which of the corpus, and where. */
struct slot {
	u64 handle;
	u32 page;
};

static struct slot slots[VM_PAGES];

/*
 * Fill the cache to its quota, then let pages go and others come at random. Returns the slots that
 * are left.
 */
static u32 fill_and_churn(struct zcache *cache)
{
	u32 used = 0;
	u64 handle;

	while (used < VM_PAGES) {
		u32 page = (u32)rng_below(&rng, page_count);

		if (zcache_store(cache, GFN(used), pages[page], &handle))
			break;
		slots[used++] = (struct slot){handle, page};
	}
	for (u32 i = 0; i < CHURN; i++) {
		u32 at = (u32)rng_below(&rng, used), page = (u32)rng_below(&rng, page_count);

		if (i % 32 == 0)
			zcache_compact(cache, 32); /* as reclaim does before a batch */
		zcache_drop(cache, slots[at].handle);
		if (zcache_store(cache, GFN(at), pages[page], &handle) == E_OK)
			slots[at] = (struct slot){handle, page};
		else
			slots[at] = slots[--used];
	}
	return used;
}

/* Returns how many slots are left in use. */
static u32 memory_ours(void)
{
	struct zcache *cache = cache_make(VM_PAGES, VM_PAGES / 10);
	u32 used = fill_and_churn(cache);
	struct zcache_figures f = figures_of(cache);
	double frames;

	frames = (double)(f.frames + zcache_overhead_frames(VM_PAGES));
	must(f.objects == used && zcache_audit(cache), "zcache_audit");
	timing_sample(
		"loss", 100 - 100.0 * (double)f.lz4_bytes / ((double)f.object_frames * PAGE_BYTES));
	timing_sample("loss-all", 100 - 100.0 * (double)f.lz4_bytes / (frames * PAGE_BYTES));
	timing_sample("bytes", frames * PAGE_BYTES / (double)f.objects);
	zcache_destroy(cache);
	return used;
}

/* The same pages, after as many others: each block written twice, and half of them a third time. */
static void memory_zram(u32 used)
{
	u64 stat[3];

	for (u32 i = 0; i < CHURN; i++)
		zram_write(rng_below(&rng, used), pages[rng_below(&rng, page_count)]);
	for (u32 i = 0; i < used; i++) {
		u32 at = (i * 7919u) % used;

		zram_drop(at);
		zram_write(at, pages[slots[at].page]);
	}
	must(timing_zram_compact() && timing_zram_stat(stat), "zram's compact and mm_stat");
	timing_sample("zram-loss", 100 - 100.0 * (double)stat[1] / (double)stat[2]);
	timing_sample("zram-bytes", (double)stat[2] / used + ZRAM_ENTRY_BYTES);
	for (u32 i = 0; i < used; i++)
		zram_drop(i);
}

static void bench_loss(bool with_zram)
{
	if (with_zram)
		zram_open(VM_PAGES);
	for (u32 run = 0; run < TIMING_RUNS; run++) {
		u32 used = memory_ours();

		if (with_zram)
			memory_zram(used);
	}
}

int main(int count, char **words)
{
	struct zcache *judge;
	bool with_zram;

	if (count < 3) {
		fprintf(stderr, "bench_zcache time|loss FILE...\n");
		return 2;
	}
	host_platform_start(PAGES_MOST + 16384);
	rng.state = rng_seed(1);
	target = frame_make();
	judge = cache_make(1, 8);
	for (int i = 2; i < count; i++)
		corpus_read(words[i], judge);
	refused_count = (double)figures_of(judge).refused_size;
	zcache_destroy(judge);
	must(page_count > 1, "pages that shrink to half");
	with_zram = timing_zram_is_offered();
	if (strcmp(words[1], "time") == 0)
		bench_time(with_zram);
	else
		bench_loss(with_zram);
	if (!with_zram)
		timing_cannot_run("this kernel has no zram");
	close(zram);
	timing_zram_stop();
	return 0;
}
