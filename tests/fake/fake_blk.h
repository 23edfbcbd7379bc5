/*
 * A block device in memory that does what a test asks: completes late, in any order, not at all
 * beyond so many at a time, with an error at the Nth, with a wrong bit, torn by a power cut, or
 * never again.
 *
 * Requests are carried out, memory moved included, when fake_blk_run() or blk_poll() completes
 * them, so that a frame that is written or freed too early shows.
 */
#ifndef TESTS_FAKE_BLK_H
#define TESTS_FAKE_BLK_H

#include "mm/blk.h"
#include "tests/fake/rng.h"
#include <pthread.h>

#define FAKE_BLK_PENDING 256u

struct fake_blk {
	struct blk_device device;
	u8 *data;
	/* What it does wrong. */
	u32 depth;           /* requests under way at most, FAKE_BLK_PENDING at most */
	u64 fail_nth;        /* the Nth request from now on fails (1: the next); 0: none */
	bool fail_all_after; /* and all that follow it */
	u64 fail_every;      /* one in so many requests fails; 0: none does */
	u64 corrupt_nth;     /* the Nth read from now on brings a wrong bit, the data stays right */
	u64 corrupt_every;   /* so many reads bring a wrong bit; 0: none do */
	u64 bad_block;       /* requests that touch it fail; ~0: none */
	u64 power_bytes;     /* what is still written before the power goes; ~0: stays on */
	bool shuffle;        /* complete in random order */
	/* What can be seen. */
	u64 requests; /* counted where fail_every is set */
	u64 reads, writes, flushes;
	u64 lowest_written, highest_written; /* blocks */
	u32 pending_count;
	/* Its own. Threads may submit and complete at a time; all the rest is for one thread. */
	pthread_mutex_t lock;
	struct blk_request *pending[FAKE_BLK_PENDING];
	struct blk_segment segments[FAKE_BLK_PENDING][64];
	struct rng rng;
};

/* A sound one, zeroed, with a cache. */
void fake_blk_init(struct fake_blk *fake, u32 block_bytes, u64 block_count);
void fake_blk_free(struct fake_blk *fake);
/* Complete @most requests. Returns how many. */
u32 fake_blk_run(struct fake_blk *fake, u32 most);
/* Everything under way fails, and all that comes. */
void fake_blk_kill(struct fake_blk *fake);

#endif
