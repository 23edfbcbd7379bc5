/*
 * Shared pages as victims, when nothing else is left.
 *
 * There is no way from a shared frame back to its sharers, and taking the page from one of them
 * frees nothing. So a sweep over all spaces takes those pages whose frame is one of a class, one in
 * 64 of all frames, from every sharer that may lose them; then the frames of that class are free,
 * and the next sweep takes the next class. Each sharer gets a slot of its own; a sharer's
 * compressed copies would cost more than the frame.
 */
#ifndef MM_RECLAIM_RECLAIM_SHARED_H
#define MM_RECLAIM_RECLAIM_SHARED_H

#include "mm/reclaim/evict.h"

enum reclaim_swept {
	RECLAIM_SWEPT_SOME,    /* there is a batch, flushed; its space is held */
	RECLAIM_SWEPT_ON,      /* none found so far; to be called again */
	RECLAIM_SWEPT_FULL,    /* one found, but all commands are under way; when one completes */
	RECLAIM_SWEPT_NOTHING, /* there are no such pages at all */
};

/* Forget where the sweep is. */
void reclaim_shared_init(void);

/*
 * Go on with the sweep to the next batch. *@space: the batch's; the caller releases it.
 * Locks: RECLAIM held; takes regions'. Cost: bounded.
 */
enum reclaim_swept reclaim_choose_shared(struct evict_batch *batch, struct space **space);

#endif
