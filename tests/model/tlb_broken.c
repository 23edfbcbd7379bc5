/*
 * mm/space/tlb.c with the mistakes that the stale-translation checker is there for: linked in its
 * place by model_stale_canary.c alone.
 */
#include "tests/model/tlb_broken.h"
#include "mm/space/tlb.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"

enum tlb_mistake tlb_mistake;

err_t tlb_init_cpus(void)
{
	return E_OK;
}

u64 tlb_domain_frames(void)
{
	return 1;
}

err_t tlb_domain_init(struct tlb_domain *domain)
{
	pfn_t run = frame_alloc_run(FRAME_HV, 1);

	if (pfn_is_none(run))
		return E_NOMEM;
	domain->seen = platform_frame_va(run);
	domain->generation = 1;
	return E_OK;
}

void tlb_domain_destroy(struct tlb_domain *domain)
{
	frame_free_run(platform_va_frame(domain->seen), 1);
	domain->seen = NULL;
}

bool tlb_enter(struct tlb_domain *domain)
{
	u64 *seen = &domain->seen[platform_cpu_id()];
	bool behind = *seen != domain->generation;

	*seen = domain->generation;
	return behind;
}

void tlb_leave(struct tlb_domain *domain)
{
	(void)domain;
}

void tlb_invalidate_all(struct tlb_domain *domain)
{
	domain->generation++;
}

/* Who is in the guest now stays there, with all that it has cached. */
void tlb_flush(struct tlb_domain *domain)
{
	if (tlb_mistake == TLB_NO_KICK)
		domain->generation++;
}

void tlb_gather_start(struct tlb_gather *gather, struct tlb_domain *domain)
{
	*gather = (struct tlb_gather){.domain = domain};
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
	while (gather->count)
		frame_put(gather->frames[--gather->count]);
	while (gather->run_count)
		frame_put_large(gather->runs[--gather->run_count]);
	gather->narrowed = false;
}
