/*
 * Per-CPU caches of free frames and per-CPU accounts.
 *
 * A cache holds up to 128 frames and trades with the pool in batches of 64, so the pool's lock is
 * taken once in 64 calls. Each cache has a lock of its own, which nobody else wants until the pool
 * is empty: then a CPU takes single frames from others' caches, so that no frame is out of reach.
 * The account is one column of counters for each CPU, written by that CPU alone; a counter may be
 * negative, only the sum over CPUs means something.
 */
#include "mm/frame/frame_cache.h"
#include "mm/frame/frame_pool.h"
#include "mm/platform.h"
#include "mm/base/check.h"
#include "mm/base/lock.h"
#include "mm/base/str.h"

#define CACHE_BATCH  64u
#define CACHE_FRAMES (2 * CACHE_BATCH)

struct frame_cpu {
	struct spinlock lock;
	u32 count;                     /* [cache] */
	pfn_t frames[CACHE_FRAMES];    /* [cache] */
	s64 account[FRAME_KIND_COUNT]; /* [a] written by its CPU only */
} __attribute__((aligned(CACHE_LINE_BYTES)));

static struct frame_cpu boot_cpu;
static struct frame_cpu *cpus = &boot_cpu; /* [I] after frame_init_cpus() */
static u32 cpu_count = 1;                  /* [I] */

void frame_cache_init(void)
{
	memset(&boot_cpu, 0, sizeof(boot_cpu));
	spin_init(&boot_cpu.lock, LOCK_RANK_FRAME_CACHE);
	cpus = &boot_cpu;
	cpu_count = 1;
}

err_t frame_init_cpus(void)
{
	u32 count = platform_cpu_count();
	size_t cpu_bytes = count * sizeof(struct frame_cpu);
	size_t bytes = cpu_bytes + count * sizeof(u32);
	pfn_t run = frame_alloc_run(FRAME_HV, (bytes + PAGE_BYTES - 1) / PAGE_BYTES);

	if (pfn_is_none(run))
		return E_NOMEM;
	struct frame_cpu *all = platform_frame_va(run);

	for (u32 i = 0; i < count; i++)
		spin_init(&all[i].lock, LOCK_RANK_FRAME_CACHE);
	all[platform_cpu_id()] = boot_cpu;
	cpus = all;
	cpu_count = count;
	lock_init_cpus((u32 *)((char *)all + cpu_bytes), count);
	return E_OK;
}

static struct frame_cpu *cpu_here(void)
{
	u32 cpu = platform_cpu_id();

	CHECK(cpu < cpu_count);
	return &cpus[cpu];
}

/* Any free frame from some CPU's cache: the pool has none. */
static pfn_t cache_steal(void)
{
	pfn_t pfn = PFN_NONE;

	for (u32 i = 0; i < cpu_count && pfn_is_none(pfn); i++) {
		spin_lock(&cpus[i].lock);
		if (cpus[i].count)
			pfn = cpus[i].frames[--cpus[i].count];
		spin_unlock(&cpus[i].lock);
	}
	return pfn;
}

pfn_t frame_cache_pop(void)
{
	struct frame_cpu *cpu = cpu_here();
	pfn_t pfn = PFN_NONE;

	spin_lock(&cpu->lock);
	if (cpu->count == 0)
		cpu->count = frame_pool_take(cpu->frames, CACHE_BATCH);
	if (cpu->count)
		pfn = cpu->frames[--cpu->count];
	spin_unlock(&cpu->lock);
	return pfn_is_none(pfn) ? cache_steal() : pfn;
}

void frame_cache_push(const pfn_t *frames, u32 count)
{
	struct frame_cpu *cpu = cpu_here();

	spin_lock(&cpu->lock);
	for (u32 i = 0; i < count; i++) {
		if (cpu->count == CACHE_FRAMES) {
			cpu->count -= CACHE_BATCH;
			frame_pool_give(&cpu->frames[cpu->count], CACHE_BATCH);
		}
		cpu->frames[cpu->count++] = frames[i];
	}
	spin_unlock(&cpu->lock);
}

u64 frame_cache_frames(void)
{
	u64 sum = 0;

	for (u32 i = 0; i < cpu_count; i++)
		sum += cpus[i].count;
	return sum;
}

void frame_account_add(enum frame_kind kind, s64 count)
{
	s64 *counter = &cpu_here()->account[kind];

	/* Only this CPU writes it, so no locked instruction; atomic for those who sum meanwhile. */
	__atomic_store_n(
		counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + count, __ATOMIC_RELAXED);
}

void frame_account_move(enum frame_kind from, enum frame_kind to, u64 count)
{
	frame_account_add(from, -(s64)count);
	frame_account_add(to, (s64)count);
}

u64 frame_account_sum(enum frame_kind kind)
{
	s64 sum = 0;

	for (u32 i = 0; i < cpu_count; i++)
		sum += __atomic_load_n(&cpus[i].account[kind], __ATOMIC_RELAXED);
	return sum < 0 ? 0 : (u64)sum; /* a reader between two halves of a move may see less */
}
