/* SRCS: tests/fake/fake_platform.c mm */
/*
 * A compression cache equals a naive copy of its pages: random stores, loads, drops, write-outs
 * that succeed and fail, resets, with the quota in the way and allocations that fail, and every
 * invariant checked after each step. Then one scenario with each of its allocations failing in
 * turn. SEED=n replays one seed; STEPS=n runs longer.
 */
#include "mm/zcache/zcache.h"
#include "tests/fake/fake_page.h"
#include "tests/fake/fake_platform.h"
#include <stdio.h>

#define PAGES       300u
#define MOST_FRAMES 40u

#define REQUIRE(expr)                                                                              \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			fprintf(stderr, "%s:%d: %s, seed %llu, step %llu\n", __FILE__, __LINE__,   \
				#expr, (unsigned long long)model.seed,                             \
				(unsigned long long)model.step);                                   \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* One page of the VM: in the cache, if it has a handle. */
struct page {
	u64 handle;
	u64 age; /* by model.clock when stored or named; 0: being written out */
	u8 bytes[PAGE_BYTES];
	u8 written[PAGE_BYTES]; /* what zcache_copy() gave away */
	u32 written_bytes;
};

static struct {
	u64 seed, step, clock;
	struct rng rng;
	struct zcache *cache;
	pfn_t frame; /* pages pass through it */
	struct page pages[PAGES];
	u64 objects;
	u64 stored, too_large, over_quota, out_of_frames;
} model;

static u8 *frame_bytes(void)
{
	return platform_frame_va(model.frame);
}

static struct page *any_page(void)
{
	return &model.pages[rng_below(&model.rng, PAGES)];
}

static gfn_t gfn_of(const struct page *page)
{
	return GFN((u64)(page - model.pages) * 1000);
}

static void forget(struct page *page)
{
	page->handle = 0;
	model.objects--;
}

static void step_drop(struct page *page)
{
	if (!page->handle)
		return;
	zcache_drop(model.cache, page->handle);
	forget(page);
}

static void step_store(struct page *page)
{
	struct zcache_figures figures;
	u64 random = rng_below(&model.rng, rng_chance(&model.rng, 10) ? PAGE_BYTES : 2030);
	u64 handle = 0;

	step_drop(page);
	fake_page_fill(page->bytes, rng_next(&model.rng), random);
	memcpy(frame_bytes(), page->bytes, PAGE_BYTES);
	err_t err = zcache_store(model.cache, gfn_of(page), model.frame, &handle);

	zcache_figures(model.cache, &figures);
	switch (err) {
	case E_OK:
		page->handle = handle;
		page->age = ++model.clock;
		model.objects++;
		model.stored++;
		break;
	case E_RANGE:
		REQUIRE(random > 2000);
		model.too_large++;
		break;
	case E_LIMIT:
		REQUIRE(figures.frames + 2 > MOST_FRAMES);
		model.over_quota++;
		break;
	default:
		REQUIRE(err == E_NOMEM && fake_alloc_count() > 0);
		model.out_of_frames++;
		break;
	}
}

static void step_load(struct page *page)
{
	if (!page->handle)
		return;
	memset(frame_bytes(), 0xee, PAGE_BYTES);
	REQUIRE(zcache_load(model.cache, page->handle, model.frame) == E_OK);
	REQUIRE(memcmp(frame_bytes(), page->bytes, PAGE_BYTES) == 0);
}

static void step_take(struct page *page)
{
	if (!page->handle)
		return;
	REQUIRE(zcache_take(model.cache, page->handle, model.frame) == E_OK);
	REQUIRE(memcmp(frame_bytes(), page->bytes, PAGE_BYTES) == 0);
	forget(page);
}

static void step_compact(void)
{
	struct zcache_figures before, after;
	u64 count = rng_below(&model.rng, 8);

	zcache_figures(model.cache, &before);
	zcache_compact(model.cache, (u32)count);
	zcache_figures(model.cache, &after);
	REQUIRE(after.holes == (before.holes > count ? before.holes - count : 0));
	REQUIRE(after.frames <= before.frames);
}

static struct page *oldest(void)
{
	struct page *found = NULL;

	for (u64 i = 0; i < PAGES; i++) {
		struct page *page = &model.pages[i];

		if (page->handle && page->age && (!found || page->age < found->age))
			found = page;
	}
	return found;
}

/* Take the oldest out for writing. */
static void step_write_out(void)
{
	struct page *page = oldest();
	struct zcache_object object;

	REQUIRE(zcache_coldest(model.cache, &object) == (page != NULL));
	if (!page)
		return;
	REQUIRE(object.handle == page->handle && object.gfn.v == gfn_of(page).v);
	if (rng_chance(&model.rng, 30)) {
		/* Somebody else has it just now. */
		page->age = ++model.clock;
		return;
	}
	page->age = 0;
	page->written_bytes = zcache_copy(model.cache, page->handle, model.frame);
	REQUIRE(page->written_bytes == object.bytes);
	memcpy(page->written, frame_bytes(), PAGE_BYTES);
}

/* A write-out ends, well or badly; what was written comes back. */
static void step_written(struct page *page)
{
	pfn_t from;

	if (!page->handle || page->age)
		return;
	if (rng_chance(&model.rng, 30)) {
		zcache_put_back(model.cache, page->handle);
		page->age = ++model.clock;
		return;
	}
	step_drop(page);
	from = frame_alloc(FRAME_PRIVATE);
	if (pfn_is_none(from))
		return;
	memcpy(platform_frame_va(from), page->written, PAGE_BYTES);
	REQUIRE(zcache_decode(from, page->written_bytes, model.frame) == E_OK);
	REQUIRE(memcmp(frame_bytes(), page->bytes, PAGE_BYTES) == 0);
	frame_free(from);
}

static void step_clear(void)
{
	zcache_clear(model.cache);
	for (u64 i = 0; i < PAGES; i++) {
		if (model.pages[i].handle)
			forget(&model.pages[i]);
	}
}

static void audit(void)
{
	struct zcache_figures figures;

	zcache_figures(model.cache, &figures);
	REQUIRE(figures.objects == model.objects);
	REQUIRE(figures.frames <= MOST_FRAMES);
	REQUIRE(figures.holes <= 256 + figures.objects / 32);
	REQUIRE(frame_kind_count(FRAME_ZCACHE) == figures.frames + zcache_overhead_frames(PAGES));
	REQUIRE(zcache_audit(model.cache));
}

static void begin(u64 seed)
{
	memset(&model, 0, sizeof(model));
	model.seed = model.rng.state = seed;
	fake_start_plain(1, 512);
	model.frame = frame_alloc(FRAME_PRIVATE);
	REQUIRE(!pfn_is_none(model.frame));
	REQUIRE(zcache_create(&model.cache, PAGES, MOST_FRAMES) == E_OK);
}

static void end(void)
{
	zcache_destroy(model.cache);
	REQUIRE(frame_kind_count(FRAME_ZCACHE) == 0);
	REQUIRE(frame_audit());
	fake_stop();
}

static void take_step(u64 dice)
{
	if (dice < 40)
		step_store(any_page());
	else if (dice < 55)
		step_load(any_page());
	else if (dice < 65)
		step_take(any_page());
	else if (dice < 70)
		step_compact();
	else if (dice < 75)
		step_drop(any_page());
	else if (dice < 85)
		step_write_out();
	else
		step_written(any_page());
}

static void random_steps(u64 seed, u64 steps)
{
	begin(seed);
	for (model.step = 0; model.step < steps; model.step++) {
		fake_fail_alloc(rng_chance(&model.rng, 5) ? 1 : 0, true);
		if (rng_below(&model.rng, 3000) == 0)
			step_clear();
		else
			take_step(rng_below(&model.rng, 100));
		audit();
	}
	fake_fail_alloc(0, false);
	for (u64 i = 0; i < PAGES; i++) {
		step_load(&model.pages[i]);
		step_drop(&model.pages[i]);
	}
	audit();
	REQUIRE(model.objects == 0 && model.stored && model.too_large && model.over_quota &&
		model.out_of_frames);
	printf("seed %llu: %llu steps, %llu stored, %llu too large, %llu over quota, %llu out of "
	       "frames\n",
		(unsigned long long)seed, (unsigned long long)steps,
		(unsigned long long)model.stored, (unsigned long long)model.too_large,
		(unsigned long long)model.over_quota, (unsigned long long)model.out_of_frames);
	end();
}

/* The same stores with each allocation failing in turn: what was stored is there in the end. */
static void each_allocation_fails(void)
{
	u64 count = 0;

	for (u64 nth = 1; nth <= count + 1; nth++) {
		begin(4711);
		fake_fail_alloc(nth, false);
		for (u64 i = 0; i < 100; i++) {
			step_store(&model.pages[i]);
			audit();
		}
		count = fake_alloc_count();
		REQUIRE(model.out_of_frames == (nth <= count));
		fake_fail_alloc(0, false);
		for (u64 i = 0; i < PAGES; i++)
			step_load(&model.pages[i]);
		end();
	}
	printf("each of %llu allocations failed\n", (unsigned long long)count);
}

int main(void)
{
	const char *steps_text = getenv("STEPS");
	u64 steps = steps_text ? strtoull(steps_text, NULL, 0) : 20000;
	u64 seed = rng_seed(20261125);

	for (u32 i = 0; i < 4; i++)
		random_steps(seed + i, steps);
	each_allocation_fails();
	return 0;
}
