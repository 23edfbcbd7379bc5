/*
 * Flushes by generation. Two records decide everything: which domain each CPU is in the guest of
 * right now (written by that CPU), and each domain's generation (raised by whoever narrows).
 *
 * The order that makes it sound. A CPU that enters writes its record, then reads the generation;
 * one that narrows has changed the entry, then raises the generation, then reads the records; each
 * with a full barrier between its two steps. So one of them sees the other: either the entering CPU
 * reads the new generation and flushes before it is in the guest, or the narrowing CPU finds it
 * recorded, kicks it, and waits until it has left or has flushed for this generation. From
 * tlb_enter() until it is in the guest interrupts are off, so a kick that comes in between is
 * pending then and throws it out at once. A CPU in root mode uses no guest translation, and leaves
 * the guest without taking a lock, so waiting with locks held cannot deadlock.
 *
 * "Seen" is written before the flush itself is executed, by the same CPU in root mode just before
 * it enters: until then that CPU makes no guest access either.
 */
#include "mm/space/tlb.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/share/share_index.h"
#include "mm/base/check.h"

struct tlb_cpu {
	struct tlb_domain
		*running; /* [a] in this domain's guest, or about to be; written by its CPU */
} __attribute__((aligned(CACHE_LINE_BYTES)));

static struct tlb_cpu *cpus; /* [I] */

static u64 frames_for(size_t bytes)
{
	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

err_t tlb_init_cpus(void)
{
	pfn_t run = frame_alloc_run(FRAME_HV, frames_for(platform_cpu_count() * sizeof(*cpus)));

	if (pfn_is_none(run))
		return E_NOMEM;
	cpus = platform_frame_va(run);
	return E_OK;
}

u64 tlb_domain_frames(void)
{
	return frames_for(platform_cpu_count() * sizeof(u64));
}

err_t tlb_domain_init(struct tlb_domain *domain)
{
	pfn_t run = frame_alloc_run(FRAME_HV, tlb_domain_frames());

	if (pfn_is_none(run))
		return E_NOMEM;
	domain->seen = platform_frame_va(run);
	domain->generation = 1;
	return E_OK;
}

void tlb_domain_destroy(struct tlb_domain *domain)
{
	for (u32 cpu = 0; cpu < platform_cpu_count(); cpu++)
		CHECK(__atomic_load_n(&cpus[cpu].running, __ATOMIC_RELAXED) != domain);
	frame_free_run(platform_va_frame(domain->seen), tlb_domain_frames());
	domain->seen = NULL;
}

bool tlb_enter(struct tlb_domain *domain)
{
	u32 cpu = platform_cpu_id();

	/* Sequentially consistent: the store is visible before the generation is read. */
	__atomic_store_n(&cpus[cpu].running, domain, __ATOMIC_SEQ_CST);
	u64 generation = __atomic_load_n(&domain->generation, __ATOMIC_SEQ_CST);

	if (__atomic_load_n(&domain->seen[cpu], __ATOMIC_RELAXED) == generation)
		return false;
	__atomic_store_n(&domain->seen[cpu], generation, __ATOMIC_RELEASE);
	return true;
}

void tlb_leave(struct tlb_domain *domain)
{
	u32 cpu = platform_cpu_id();

	CHECK(__atomic_load_n(&cpus[cpu].running, __ATOMIC_RELAXED) == domain);
	__atomic_store_n(&cpus[cpu].running, (struct tlb_domain *)NULL, __ATOMIC_RELEASE);
}

void tlb_invalidate_all(struct tlb_domain *domain)
{
	__atomic_fetch_add(&domain->generation, 1, __ATOMIC_SEQ_CST);
}

/* May @cpu be using translations older than @generation? */
static bool is_behind(const struct tlb_domain *domain, u32 cpu, u64 generation)
{
	return __atomic_load_n(&cpus[cpu].running, __ATOMIC_SEQ_CST) == domain &&
	       __atomic_load_n(&domain->seen[cpu], __ATOMIC_ACQUIRE) < generation;
}

void tlb_flush(struct tlb_domain *domain)
{
	u64 generation = __atomic_add_fetch(&domain->generation, 1, __ATOMIC_SEQ_CST);
	u32 here = platform_cpu_id(), count = platform_cpu_count();

	CHECK(__atomic_load_n(&cpus[here].running, __ATOMIC_RELAXED) == NULL);
	for (u32 cpu = 0; cpu < count; cpu++) {
		if (is_behind(domain, cpu, generation))
			platform_kick(cpu);
	}
	for (u32 cpu = 0; cpu < count; cpu++) {
		while (is_behind(domain, cpu, generation))
			__builtin_ia32_pause();
	}
}

void tlb_gather_start(struct tlb_gather *gather, struct tlb_domain *domain)
{
	gather->domain = domain;
	gather->narrowed = false;
	gather->count = gather->run_count = 0;
}

void tlb_gather_note(struct tlb_gather *gather)
{
	gather->narrowed = true;
}

void tlb_gather_put(struct tlb_gather *gather, pfn_t pfn)
{
	gather->narrowed = true;
	gather->frames[gather->count++] = pfn;
	if (gather->count == TLB_GATHER_FRAMES)
		tlb_gather_finish(gather);
}

void tlb_gather_put_large(struct tlb_gather *gather, pfn_t first)
{
	gather->narrowed = true;
	gather->runs[gather->run_count++] = first;
	if (gather->run_count == TLB_GATHER_RUNS)
		tlb_gather_finish(gather);
}

void tlb_gather_finish(struct tlb_gather *gather)
{
	if (gather->narrowed)
		tlb_flush(gather->domain);
	gather->narrowed = false;
	u32 others = gather->count ? frame_put_private(gather->frames, gather->count) : 0;

	for (u32 i = 0; i < others; i++) {
		/* As long as a reference is here, a shared frame stays one. */
		if (frame_kind(gather->frames[i]) == FRAME_SHARED)
			share_index_put(gather->frames[i]);
		else
			frame_put(gather->frames[i]);
	}
	for (u32 i = 0; i < gather->run_count; i++)
		frame_put_large(gather->runs[i]);
	gather->count = gather->run_count = 0;
}
