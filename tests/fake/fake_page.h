/*
 * Pages that LZ4 makes as much of as a test wants: random bytes, then a repeated letter.
 */
#ifndef TESTS_FAKE_PAGE_H
#define TESTS_FAKE_PAGE_H

#include "tests/fake/rng.h"
#include <string.h>

/* LZ4 makes about @random_bytes of it, and 20 more; @seed decides which. */
static inline void fake_page_fill(void *page, u64 seed, u64 random_bytes)
{
	struct rng rng = {seed};
	unsigned char *bytes = page;

	memset(bytes, (int)(seed % 251), PAGE_BYTES);
	for (u64 i = 0; i < random_bytes && i < PAGE_BYTES; i++)
		bytes[i] = (unsigned char)rng_next(&rng);
}

#endif
