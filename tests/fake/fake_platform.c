/* The fake platform: see fake_platform.h. */
#include "tests/fake/fake_platform.h"
#include "tests/fake/rng.h"
#include "mm/base/lock.h"
#include "mm/fault/fault_guard.h"
#include "mm/memsched/memsched.h"
#include "mm/share/share.h"
#include "mm/space/tlb.h"
#include "mm/zcache/zcache.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sanitizer/asan_interface.h>

#define POISON_BYTE   0xdb
#define LOG_LINES_MAX 20

/* A test's own clock: what it says first, and goes on by at a look. */
#define CLOCK_START_NS 60000000000ull
#define CLOCK_LOOK_NS  1000u

static struct {
	unsigned char *arena;
	u64 frame_count;
	u32 cpu_count;
	struct frame *table;
	char *regions;
	size_t table_bytes, regions_bytes;
	u64 *serials;
	void (*kick)(u32 cpu);
	void (*wake)(struct space *space);
	u64 wakes;
	u64 fail_nth, alloc_count;
	struct rng random;
	struct {
		u64 now_ns;
		u64 look_ns; /* 0: it is the machine's */
		struct rng rng;
	} clock;
	bool fail_after;
	bool log_quiet;
	u64 log_count;
	jmp_buf *panic_to;
	char panic_text[256];
} fake;

static __thread u32 cpu_here;

/* --- What mm calls --- */

void *platform_frame_va(pfn_t pfn)
{
	if (pfn.v >= fake.frame_count) {
		fprintf(stderr, "frame window: pfn %#llx is beyond RAM\n",
			(unsigned long long)pfn.v);
		abort();
	}
	return fake.arena + pfn.v * PAGE_BYTES;
}

pfn_t platform_va_frame(const void *va)
{
	return PFN((u64)((const unsigned char *)va - fake.arena) / PAGE_BYTES);
}

u32 platform_cpu_id(void)
{
	return cpu_here;
}

u32 platform_cpu_count(void)
{
	return fake.cpu_count;
}

void platform_kick(u32 cpu)
{
	if (!fake.kick || cpu == cpu_here) {
		fprintf(stderr, "CPU %u kicked by CPU %u unexpectedly\n", cpu, cpu_here);
		abort();
	}
	fake.kick(cpu);
}

u64 platform_now_ns(void)
{
	struct timespec now;

	if (fake.clock.look_ns) {
		fake.clock.now_ns += 1 + rng_below(&fake.clock.rng, fake.clock.look_ns);
		return fake.clock.now_ns;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec;
}

void fake_clock_start(u64 seed)
{
	fake.clock.rng.state = seed;
	fake_clock_move(CLOCK_START_NS, CLOCK_LOOK_NS);
}

void fake_clock_move(u64 ns, u64 look_ns)
{
	fake.clock.now_ns += ns;
	fake.clock.look_ns = look_ns;
}

bool platform_random(u64 *out)
{
	/* The same in every run, as far as it is asked in the same order. */
	struct rng mine = {__atomic_fetch_add(&fake.random.state, RNG_STEP, __ATOMIC_RELAXED)};

	*out = rng_next(&mine);
	return true;
}

static __thread bool in_library;

static void library_move(bool inside)
{
	if (in_library == inside) {
		fprintf(stderr, "a library's fence is %s twice\n", inside ? "entered" : "left");
		abort();
	}
	in_library = inside;
}

void platform_library_begin(void)
{
	library_move(true);
}

void platform_library_end(void)
{
	library_move(false);
}

void platform_log(enum log_level level, const char *line)
{
	if (level > LOG_WARN)
		return;
	if (__atomic_fetch_add(&fake.log_count, 1, __ATOMIC_RELAXED) < LOG_LINES_MAX &&
		!fake.log_quiet)
		fprintf(stderr, "mm: %s\n", line);
}

void platform_wake(struct space *space)
{
	__atomic_fetch_add(&fake.wakes, 1, __ATOMIC_RELAXED);
	if (fake.wake)
		fake.wake(space);
}

u64 fake_wakes(void)
{
	return fake.wakes;
}

void fake_on_wake(void (*wake)(struct space *space))
{
	fake.wake = wake;
}

void platform_panic(const char *what)
{
	if (fake.panic_to) {
		snprintf(fake.panic_text, sizeof(fake.panic_text), "%s", what);
		longjmp(*fake.panic_to, 1);
	}
	fprintf(stderr, "panic on CPU %u: %s\n", cpu_here, what);
	abort();
}

/* --- Frames that come and go --- */

static bool alloc_fails(void)
{
	u64 n = __atomic_add_fetch(&fake.alloc_count, 1, __ATOMIC_RELAXED);

	return fake.fail_nth && (n == fake.fail_nth || (fake.fail_after && n > fake.fail_nth));
}

static void frame_freed(pfn_t pfn)
{
	void *page = fake.arena + pfn.v * PAGE_BYTES;

	__atomic_add_fetch(&fake.serials[pfn.v], 1, __ATOMIC_RELAXED);
	memset(page, POISON_BYTE, PAGE_BYTES);
	ASAN_POISON_MEMORY_REGION(page, PAGE_BYTES);
}

static void frame_allocated(pfn_t pfn)
{
	static const unsigned char poison[16] = {[0 ... 15] = POISON_BYTE};
	unsigned char *page = fake.arena + pfn.v * PAGE_BYTES;

	ASAN_UNPOISON_MEMORY_REGION(page, PAGE_BYTES);
	if (memcmp(page, poison, sizeof(poison)) != 0 ||
		memcmp(page, page + sizeof(poison), PAGE_BYTES - sizeof(poison)) != 0) {
		fprintf(stderr, "frame %#llx was written while it was free\n",
			(unsigned long long)pfn.v);
		abort();
	}
	__atomic_add_fetch(&fake.serials[pfn.v], 1, __ATOMIC_RELAXED);
}

u64 fake_frame_serial(pfn_t pfn)
{
	return __atomic_load_n(&fake.serials[pfn.v], __ATOMIC_RELAXED);
}

void fake_fail_alloc(u64 nth, bool and_all_after)
{
	fake.fail_nth = nth;
	fake.fail_after = and_all_after;
	fake.alloc_count = 0;
}

u64 fake_alloc_count(void)
{
	return fake.alloc_count;
}

/* --- Start and stop --- */

static void *zeroed_pages(size_t *bytes)
{
	*bytes = ALIGN_UP(*bytes, (size_t)PAGE_BYTES);
	void *pages = aligned_alloc(PAGE_BYTES, *bytes);

	memset(pages, 0, *bytes);
	return pages;
}

/* Of a table with @item bytes for each @per frames: allow access to pages that speak of @range. */
static void table_back(char *table, size_t item, u64 per, const struct frame_range *range)
{
	u64 from = ALIGN_DOWN(range->first.v / per * item, PAGE_BYTES);
	u64 to = ALIGN_UP(((range->first.v + range->count - 1) / per + 1) * item, PAGE_BYTES);

	ASAN_UNPOISON_MEMORY_REGION(table + from, to - from);
}

static void ram_make(const struct frame_range *ranges, u32 range_count)
{
	pfn_t end = PFN(fake.frame_count);
	size_t arena_bytes = fake.frame_count * PAGE_BYTES;

	fake.arena = aligned_alloc(REGION_BYTES, ALIGN_UP(arena_bytes, REGION_BYTES));
	ASAN_POISON_MEMORY_REGION(fake.arena, arena_bytes);
	fake.serials = calloc(fake.frame_count, sizeof(u64));
	fake.table_bytes = frame_table_bytes(end);
	fake.regions_bytes = frame_region_table_bytes(end);
	fake.table = zeroed_pages(&fake.table_bytes);
	fake.regions = zeroed_pages(&fake.regions_bytes);
	ASAN_POISON_MEMORY_REGION(fake.table, fake.table_bytes);
	ASAN_POISON_MEMORY_REGION(fake.regions, fake.regions_bytes);
	for (u32 i = 0; i < range_count; i++) {
		unsigned char *at = fake.arena + ranges[i].first.v * PAGE_BYTES;

		table_back((char *)fake.table, sizeof(struct frame), 1, &ranges[i]);
		table_back(fake.regions, frame_region_table_bytes(PFN(1)), REGION_PAGE_COUNT,
			&ranges[i]);
		ASAN_UNPOISON_MEMORY_REGION(at, ranges[i].count * PAGE_BYTES);
		memset(at, POISON_BYTE, ranges[i].count * PAGE_BYTES);
		if (ranges[i].kind == FRAME_FREE)
			ASAN_POISON_MEMORY_REGION(at, ranges[i].count * PAGE_BYTES);
	}
}

void fake_start(u32 cpu_count, const struct frame_range *ranges, u32 range_count)
{
	const struct frame_range *last = &ranges[range_count - 1];
	static u32 held; /* what a panic in a test before left held is forgotten */

	held = 0;
	lock_init_cpus(&held, 1);
	memset(&fake, 0, sizeof(fake));
	cpu_here = 0;
	fake.cpu_count = cpu_count;
	fake.frame_count = last->first.v + last->count;
	ram_make(ranges, range_count);
	frame_test_hooks = (struct frame_test_hooks){
		.alloc_fails = alloc_fails, .allocated = frame_allocated, .freed = frame_freed};
	frame_init(fake.table, fake.regions, PFN(fake.frame_count), ranges, range_count);
	if (frame_init_cpus() || tlb_init_cpus() || fault_guard_init_cpus() || share_init() ||
		zcache_init_cpus()) {
		fprintf(stderr, "no room for %u CPUs in %llu frames\n", cpu_count,
			(unsigned long long)fake.frame_count);
		abort();
	}
	memsched_init();
}

void fake_start_plain(u32 cpu_count, u64 frame_count)
{
	const struct frame_range ranges[] = {{PFN(16), 24, FRAME_HV},
		{PFN(40), 8, FRAME_BOOT_FILES}, {PFN(48), frame_count, FRAME_FREE}};

	fake_start(cpu_count, ranges, ARRAY_COUNT(ranges));
}

void fake_stop(void)
{
	ASAN_UNPOISON_MEMORY_REGION(fake.arena, fake.frame_count * PAGE_BYTES);
	ASAN_UNPOISON_MEMORY_REGION(fake.table, fake.table_bytes);
	ASAN_UNPOISON_MEMORY_REGION(fake.regions, fake.regions_bytes);
	free(fake.arena);
	free(fake.table);
	free(fake.regions);
	free(fake.serials);
	memset(&fake, 0, sizeof(fake));
}

void fake_cpu_set(u32 cpu)
{
	cpu_here = cpu;
}

void fake_on_kick(void (*kick)(u32 cpu))
{
	fake.kick = kick;
}

bool fake_panics(void (*act)(void *), void *arg)
{
	jmp_buf back;
	volatile bool panicked = true;

	fake.panic_to = &back;
	if (setjmp(back) == 0) {
		act(arg);
		panicked = false;
	}
	fake.panic_to = NULL;
	return panicked;
}

const char *fake_panic_text(void)
{
	return fake.panic_text;
}

u64 fake_log_count(void)
{
	return fake.log_count;
}

void fake_log_quiet(bool quiet)
{
	fake.log_quiet = quiet;
}
