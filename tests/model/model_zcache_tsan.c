/* SRCS: tests/fake/fake_platform.c mm */
/*
 * Real threads as CPUs in one compression cache, under ThreadSanitizer: they store, load and drop
 * pages under their regions' locks, as faults and evictions do, and write out what is coldest,
 * whosever it is. Every page that comes back is compared. SEED=n; STEPS=n, of each thread.
 */
#include "mm/zcache/zcache.h"
#include "mm/base/lock.h"
#include "tests/fake/fake_page.h"
#include "tests/fake/fake_platform.h"
#include <pthread.h>
#include <stdio.h>

#define THREADS      4u
#define REGIONS      8u
#define REGION_PAGES 32u
#define PAGES        (REGIONS * REGION_PAGES)
#define MOST_FRAMES  40u

struct page {
	u64 handle; /* 0: not in the cache */
	u64 seed, random_bytes;
};

static struct zcache *cache;
static struct spinlock region_locks[REGIONS];
static struct page pages[PAGES]; /* [region] */

struct worker {
	pthread_t thread;
	u32 cpu;
	u64 steps;
	struct rng rng;
	pfn_t frame, other;
	u64 stored, loaded, refused, written, stale, wrong;
};

static void compare(struct worker *w, const struct page *page)
{
	u8 wanted[PAGE_BYTES];

	fake_page_fill(wanted, page->seed, page->random_bytes);
	w->wrong += memcmp(platform_frame_va(w->frame), wanted, PAGE_BYTES) != 0;
}

static void store(struct worker *w, u64 gfn, struct page *page)
{
	page->seed = rng_next(&w->rng);
	page->random_bytes = rng_below(&w->rng, 2100);
	fake_page_fill(platform_frame_va(w->frame), page->seed, page->random_bytes);
	if (zcache_store(cache, GFN(gfn), w->frame, &page->handle) == E_OK) {
		w->stored++;
		return;
	}
	page->handle = 0;
	w->refused++;
}

/* A page is stored, or touched: it comes back, and leaves most of the time. */
static void use(struct worker *w)
{
	u64 gfn = rng_below(&w->rng, PAGES);
	struct page *page = &pages[gfn];

	spin_lock(&region_locks[gfn / REGION_PAGES]);
	if (!page->handle) {
		store(w, gfn, page);
	} else {
		bool leaves = rng_chance(&w->rng, 80);

		w->wrong +=
			(leaves ? zcache_take : zcache_load)(cache, page->handle, w->frame) != E_OK;
		compare(w, page);
		w->loaded++;
		if (leaves)
			page->handle = 0;
	}
	spin_unlock(&region_locks[gfn / REGION_PAGES]);
}

static void write_out(struct worker *w)
{
	struct zcache_object object;
	struct page *page;

	if (!zcache_coldest(cache, &object))
		return;
	page = &pages[object.gfn.v];
	spin_lock(&region_locks[object.gfn.v / REGION_PAGES]);
	if (page->handle == object.handle) {
		u32 bytes = zcache_copy(cache, page->handle, w->other);

		if (rng_chance(&w->rng, 20)) {
			zcache_put_back(cache, page->handle);
		} else {
			zcache_drop(cache, page->handle);
			page->handle = 0;
		}
		w->wrong += zcache_decode(w->other, bytes, w->frame) != E_OK;
		compare(w, page);
		w->written++;
	} else {
		w->stale++;
	}
	spin_unlock(&region_locks[object.gfn.v / REGION_PAGES]);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	fake_cpu_set(w->cpu);
	for (u64 step = 0; step < w->steps; step++) {
		if (rng_chance(&w->rng, 80))
			use(w);
		else if (rng_chance(&w->rng, 80))
			write_out(w);
		else
			zcache_compact(cache, 8);
	}
	return NULL;
}

int main(void)
{
	static struct worker workers[THREADS];
	const char *steps_text = getenv("STEPS");
	u64 wrong = 0, stored = 0, loaded = 0, refused = 0, written = 0, stale = 0;
	bool sound;

	fake_start_plain(THREADS, 1024);
	for (u32 i = 0; i < REGIONS; i++)
		spin_init(&region_locks[i], LOCK_RANK_REGION);
	if (zcache_create(&cache, PAGES, MOST_FRAMES))
		return 1;
	for (u32 t = 0; t < THREADS; t++) {
		workers[t] = (struct worker){.cpu = t,
			.steps = steps_text ? strtoull(steps_text, NULL, 0) : 2000,
			.rng = {rng_seed(1) + t},
			.frame = frame_alloc(FRAME_PRIVATE),
			.other = frame_alloc(FRAME_PRIVATE)};
	}
	for (u32 t = 0; t < THREADS; t++) {
		if (pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			return 1;
	}
	for (u32 t = 0; t < THREADS; t++) {
		pthread_join(workers[t].thread, NULL);
		wrong += workers[t].wrong;
		stored += workers[t].stored;
		loaded += workers[t].loaded;
		refused += workers[t].refused;
		written += workers[t].written;
		stale += workers[t].stale;
	}
	sound = zcache_audit(cache);
	zcache_destroy(cache);
	sound = frame_audit() && frame_kind_count(FRAME_ZCACHE) == 0 && sound;
	printf("%llu stored, %llu refused, %llu loaded, %llu written out (%llu were gone), %llu "
	       "wrong, %s\n",
		(unsigned long long)stored, (unsigned long long)refused, (unsigned long long)loaded,
		(unsigned long long)written, (unsigned long long)stale, (unsigned long long)wrong,
		sound ? "sound" : "NOT SOUND");
	fake_stop();
	return wrong || !sound || !stored || !written;
}
