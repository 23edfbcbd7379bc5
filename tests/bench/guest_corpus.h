/*
 * Pages of real guests (corpus.py makes the files), for benches that look for equal ones: a file
 * holds a guest's memory, and what the guest never touched is a hole in it.
 */
#ifndef TESTS_BENCH_GUEST_CORPUS_H
#define TESTS_BENCH_GUEST_CORPUS_H

#include "mm/base/types.h"

#define CORPUS_GUESTS_MOST 8u

struct corpus_page {
	const unsigned char *bytes;
	u64 hash;   /* guest_corpus.c's own */
	u32 guest;  /* which of the files, */
	u32 page;   /* and where in it */
	u32 copies; /* pages with these bytes, in all files */
};

struct corpus {
	struct corpus_page *pages; /* in the order of guest and page */
	u64 count;
	u64 spare_count; /* of them: what sharing can save; all zero pages, and all but one of others */
	u64 guest_pages; /* a guest's memory */
	u32 guest_count;
};

enum corpus_part {
	CORPUS_ALL,
	CORPUS_UNIQUE,    /* like no other */
	CORPUS_DUPLICATE, /* there at least twice, zeros left out */
};

/** Read the guests' files, and keep that part. Ends the program if they are no such files. */
void corpus_read(struct corpus *corpus, enum corpus_part part, char **paths, u32 count);

#endif
