/*
 * The memory workload that every measurement of this project uses: a buffer of pages of known
 * content, hit by operations whose pages follow a Zipf distribution.
 *
 * The core is freestanding: it allocates nothing, prints nothing and uses no floating point, so
 * that the Linux program, the bare test guests and the host's unit tests all run this very source.
 * The caller hands in the memory and asks for operations; the core counts every wrong byte it can
 * find.
 */
#ifndef TESTS_EMU_GUESTS_WORKLOAD_H
#define TESTS_EMU_GUESTS_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#define WORKLOAD_PAGE_BYTES 4096u
#define WORKLOAD_LINE_BYTES 64u

enum workload_profile {
	WORKLOAD_UNIQUE, /* every page random, every page written to */
	WORKLOAD_MIXED,  /* 25% zero, 25% equal in all guests, 30% compressible 3:1, 20% random */
};

/* What a page holds. Only the last two kinds are ever written again. */
enum workload_class {
	WORKLOAD_ZERO,
	WORKLOAD_IDENTICAL, /* depends on the page's index only, never on the guest's seed */
	WORKLOAD_COMPRESSIBLE,
	WORKLOAD_RANDOM,
	WORKLOAD_CLASS_COUNT,
};

struct workload {
	enum workload_profile profile;
	uint64_t seed; /* of this guest: content of private pages, and the order of operations */
	uint32_t page_count;
	uint8_t *pages; /* page_count pages, page-aligned */

	/* Side tables, one entry a page, owned by the caller. */
	uint64_t *zipf;     /* cumulative weights by rank */
	uint32_t *order;    /* rank -> page: the permutation */
	uint32_t *versions; /* how often the page was rewritten: a stale page differs in it */

	uint64_t random_state;
	uint64_t ops_count;
	uint64_t writes_count;
	uint64_t wrong_count; /* verifications that failed */
	uint32_t wrong_page;  /* the first that failed, valid if wrong_count > 0 */
};

/**
 * Bytes of side tables that @page_count pages need; the caller splits them as struct workload says.
 */
uint64_t workload_table_bytes(uint32_t page_count);

/**
 * Set up the side tables in @tables (workload_table_bytes(), 8-byte aligned) and the state.
 * The pages themselves are not touched. Cost: some 300 instructions a page.
 */
void workload_init(struct workload *w, enum workload_profile profile, uint64_t seed, void *pages,
	uint32_t page_count, void *tables);

/** Write the first content of every page. Zero pages are written too, so that they exist. */
void workload_fill(struct workload *w);
void workload_fill_page(struct workload *w, uint32_t page);

/**
 * One operation: pick a page, verify it, and if its kind is written to, rewrite 64 bytes of it.
 * Returns false if the page was wrong; it is then made anew, so that each fault counts once.
 */
bool workload_op(struct workload *w);

/** Verify every page. Returns how many were wrong. */
uint32_t workload_verify_all(struct workload *w);

/** Which kind of page @page is under the workload's profile. */
enum workload_class workload_class_of(const struct workload *w, uint32_t page);

/** The next page that operations would touch (advances the random state). */
uint32_t workload_pick_page(struct workload *w);

#endif
