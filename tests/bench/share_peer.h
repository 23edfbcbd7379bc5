/*
 * KSM over a corpus in mappings of this process, one for each guest. timing_ksm_start() first.
 *
 * What it saves is read from the page tables: pages less the frames behind them. The counters in
 * /sys are of all processes, others' emulators among them.
 */
#ifndef TESTS_BENCH_SHARE_PEER_H
#define TESTS_BENCH_SHARE_PEER_H

#include "tests/bench/guest_corpus.h"

/** Map and fill; KSM begins at once. Ends the program where the kernel has no KSM. */
void peer_make(const struct corpus *corpus);
void peer_end(void);

/**
 * CPU seconds that ksmd takes for a page that it scans, in its next @passes over all there is:
 * other processes' pages, too. @with_skipped: also for those that it passes by because they have
 * long been the same (smart_scan); to pages that are new to it, it does not.
 */
double peer_page_s(u32 passes, bool with_skipped);

/** The part of the pages that KSM knows which are ours; 1 where no other process has any. */
double peer_own_part(void);

/**
 * CPU seconds of ksmd until so many frames are saved. Where other processes' pages are scanned,
 * too, those that fall to ours by number.
 */
double peer_until(u64 saved_frames);

struct peer_figures {
	u64 saved_frames;
	u64 metadata_bytes; /* its items for each page and nodes for each shared frame */
};

/** After @passes more. */
struct peer_figures peer_figures(u32 passes);

#endif
