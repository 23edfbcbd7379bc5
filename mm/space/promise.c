/*
 * One sum over all spaces, kept in steps of 64 pages so that a fault seldom writes it. Each space
 * remembers what it has put into the sum, and exchanges it: whatever the order of CPUs, the sum is
 * that of the remembered parts. A part lags behind while several CPUs do something to one space in
 * the same moment, and no longer.
 */
#include "mm/space/promise.h"
#include "mm/memsched/memsched_target.h"
#include "mm/frame/frame.h"
#include "mm/space/space_registry.h"

#define STEP_PAGES 64u

static u64 owed_pages;     /* [a] by all spaces together */
static u64 reserved_pages; /* [I] for reclaim */

void promise_init(void)
{
	__atomic_store_n(&owed_pages, 0, __ATOMIC_RELAXED);
	reserved_pages = 0;
}

void promise_reserve(u64 pages)
{
	reserved_pages = pages;
}

static u64 kept_pages(void)
{
	return __atomic_load_n(&owed_pages, __ATOMIC_RELAXED) + reserved_pages;
}

u64 promise_spare_pages(void)
{
	u64 kept = kept_pages(), free_frames = frame_free_count();

	return free_frames > kept ? free_frames - kept : 0;
}

/* Returns whether it was another. */
static bool part_set(struct space *space, u64 part)
{
	if (__atomic_load_n(&space->owed_pages, __ATOMIC_RELAXED) == part)
		return false;
	u64 before = __atomic_exchange_n(&space->owed_pages, part, __ATOMIC_RELAXED);

	__atomic_fetch_add(&owed_pages, part - before, __ATOMIC_RELAXED);
	return true;
}

u64 promise_pages(const struct space *space)
{
	return __atomic_load_n(&space->promised_pages, __ATOMIC_RELAXED);
}

static u64 part_now(const struct space *space)
{
	u64 consumed = space_consumed_at_least(space), promised = promise_pages(space);

	return consumed < promised ? ALIGN_UP(promised - consumed, (u64)STEP_PAGES) : 0;
}

void promise_update(struct space *space)
{
	/* Once more if it has changed: whoever changed it meanwhile may have been overtaken. */
	while (part_set(space, part_now(space)))
		;
}

void promise_forget(struct space *space)
{
	(void)part_set(space, 0);
}

static bool may_take(const struct space *space, u64 pages)
{
	u64 promised = promise_pages(space);

	/* Each fault asks: what CPUs have apart is added up only where it may come to that. */
	return space_consumed_at_most(space) + pages <= promised ||
	       frame_free_at_least() >= kept_pages() + pages ||
	       space_consumed_pages(space) + pages <= promised || promise_spare_pages() >= pages;
}

bool promise_pays_itself(const struct space *space, u64 pages, bool returns)
{
	u64 bound = __atomic_load_n(&space->orders.bound_pages, __ATOMIC_RELAXED);
	u64 entitled = __atomic_load_n(&space->orders.entitled_pages, __ATOMIC_RELAXED);
	enum mem_state state = memsched_state();
	u64 most = space_consumed_at_most(space) + pages;

	if (most <= promise_pages(space) || !mem_pays_itself(most, bound, entitled, state, returns))
		return false;
	return space_consumed_pages(space) + pages > promise_pages(space) &&
	       mem_pays_itself(space_held_pages(space) + pages, bound, entitled, state, returns);
}

bool promise_allows(const struct space *space, u64 pages, bool returns)
{
	return !promise_pays_itself(space, pages, returns) && may_take(space, pages);
}

pfn_t promise_frame(struct space *space, gfn_t gfn, bool returns)
{
	pfn_t frame = promise_allows(space, 1, returns) ? frame_alloc(FRAME_PRIVATE) : PFN_NONE;

	if (pfn_is_none(frame))
		space_count(space, faults_nomem, 1);
	else
		frame_set_owner(frame, space_owner_word(space, gfn));
	return frame;
}

u64 promise_most(const struct space *space, const struct memsched_request *vm)
{
	u64 owed_to_others = __atomic_load_n(&owed_pages, __ATOMIC_RELAXED) -
			     __atomic_load_n(&space->owed_pages, __ATOMIC_RELAXED);
	u64 free_frames = frame_free_count();
	u64 has_or_finds = space_consumed_pages(space) +
			   (free_frames > owed_to_others ? free_frames - owed_to_others : 0);
	u64 most = min(vm->promised_frames + memsched_unpromised_frames(), has_or_finds);

	return max(most, vm->promised_frames);
}

u64 promise_move(struct space *space, struct memsched_request *vm, u64 pages)
{
	u64 promised = min(pages, promise_most(space, vm));

	memsched_promise_set(vm, promised);
	__atomic_store_n(&space->promised_pages, promised, __ATOMIC_RELAXED);
	promise_update(space);
	return promised;
}
