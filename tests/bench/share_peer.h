/*
 * KSM over a corpus in mappings of this process, one for each guest. timing_ksm_start() first.
 *
 * ksmd goes through other processes' pages, too, such as emulators' that run meanwhile. What a pass
 * over those takes is measured before ours are there, and subtracted from its CPU time. What it
 * saves is read from the page tables: pages less the frames behind them.
 */
#ifndef TESTS_BENCH_SHARE_PEER_H
#define TESTS_BENCH_SHARE_PEER_H

#include "tests/bench/guest_corpus.h"

/** Map and fill; KSM begins at once. Ends the program where the kernel has no KSM. */
void peer_make(const struct corpus *corpus);
void peer_end(void);

/** CPU seconds until ksmd has been at each page twice: at second sight it looks for its like. */
double peer_first_s(void);

/** CPU seconds of a later pass over all pages. */
double peer_pass_s(void);

/** CPU seconds until so many frames are saved. */
double peer_until(u64 saved_frames);

/** Of ksmd's time in the last of these three, what was subtracted, in percent. */
double peer_others_pct(void);

struct peer_figures {
	u64 saved_frames;
	u64 metadata_bytes; /* its items for each page and nodes for each shared frame */
};

/** After some passes more. */
struct peer_figures peer_figures(void);

#endif
