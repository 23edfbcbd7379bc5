/*
 * Pending flushes, and the frames that wait for them.
 *
 * Whoever narrows a mapping first changes the entry, then makes sure that no CPU can still use the
 * old translation, and only then reuses the frame. A tlb_domain stands for one set of second-level
 * tables. Each narrowing bumps its generation; a CPU that enters the guest compares the generation
 * with the one it last flushed for, and flushes first if it is behind; a CPU that is in the guest
 * right now is kicked out and waited for. A tlb_gather collects frames over many entries so that
 * one round does for all of them.
 */
#ifndef MM_SPACE_TLB_H
#define MM_SPACE_TLB_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct tlb_domain {
	u64 generation; /* [a] of the newest narrowing; from 1 */
	u64 *seen;      /* [a] by CPU: the generation it last flushed for; 0 = never here */
};

/* Room for every CPU, after frame_init_cpus(). Returns E_NOMEM. */
must_check err_t tlb_init_cpus(void);

/* Returns E_NOMEM. */
must_check err_t tlb_domain_init(struct tlb_domain *domain);
/* Frames that a domain costs. */
u64 tlb_domain_frames(void);
void tlb_domain_destroy(struct tlb_domain *domain);

/*
 * This CPU is about to enter a guest of @domain; interrupts are off until it is in. Returns whether
 * it must flush all translations of this domain on this CPU first (the caller does, right now).
 * Cost: a few instructions.
 */
bool tlb_enter(struct tlb_domain *domain);
/* This CPU has left the guest. */
void tlb_leave(struct tlb_domain *domain);

/*
 * Every CPU's next entry flushes: what the hardware's tags hold is not this domain's (any more).
 * Waits for nobody.
 */
void tlb_invalidate_all(struct tlb_domain *domain);

/*
 * A flush round: when it returns, no CPU can use a translation that was gone before it was called.
 * This CPU is in no guest. May spin until other CPUs have left theirs, which they do without any
 * lock, so locks may be held. Cost: O(CPUs), and a kick for each that is in a guest of @domain.
 */
void tlb_flush(struct tlb_domain *domain);

#define TLB_GATHER_FRAMES 64
#define TLB_GATHER_RUNS   8

/* Frames whose mappings were just removed; they belong to the gather until tlb_gather_finish(). */
struct tlb_gather {
	struct tlb_domain *domain;
	bool narrowed;
	u32 count, run_count;
	pfn_t frames[TLB_GATHER_FRAMES];
	pfn_t runs[TLB_GATHER_RUNS]; /* first frames of 512 each */
};

void tlb_gather_start(struct tlb_gather *gather, struct tlb_domain *domain);
/* An entry was narrowed without freeing its frame. */
void tlb_gather_note(struct tlb_gather *gather);
/*
 * @pfn's reference by the entry that was just cleared passes to the gather. Flushes by itself when
 * full.
 */
void tlb_gather_put(struct tlb_gather *gather, pfn_t pfn);
/* The same for the 512 PRIVATE frames from @first on, which one leaf mapped. */
void tlb_gather_put_large(struct tlb_gather *gather, pfn_t first);
/* tlb_flush() for all, then drop the references. */
void tlb_gather_finish(struct tlb_gather *gather);

#endif
