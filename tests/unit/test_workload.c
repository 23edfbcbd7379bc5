/* SRCS: tests/emu/guests/workload.c LIBS: -llz4 */
/*
 * The memory workload itself: what all later measurements rest on. A wrong byte anywhere, a stale
 * page and a page of another place must be noticed; the mix and the skew must be what is claimed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emu/guests/workload.h"

#define PAGE_COUNT 2000u

struct fixture {
	struct workload w;
	uint8_t *pages;
	void *tables;
};

static struct fixture make(enum workload_profile profile, uint64_t seed, uint32_t page_count)
{
	struct fixture f;

	f.pages = calloc(page_count, WORKLOAD_PAGE_BYTES);
	f.tables = malloc(workload_table_bytes(page_count));
	assert_non_null(f.pages);
	assert_non_null(f.tables);
	workload_init(&f.w, profile, seed, f.pages, page_count, f.tables);
	workload_fill(&f.w);
	return f;
}

static void drop(struct fixture *f)
{
	free(f->pages);
	free(f->tables);
}

static uint8_t *page_of(struct fixture *f, uint32_t page)
{
	return f->pages + (size_t)page * WORKLOAD_PAGE_BYTES;
}

/* The first page of that class at or after @from. */
static uint32_t page_of_class(const struct fixture *f, enum workload_class class, uint32_t from)
{
	while (workload_class_of(&f->w, from) != class)
		from++;
	return from;
}

static void sound_memory_verifies_after_many_operations(void **state)
{
	(void)state;
	for (int profile = WORKLOAD_UNIQUE; profile <= WORKLOAD_MIXED; profile++) {
		struct fixture f = make((enum workload_profile)profile, 7, PAGE_COUNT);

		for (int i = 0; i < 20000; i++)
			assert_true(workload_op(&f.w));
		assert_int_equal(workload_verify_all(&f.w), 0);
		assert_int_equal(f.w.wrong_count, 0);
		assert_int_equal(f.w.ops_count, 20000);
		drop(&f);
	}
}

static void any_wrong_byte_is_noticed_in_every_class(void **state)
{
	(void)state;
	struct fixture f = make(WORKLOAD_MIXED, 3, 20);

	for (int class = 0; class < WORKLOAD_CLASS_COUNT; class ++) {
		uint32_t page = page_of_class(&f, (enum workload_class) class, 0);

		for (uint32_t at = 0; at < WORKLOAD_PAGE_BYTES; at++) {
			uint8_t flip = (uint8_t)(1u << (at % 8));

			page_of(&f, page)[at] ^= flip;
			assert_int_equal(workload_verify_all(&f.w), 1);
			assert_int_equal(f.w.wrong_page, page);
			page_of(&f, page)[at] ^= flip;
			f.w.wrong_count = 0;
		}
	}
	assert_int_equal(workload_verify_all(&f.w), 0);
	drop(&f);
}

static void a_stale_page_is_noticed(void **state)
{
	(void)state;
	struct fixture f = make(WORKLOAD_UNIQUE, 3, 1);
	uint8_t old[WORKLOAD_PAGE_BYTES];

	memcpy(old, f.pages, sizeof(old));
	assert_true(workload_op(&f.w));
	memcpy(f.pages, old, sizeof(old));
	assert_int_equal(workload_verify_all(&f.w), 1);
	drop(&f);
}

static void a_page_of_another_place_or_guest_is_noticed(void **state)
{
	(void)state;
	struct fixture f = make(WORKLOAD_MIXED, 3, 40), g = make(WORKLOAD_MIXED, 4, 40);

	for (int i = 0; i < WORKLOAD_CLASS_COUNT; i++) {
		enum workload_class class = (enum workload_class)i;
		uint32_t page = page_of_class(&f, class, 0);
		uint32_t other = page_of_class(&f, class, page + 1);
		bool may_be_equal = class == WORKLOAD_ZERO;

		memcpy(page_of(&f, page), page_of(&f, other), WORKLOAD_PAGE_BYTES);
		assert_int_equal(workload_verify_all(&f.w), may_be_equal ? 0 : 1);
		workload_fill(&f.w);
		may_be_equal |= class == WORKLOAD_IDENTICAL;
		memcpy(page_of(&f, page), page_of(&g, page), WORKLOAD_PAGE_BYTES);
		assert_int_equal(workload_verify_all(&f.w), may_be_equal ? 0 : 1);
		workload_fill(&f.w);
	}
	drop(&f);
	drop(&g);
}

static void the_mix_has_its_shares_and_writes_spare_the_first_two_kinds(void **state)
{
	(void)state;
	struct fixture f = make(WORKLOAD_MIXED, 5, PAGE_COUNT),
		       g = make(WORKLOAD_MIXED, 6, PAGE_COUNT);
	uint32_t counts[WORKLOAD_CLASS_COUNT] = {0}, equal_count = 0, zero_count = 0;
	uint64_t packed_bytes = 0;
	static const uint8_t zero[WORKLOAD_PAGE_BYTES];

	for (int i = 0; i < 20000; i++)
		assert_true(workload_op(&f.w));
	for (uint32_t page = 0; page < PAGE_COUNT; page++) {
		enum workload_class class = workload_class_of(&f.w, page);
		char packed[LZ4_COMPRESSBOUND(WORKLOAD_PAGE_BYTES)];

		counts[class]++;
		zero_count += memcmp(page_of(&f, page), zero, sizeof(zero)) == 0;
		equal_count += memcmp(page_of(&f, page), page_of(&g, page), sizeof(zero)) == 0;
		if (class == WORKLOAD_COMPRESSIBLE)
			packed_bytes += (uint64_t)LZ4_compress_default((char *)page_of(&f, page),
				packed, WORKLOAD_PAGE_BYTES, sizeof(packed));
		if (class <= WORKLOAD_IDENTICAL)
			assert_int_equal(f.w.versions[page], 0);
	}
	assert_int_equal(counts[WORKLOAD_ZERO], PAGE_COUNT * 25 / 100);
	assert_int_equal(counts[WORKLOAD_IDENTICAL], PAGE_COUNT * 25 / 100);
	assert_int_equal(counts[WORKLOAD_COMPRESSIBLE], PAGE_COUNT * 30 / 100);
	assert_int_equal(counts[WORKLOAD_RANDOM], PAGE_COUNT * 20 / 100);
	assert_int_equal(zero_count, counts[WORKLOAD_ZERO]);
	assert_int_equal(equal_count, counts[WORKLOAD_ZERO] + counts[WORKLOAD_IDENTICAL]);
	/* 3:1, within a tenth. */
	assert_in_range(
		packed_bytes * 30 / ((uint64_t)counts[WORKLOAD_COMPRESSIBLE] * 4096), 9, 11);
	drop(&f);
	drop(&g);
}

/* The most wanted page's share, and the first tenth's, under Zipf with exponent 0.99. */
static void the_order_of_pages_is_zipf(void **state)
{
	(void)state;
	struct fixture f = make(WORKLOAD_UNIQUE, 9, PAGE_COUNT);
	uint32_t *hits = calloc(PAGE_COUNT, sizeof(*hits)), first_tenth = 0;
	const uint32_t draws = 400000;

	assert_non_null(hits);
	for (uint32_t i = 0; i < draws; i++)
		hits[workload_pick_page(&f.w)]++;
	for (uint32_t rank = 0; rank < PAGE_COUNT / 10; rank++)
		first_tenth += hits[f.w.order[rank]];
	/* By the sum of i^-0.99: rank 1 has 1/8.474 = 11.80%, ranks 1..200 have 71.0%. */
	assert_in_range(hits[f.w.order[0]], draws * 1160 / 10000, draws * 1200 / 10000);
	assert_in_range(first_tenth, draws * 704 / 1000, draws * 716 / 1000);
	assert_in_range(hits[f.w.order[0]] * 100 / hits[f.w.order[9]], 905, 1050);
	free(hits);
	drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_memory_verifies_after_many_operations),
		cmocka_unit_test(any_wrong_byte_is_noticed_in_every_class),
		cmocka_unit_test(a_stale_page_is_noticed),
		cmocka_unit_test(a_page_of_another_place_or_guest_is_noticed),
		cmocka_unit_test(the_mix_has_its_shares_and_writes_spare_the_first_two_kinds),
		cmocka_unit_test(the_order_of_pages_is_zipf),
	};

	return cmocka_run_group_tests_name("unit/workload", tests, NULL, NULL);
}
