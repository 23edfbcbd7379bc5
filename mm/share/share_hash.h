/*
 * The hash by which equal pages are found: NH, the universal hash family of UMAC (RFC 4418), with
 * 64-bit words and one secret key as long as a page.
 *
 * For any two different pages the chance, over the key, that they collide is at most 2^-64 before
 * the fold to 64 bits, so no guest that does not know the key can make pages collide on purpose.
 * Equality is nevertheless always decided by comparing. Plain multiplications: no vector registers,
 * some ten bytes a cycle.
 */
#ifndef MM_SHARE_SHARE_HASH_H
#define MM_SHARE_SHARE_HASH_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define SHARE_HASH_WORDS (PAGE_BYTES / sizeof(u64))

struct share_key {
	u64 words[SHARE_HASH_WORDS];
	u64 fold[2];
};

/* Draw a key. Returns E_UNSUPPORTED where the platform has no random numbers: then nothing may be
 * shared. */
must_check err_t share_key_draw(struct share_key *key);

/* @page: 8-byte aligned. *@zero: the page is all zeros. Cost: one pass over the page. */
u64 share_hash_page(const struct share_key *key, const void *page, bool *zero);

/* Is the page all zeros? Stops at the first word that is not. */
bool share_page_is_zero(const void *page);

#endif
