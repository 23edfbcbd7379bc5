/* SRCS: tests/bench/host_platform.c tests/bench/guest_corpus.c tests/bench/share_peer.c mm */
/*
 * share.* on the host: share_scan() over spaces with the memory of real guests, beside the kernel's
 * KSM over mappings with the same bytes, in CPU time. bench_share unique|duplicate|unchanged|corpus
 * FILE...: a file for each guest, of which the pages are taken that are like no other, that are
 * there more than once, or all.
 *
 * What the platform here leaves out, and the hypervisor pays besides: kicking CPUs out of guests
 * for each batch's two flushes, and the faults of guests that write meanwhile. KSM's figure has its
 * flushes in it, on a process that does not run, and no faults either.
 */
#include "tests/bench/guest_corpus.h"
#include "tests/bench/host_platform.h"
#include "tests/bench/share_peer.h"
#include "tests/bench/timing.h"
#include "mm/fault/fault.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/share/share.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_FRAMES 16384u /* for mm's own */
#define KSM_BATCH    4096u
#define PASSES       50u /* over unchanged pages, for one sample */
#define PASSES_MOST  8u  /* until nearly all is saved */
#define NEARLY_PCT   95u
/* Of ksmd's time, for other processes' pages; a run with more is made again. */
#define OTHERS_MOST_PCT 25.0
#define RUNS_AGAIN_MOST 22u
#define SLICE_NS        100000ull
#define FOREVER_NS      1000000000000ull

static struct corpus corpus;
static struct space *spaces[CORPUS_GUESTS_MOST];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_share: %s\n", what);
	exit(1);
}

static void ours_make(void)
{
	static u32 salt; /* another one each time: hints from the run before are of no use */
	struct space_config config = {.name = "bench",
		.memory_bytes = corpus.guest_pages * PAGE_BYTES,
		.format = &slat_ept,
		.share_salt = ++salt};

	for (u32 i = 0; i < corpus.guest_count; i++)
		must(space_create(&spaces[i], &config) == E_OK, "no space");
	for (u64 i = 0; i < corpus.count; i++) {
		const struct corpus_page *p = &corpus.pages[i];
		struct space *space = spaces[p->guest];
		pfn_t frame;

		must(fault_handle(space, GPA(p->page * PAGE_BYTES), SLAT_WRITE) == FAULT_DONE,
			"no page");
		space_leaf(space, GFN(p->page), &frame);
		memcpy(platform_frame_va(frame), p->bytes, PAGE_BYTES);
	}
}

static void ours_end(void)
{
	for (u32 i = 0; i < corpus.guest_count; i++)
		space_destroy(spaces[i]);
}

/* CPU seconds of one whole pass over all spaces. */
static double ours_pass(void)
{
	double start = timing_cpu_s();

	for (u32 i = 0; i < corpus.guest_count; i++) {
		while (!share_scan(spaces[i], ~0ull, FOREVER_NS).pass_ended)
			;
	}
	return timing_cpu_s() - start;
}

/* Pages that have no frame of their own any more, in percent of those that need none. */
static u64 saved_pct(u64 free_before)
{
	return 100 * (frame_free_count() - free_before) / corpus.spare_count;
}

/* Was the last measurement of KSM's one of our pages, and not of others'? */
static bool was_ours(void)
{
	static u32 again;

	if (peer_others_pct() <= OTHERS_MOST_PCT)
		return true;
	if (++again > RUNS_AGAIN_MOST)
		timing_cannot_run("KSM is too busy with other processes' memory");
	return false;
}

/* A first pass, until each page was looked up: KSM looks a page up at its second sight. */
static void first_pass(bool duplicates)
{
	for (u32 run = 0; run < TIMING_RUNS; run++) {
		u64 before;

		ours_make();
		before = frame_free_count();
		timing_sample("ours", (double)corpus.count / ours_pass());
		must(!duplicates || saved_pct(before) >= NEARLY_PCT, "duplicates were not found");
		ours_end();
	}
	timing_ksm_start(KSM_BATCH);
	for (u32 run = 0; run < TIMING_RUNS;) {
		double spent;

		peer_make(&corpus);
		spent = peer_first_s();
		peer_end();
		if (!was_ours())
			continue;
		timing_sample("peer", (double)corpus.count / spent);
		timing_sample("ksm-others", peer_others_pct());
		run++;
	}
	timing_ksm_stop();
}

/* Pages that were hashed before and not written since. */
static void unchanged_pass(void)
{
	double per_page = 1e9 / (double)corpus.count;

	for (u32 run = 0; run < TIMING_RUNS; run++) {
		double spent = 0;

		ours_make();
		timing_sample("hash", ours_pass() * per_page);
		for (u32 i = 0; i < PASSES; i++)
			spent += ours_pass();
		timing_sample("ours", spent * per_page / PASSES);
		ours_end();
	}
	timing_ksm_start(KSM_BATCH);
	peer_make(&corpus);
	peer_first_s();
	for (u32 run = 0; run < TIMING_RUNS;) {
		double spent = peer_pass_s();

		if (!was_ours())
			continue;
		timing_sample("peer", spent * per_page);
		timing_sample("ksm-others", peer_others_pct());
		run++;
	}
	peer_end();
	timing_ksm_stop();
}

/* CPU seconds until NEARLY_PCT of all that can be saved is, in slices as the hypervisor scans. */
static double ours_until(u64 free_before)
{
	double start = timing_cpu_s();

	for (u32 pass = 0; pass < PASSES_MOST; pass++) {
		for (u32 i = 0; i < corpus.guest_count; i++) {
			while (!share_scan(spaces[i], ~0ull, SLICE_NS).pass_ended) {
				if (saved_pct(free_before) >= NEARLY_PCT)
					return timing_cpu_s() - start;
			}
		}
	}
	must(false, "too little was saved");
	return 0;
}

/* What is kept for a frame: the frame table, with all else that is in it, and the index. */
static double ours_metadata_bytes(void)
{
	/* So many that the index fills its last frame. */
	u64 frames = ALIGN_DOWN(frame_total_count(), PAGE_BYTES / sizeof(u64));

	return (double)(frame_table_bytes(PFN(frames)) + share_index_frames(frames) * PAGE_BYTES) /
	       (double)frames;
}

static void whole_corpus(void)
{
	for (u32 run = 0; run < TIMING_RUNS; run++) {
		u64 before;

		ours_make();
		before = frame_free_count();
		timing_sample("time95", ours_until(before));
		ours_pass();
		ours_pass();
		timing_sample("saved", (double)(frame_free_count() - before) / 256);
		timing_sample("metadata", ours_metadata_bytes());
		timing_sample("possible", (double)corpus.spare_count / 256);
		timing_sample("whole", (double)corpus.count / 256);
		ours_end();
	}
	timing_ksm_start(KSM_BATCH);
	for (u32 run = 0; run < TIMING_RUNS;) {
		struct peer_figures figures;
		double spent;

		peer_make(&corpus);
		spent = peer_until(corpus.spare_count * NEARLY_PCT / 100);
		if (!was_ours()) {
			peer_end();
			continue;
		}
		timing_sample("ksm-time95", spent);
		timing_sample("ksm-others", peer_others_pct());
		figures = peer_figures();
		timing_sample("ksm-saved", (double)figures.saved_frames / 256);
		timing_sample(
			"ksm-metadata", (double)figures.metadata_bytes / (double)corpus.count);
		peer_end();
		run++;
	}
	timing_ksm_stop();
}

int main(int count, char **words)
{
	const char *what = count > 2 ? words[1] : "";
	bool all = strcmp(what, "corpus") == 0, duplicates = strcmp(what, "duplicate") == 0;
	bool unchanged = strcmp(what, "unchanged") == 0;

	if (!all && !duplicates && !unchanged && strcmp(what, "unique") != 0) {
		fprintf(stderr, "bench_share unique|duplicate|unchanged|corpus FILE...\n");
		return 2;
	}
	corpus_read(&corpus,
		all          ? CORPUS_ALL
		: duplicates ? CORPUS_DUPLICATE
			     : CORPUS_UNIQUE,
		words + 2, (u32)count - 2);
	host_platform_start(corpus.count + SPARE_FRAMES);
	if (all)
		whole_corpus();
	else if (unchanged)
		unchanged_pass();
	else
		first_pass(duplicates);
	return 0;
}
