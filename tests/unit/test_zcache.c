/* SRCS: tests/fake/fake_platform.c mm */
/* The compression cache: what each function promises, each error, and what goes wrong in memory. */
#include "mm/zcache/zcache.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_page.h"
#include "tests/fake/fake_platform.h"
#include <lz4.h>

#define PAGES       65536u /* of a VM of 256 MiB */
#define MOST_FRAMES 64u

static struct zcache *cache;
static pfn_t page, back; /* two frames of the test's */

static int start(u64 frames, u64 most_frames)
{
	fake_start_plain(2, frames);
	page = frame_alloc(FRAME_PRIVATE);
	back = frame_alloc(FRAME_PRIVATE);
	return zcache_create(&cache, PAGES, most_frames);
}

static int setup(void **state)
{
	(void)state;
	return start(512, MOST_FRAMES);
}

static int setup_large(void **state)
{
	(void)state;
	return start(8192, PAGES / 10);
}

static int teardown(void **state)
{
	u64 before = frame_kind_count(FRAME_ZCACHE);
	u64 overhead = zcache_overhead_frames(PAGES);
	struct zcache_figures figures;

	(void)state;
	zcache_figures(cache, &figures);
	if (before != figures.frames + overhead || !zcache_audit(cache))
		return -1;
	zcache_destroy(cache);
	if (frame_kind_count(FRAME_ZCACHE) != 0 || !frame_audit())
		return -1;
	fake_stop();
	return 0;
}

static struct zcache_figures figures_now(void)
{
	struct zcache_figures figures;

	zcache_figures(cache, &figures);
	return figures;
}

static u8 *bytes_of(pfn_t frame)
{
	return platform_frame_va(frame);
}

/* Page number @gfn's contents; LZ4 makes a little more than @random_bytes of it. */
static void fill(u64 gfn, u64 random_bytes)
{
	fake_page_fill(bytes_of(page), gfn, random_bytes);
}

static u64 store(u64 gfn, u64 random_bytes)
{
	u64 handle = 0;

	fill(gfn, random_bytes);
	assert_int_equal(zcache_store(cache, GFN(gfn), page, &handle), E_OK);
	assert_in_range(handle, 1, BIT(ZCACHE_HANDLE_BITS) - 1);
	return handle;
}

static void expect_page(u64 gfn, u64 random_bytes)
{
	fill(gfn, random_bytes);
	assert_memory_equal(bytes_of(page), bytes_of(back), PAGE_BYTES);
}

static void expect_loads(u64 handle, u64 gfn, u64 random_bytes)
{
	memset(bytes_of(back), 0xee, PAGE_BYTES);
	assert_int_equal(zcache_load(cache, handle, back), E_OK);
	expect_page(gfn, random_bytes);
}

/* Neither store nor failure leaves anything: everything but the counters of refusals. */
static void expect_refused(err_t wanted, u64 gfn)
{
	struct zcache_figures before = figures_now(), after;
	u64 handle = 77;

	assert_int_equal(zcache_store(cache, GFN(gfn), page, &handle), wanted);
	after = figures_now();
	assert_int_equal(handle, 77);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.frames, before.frames);
	assert_int_equal(after.lz4_bytes, before.lz4_bytes);
	assert_int_equal(after.stored, before.stored);
	assert_true(zcache_audit(cache));
}

static void test_a_page_comes_back_and_stays_until_it_is_dropped(void **state)
{
	u64 handle = store(5, 700);

	(void)state;
	expect_loads(handle, 5, 700);
	expect_loads(handle, 5, 700);
	assert_int_equal(figures_now().objects, 1);
	assert_in_range(figures_now().lz4_bytes, 700, 740);
	zcache_drop(cache, handle);
	assert_int_equal(figures_now().objects, 0);
	assert_int_equal(figures_now().lz4_bytes, 0);
	zcache_compact(cache, 1);
	assert_int_equal(figures_now().frames, 0);
}

static void test_a_page_that_is_taken_is_gone(void **state)
{
	u64 handle = store(5, 700), other = store(6, 700);

	(void)state;
	assert_int_equal(zcache_take(cache, handle, back), E_OK);
	expect_page(5, 700);
	assert_int_equal(figures_now().objects, 1);
	assert_int_equal(figures_now().taken, 1);
	expect_loads(other, 6, 700);
}

static void test_a_page_that_does_not_shrink_to_half_is_refused(void **state)
{
	(void)state;
	fill(5, PAGE_BYTES);
	expect_refused(E_RANGE, 5);
	fill(5, 2100);
	expect_refused(E_RANGE, 5);
	assert_int_equal(figures_now().refused_size, 2);
}

/* What LZ4 makes of the page when it has all the room it wants. */
static int lz4_bytes_of_page(void)
{
	static char room[LZ4_COMPRESSBOUND(4096)];

	return LZ4_compress_default(
		(const char *)bytes_of(page), room, (int)PAGE_BYTES, sizeof(room));
}

static void test_half_is_exactly_2048_bytes(void **state)
{
	u64 random = 1900;

	(void)state;
	for (fill(9, random); lz4_bytes_of_page() < 2048; fill(9, random))
		random++;
	assert_int_equal(lz4_bytes_of_page(), 2048);
	expect_loads(store(9, random), 9, random);
	assert_int_equal(figures_now().lz4_bytes, 2048);
	fill(9, random + 1);
	assert_int_equal(lz4_bytes_of_page(), 2049);
	expect_refused(E_RANGE, 9);
}

static void test_page_numbers_have_32_bits(void **state)
{
	struct zcache_object object;

	(void)state;
	fill(1, 100);
	expect_refused(E_RANGE, BIT(32));
	store(UINT32_MAX, 100);
	assert_true(zcache_coldest(cache, &object));
	assert_int_equal(object.gfn.v, UINT32_MAX);
}

static void test_the_quota_holds_and_dropping_makes_room(void **state)
{
	u64 handles[MOST_FRAMES * 4], count = 0;
	u64 handle = 0;

	(void)state;
	for (;; count++) {
		fill(count, 1500);
		if (zcache_store(cache, GFN(count), page, &handle))
			break;
		handles[count] = handle;
	}
	assert_int_equal(figures_now().frames, MOST_FRAMES);
	/* All of one size; and one frame holds the table. */
	assert_int_equal(count,
		(MOST_FRAMES - 1) * PAGE_BYTES / ALIGN_UP(figures_now().lz4_bytes / count + 8, 16));
	expect_refused(E_LIMIT, 500);
	assert_int_equal(figures_now().refused_quota, 2);
	for (u64 i = 0; i < 3; i++)
		zcache_drop(cache, handles[i]);
	store(500, 1500);
	for (u64 i = 3; i < count; i++)
		expect_loads(handles[i], i, 1500);
}

static void test_what_is_dropped_makes_room_for_objects_of_other_sizes(void **state)
{
	u64 handles[MOST_FRAMES * 3], count = 0, handle;

	(void)state;
	for (; count < ARRAY_COUNT(handles); count++) {
		fill(count, 1900);
		if (zcache_store(cache, GFN(count), page, &handles[count]))
			break;
	}
	/* Fewer than are filled by themselves. */
	for (u64 i = 0; i < 8; i++)
		zcache_drop(cache, handles[i]);
	assert_int_equal(figures_now().holes, 8);
	fill(500, 300);
	assert_int_equal(zcache_store(cache, GFN(500), page, &handle), E_OK);
	assert_int_equal(figures_now().holes, 0);
	expect_loads(handle, 500, 300);
	for (u64 i = 8; i < count; i++)
		expect_loads(handles[i], i, 1900);
}

static void test_holes_that_nobody_fills_stay_few(void **state)
{
	u64 handles[1000];

	(void)state;
	for (u64 i = 0; i < ARRAY_COUNT(handles); i++)
		handles[i] = store(i, i % 5 * 50);
	for (u64 i = 0; i < ARRAY_COUNT(handles); i++) {
		if (i % 5 == 1)
			continue;
		zcache_drop(cache, handles[i]);
		assert_in_range(figures_now().holes, 1, 256 + figures_now().objects / 32);
	}
	assert_true(zcache_audit(cache));
	assert_in_range(figures_now().holes, 256, 262);
	for (u64 i = 1; i < ARRAY_COUNT(handles); i += 5)
		expect_loads(handles[i], i, i % 5 * 50);
}

static void test_a_quota_of_nothing_takes_nothing(void **state)
{
	struct zcache *none;
	u64 handle;

	(void)state;
	assert_int_equal(zcache_create(&none, PAGES, 0), E_OK);
	fill(1, 100);
	assert_int_equal(zcache_store(none, GFN(1), page, &handle), E_LIMIT);
	zcache_destroy(none);
}

static void test_there_are_no_more_objects_than_pages(void **state)
{
	struct zcache *small;
	u64 handle;

	(void)state;
	assert_int_equal(zcache_create(&small, 300, MOST_FRAMES), E_OK);
	fill(1, 10);
	for (u64 i = 0; i < 300; i++)
		assert_int_equal(zcache_store(small, GFN(i), page, &handle), E_OK);
	assert_int_equal(zcache_store(small, GFN(300), page, &handle), E_LIMIT);
	zcache_drop(small, handle);
	assert_int_equal(zcache_store(small, GFN(300), page, &handle), E_OK);
	assert_true(zcache_audit(small));
	zcache_destroy(small);
}

static void test_without_frames_nothing_is_stored_and_nothing_lost(void **state)
{
	u64 first, second;

	(void)state;
	for (u64 nth = 1; nth <= 2; nth++) {
		fill(3, 400);
		fake_fail_alloc(nth, false);
		expect_refused(E_NOMEM, 3);
		fake_fail_alloc(0, false);
	}
	assert_int_equal(figures_now().refused_nomem, 2);
	first = store(4, 400);
	/* Neither a table's frame nor a class's is wanted: none has to be there. */
	fake_fail_alloc(1, true);
	second = store(5, 400);
	fake_fail_alloc(0, false);
	expect_loads(first, 4, 400);
	expect_loads(second, 5, 400);
}

static void test_no_cache_is_made_without_frames(void **state)
{
	struct zcache *none;
	u64 free_before = frame_free_count();

	(void)state;
	fake_fail_alloc(1, false);
	assert_int_equal(zcache_create(&none, PAGES, MOST_FRAMES), E_NOMEM);
	fake_fail_alloc(0, false);
	assert_int_equal(frame_free_count(), free_before);
}

/* Objects of 48 bytes and those of 2064, dropped in an order that makes each move to and fro. */
static void test_storage_stays_dense_and_handles_valid_whatever_is_dropped(void **state)
{
	static const u64 sizes[] = {10, 300, 1000, 1357, 2000};
	u64 handles[90];
	u64 left = ARRAY_COUNT(handles);

	(void)state;
	for (u64 i = 0; i < ARRAY_COUNT(handles); i++)
		handles[i] = store(i, sizes[i % ARRAY_COUNT(sizes)]);
	for (u64 step = 0; left > 0; step += 7) {
		u64 i = step % ARRAY_COUNT(handles);

		while (!handles[i])
			i = (i + 1) % ARRAY_COUNT(handles);
		zcache_drop(cache, handles[i]);
		zcache_compact(cache, 1);
		handles[i] = 0;
		left--;
		assert_true(zcache_audit(cache));
		for (i = 0; i < ARRAY_COUNT(handles); i++) {
			if (handles[i])
				expect_loads(handles[i], i, sizes[i % ARRAY_COUNT(sizes)]);
		}
		/* No class loses as much as a frame. */
		assert_true(figures_now().object_frames * PAGE_BYTES <
			    figures_now().lz4_bytes + left * 24 + ARRAY_COUNT(sizes) * PAGE_BYTES);
	}
	assert_int_equal(figures_now().frames, 0);
}

static void test_the_oldest_is_the_coldest(void **state)
{
	u64 a = store(1, 100), b = store(2, 200), c = store(3, 300);
	struct zcache_object object;

	(void)state;
	assert_true(zcache_coldest(cache, &object));
	assert_int_equal(object.handle, a);
	assert_int_equal(object.gfn.v, 1);
	assert_in_range(object.bytes, 104, 140);
	assert_true(zcache_coldest(cache, &object));
	assert_int_equal(object.handle, b);
	zcache_drop(cache, c);
	/* What was named counts as the youngest. */
	assert_true(zcache_coldest(cache, &object));
	assert_int_equal(object.handle, a);
	zcache_drop(cache, a);
	zcache_drop(cache, b);
	assert_false(zcache_coldest(cache, &object));
}

static void test_what_is_being_written_out_is_not_named_but_loads_and_drops(void **state)
{
	u64 a = store(1, 100), b = store(2, 200);
	struct zcache_object object;

	(void)state;
	zcache_copy(cache, a, back);
	assert_true(zcache_coldest(cache, &object));
	assert_int_equal(object.handle, b);
	zcache_copy(cache, b, back);
	assert_false(zcache_coldest(cache, &object));
	assert_true(zcache_audit(cache));
	expect_loads(a, 1, 100);
	zcache_put_back(cache, a);
	assert_true(zcache_coldest(cache, &object));
	assert_int_equal(object.handle, a);
	zcache_drop(cache, b);
	assert_true(zcache_coldest(cache, &object));
	assert_int_equal(object.handle, a);
}

static void test_a_copy_decodes_to_the_page_and_is_padded_with_zeros(void **state)
{
	u64 handle = store(8, 900);
	u32 bytes;

	(void)state;
	memset(bytes_of(page), 0xee, PAGE_BYTES);
	bytes = zcache_copy(cache, handle, page);
	assert_int_equal(bytes, 4 + figures_now().lz4_bytes);
	for (u64 i = bytes; i < PAGE_BYTES; i++)
		assert_int_equal(bytes_of(page)[i], 0);
	assert_int_equal(zcache_decode(page, bytes, back), E_OK);
	expect_page(8, 900);
}

static void test_no_damage_to_an_object_goes_unnoticed(void **state)
{
	u64 handle = store(8, 150);
	u32 bytes = zcache_copy(cache, handle, page);

	(void)state;
	for (u32 bit = 0; bit < bytes * 8; bit++) {
		bytes_of(page)[bit / 8] ^= (u8)(1 << bit % 8);
		assert_int_equal(zcache_decode(page, bytes, back), E_CORRUPT);
		bytes_of(page)[bit / 8] ^= (u8)(1 << bit % 8);
	}
	for (u32 wrong = 0; wrong <= PAGE_BYTES; wrong++) {
		if (wrong != bytes)
			assert_int_equal(zcache_decode(page, wrong, back), E_CORRUPT);
	}
	assert_int_equal(zcache_decode(page, UINT32_MAX, back), E_CORRUPT);
	assert_int_equal(zcache_decode(page, bytes, back), E_OK);
}

/* Where the cache keeps these bytes. */
static u8 *find_in_cache(const u8 *bytes, u32 count)
{
	for (u64 pfn = 0; pfn < 48 + 512; pfn++) {
		if (!frame_is_ram(PFN(pfn)) || frame_kind(PFN(pfn)) != FRAME_ZCACHE)
			continue;
		for (u32 at = 0; at + count <= PAGE_BYTES; at++) {
			if (memcmp(bytes_of(PFN(pfn)) + at, bytes, count) == 0)
				return bytes_of(PFN(pfn)) + at;
		}
	}
	return NULL;
}

static void test_a_corrupt_object_is_told_by_load_and_by_the_audit(void **state)
{
	u64 handle = store(8, 150), other = store(9, 150);
	u32 bytes = zcache_copy(cache, handle, page);
	u8 *at = find_in_cache(bytes_of(page), bytes);

	(void)state;
	assert_non_null(at);
	fake_log_quiet(true);
	for (u32 i = 0; i < bytes; i++) {
		at[i] ^= 0x10;
		assert_int_equal(zcache_load(cache, handle, back), E_CORRUPT);
		assert_int_equal(zcache_take(cache, handle, back), E_CORRUPT);
		assert_false(zcache_audit(cache));
		expect_loads(other, 9, 150);
		at[i] ^= 0x10;
	}
	assert_int_equal(figures_now().corrupt, 2 * bytes);
	expect_loads(handle, 8, 150);
}

static void test_clearing_drops_everything(void **state)
{
	(void)state;
	for (u64 i = 0; i < 40; i++)
		store(i, i * 50);
	zcache_clear(cache);
	assert_int_equal(figures_now().objects, 0);
	assert_int_equal(figures_now().frames, 0);
	assert_int_equal(frame_kind_count(FRAME_ZCACHE), zcache_overhead_frames(PAGES));
	expect_loads(store(3, 500), 3, 500);
}

static void drop(void *handle)
{
	zcache_drop(cache, *(u64 *)handle);
}

static void test_a_handle_that_is_not_in_use_is_a_bug(void **state)
{
	u64 kept = store(1, 100), handle = store(2, 200), wrong[] = {0, handle, kept + 5, ~0ull};

	zcache_drop(cache, handle);
	for (u32 i = 0; i < ARRAY_COUNT(wrong); i++) {
		assert_true(fake_panics(drop, &wrong[i]));
		/* The panic left the lock held: this cache is of no more use. */
		fake_stop();
		setup(state);
		kept = store(1, 100);
		handle = store(2, 200);
		zcache_drop(cache, handle);
	}
}

/* As guests' pages: few shrink to little, most to about a third. */
static u64 usual_size(struct rng *rng)
{
	return (rng_below(rng, 2000) + rng_below(rng, 2000)) / 2 + rng_below(rng, 30);
}

static void test_at_most_3_percent_are_lost_in_a_full_cache(void **state)
{
	static u64 handles[PAGES];
	struct rng rng = {rng_seed(4)};
	struct zcache_figures full;
	u64 failed = 0, handle;

	(void)state;
	for (u64 steps = 0; failed < 3000; steps++) {
		u64 gfn = rng_below(&rng, PAGES);

		if (handles[gfn]) {
			zcache_drop(cache, handles[gfn]);
			handles[gfn] = 0;
		}
		/* As reclaim does before a batch of pages. */
		if (steps % 32 == 0)
			zcache_compact(cache, 32);
		fill(gfn, usual_size(&rng));
		switch (zcache_store(cache, GFN(gfn), page, &handle)) {
		case E_OK:
			handles[gfn] = handle;
			break;
		case E_LIMIT:
			failed++;
			break;
		default:
			break;
		}
	}
	full = figures_now();
	print_message("%llu objects, %llu LZ4 bytes in %llu frames, %llu frames of table\n",
		(unsigned long long)full.objects, (unsigned long long)full.lz4_bytes,
		(unsigned long long)full.object_frames,
		(unsigned long long)(full.frames - full.object_frames));
	assert_true(full.frames + 2 >= full.most_frames);
	assert_true(full.lz4_bytes * 100 >= full.object_frames * PAGE_BYTES * 97);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_page_comes_back_and_stays_until_it_is_dropped),
		TEST(a_page_that_is_taken_is_gone),
		TEST(a_page_that_does_not_shrink_to_half_is_refused),
		TEST(half_is_exactly_2048_bytes),
		TEST(page_numbers_have_32_bits),
		TEST(the_quota_holds_and_dropping_makes_room),
		TEST(what_is_dropped_makes_room_for_objects_of_other_sizes),
		TEST(holes_that_nobody_fills_stay_few),
		TEST(a_quota_of_nothing_takes_nothing),
		TEST(there_are_no_more_objects_than_pages),
		TEST(without_frames_nothing_is_stored_and_nothing_lost),
		TEST(no_cache_is_made_without_frames),
		TEST(storage_stays_dense_and_handles_valid_whatever_is_dropped),
		TEST(the_oldest_is_the_coldest),
		TEST(what_is_being_written_out_is_not_named_but_loads_and_drops),
		TEST(a_copy_decodes_to_the_page_and_is_padded_with_zeros),
		TEST(no_damage_to_an_object_goes_unnoticed),
		TEST(a_corrupt_object_is_told_by_load_and_by_the_audit),
		TEST(clearing_drops_everything),
		TEST(a_handle_that_is_not_in_use_is_a_bug),
		cmocka_unit_test_setup_teardown(
			test_at_most_3_percent_are_lost_in_a_full_cache, setup_large, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
