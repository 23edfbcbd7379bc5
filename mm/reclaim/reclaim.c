/*
 * When to reclaim, and how much at a time.
 *
 * Background work begins where the state "hard" does, and ends in the midst of "soft"; and it does
 * what the memory scheduler has ordered for single spaces, whatever is free. Frames that are owed
 * to VMs below their reservations, and reclaim's own reserve, are not counted as free.
 *
 * One CPU at a time works in the background, with one batch that lasts over slices. A fault that
 * finds no frame uses a small batch of its own, on its stack.
 */
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evict_objects.h"
#include "mm/reclaim/evict_write.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/platform.h"
#include "mm/space/promise.h"
#include "mm/reclaim/reclaim_age.h"
#include "mm/reclaim/reclaim_choice.h"
#include "mm/reclaim/reclaim_shared.h"
#include "mm/space/space_registry.h"
#include "mm/zcache/zcache.h"

#define RESERVE_FRAMES 128u
#define SWEEP_NS       1000000000ull
#define DIRECT_PAGES   8u
#define DIRECT_TRIES   4u

static struct {
	struct spinlock lock;
	bool is_short;            /* [reclaim] between begin and end */
	bool has_batch;           /* [reclaim] */
	struct evict_batch batch; /* [reclaim] */
	u32 ordered;              /* [a] a space may have to lose pages, or to be swept */
	u32 waiting;              /* [a] spaces that reclaim_wake() may have to wake */
} reclaim = {.lock = SPINLOCK(LOCK_RANK_RECLAIM)};

err_t reclaim_init(void)
{
	spin_init(&reclaim.lock, LOCK_RANK_RECLAIM);
	reclaim.is_short = reclaim.has_batch = false;
	reclaim.ordered = reclaim.waiting = 0;
	reclaim_shared_init();
	evict_write_init();
	err_t err = evict_io_init();

	if (!err)
		err = evict_objects_init();
	if (!err)
		promise_reserve(RESERVE_FRAMES);
	return err;
}

bool reclaim_is_plentiful(void)
{
	return promise_spare_pages() >= memsched_levels()->enter[MEM_HARD];
}

u64 reclaim_freed_frames(const struct space *space)
{
	u64 freed = space_counted(space, evicted_zip) + space_counted(space, evicted_fill) +
		    space_counted(space, evicted_zero) + space_counted(space, evicted_shared) +
		    space_counted(space, evicted_swap) + space_counted(space, evicted_clean);
	struct zcache_figures zip = {0};

	if (space->zcache)
		zcache_figures(space->zcache, &zip);
	return freed > zip.frames ? freed - zip.frames : 0;
}

void reclaim_order(struct space *space, u64 bound, u64 entitled, u64 evict_to)
{
	struct space_orders *orders = &space->orders;

	__atomic_store_n(&orders->bound_pages, bound, __ATOMIC_RELAXED);
	__atomic_store_n(&orders->entitled_pages, entitled, __ATOMIC_RELAXED);
	__atomic_store_n(&orders->evict_to_pages, evict_to, __ATOMIC_RELAXED);
	__atomic_store_n(&reclaim.ordered, 1, __ATOMIC_RELAXED);
}

/* --- Waiting --------------------------------------------------------------------------------- */

void reclaim_wait(struct space *space)
{
	__atomic_store_n(&space->waits, true, __ATOMIC_SEQ_CST);
	__atomic_store_n(&reclaim.waiting, 1, __ATOMIC_SEQ_CST);
}

void reclaim_wake(void)
{
	struct space *space;

	if (!__atomic_load_n(&reclaim.waiting, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&reclaim.waiting, 0, __ATOMIC_SEQ_CST);
	for (u32 number = 0; (space = space_hold_next(number)) != NULL;) {
		number = space->number;
		if (__atomic_exchange_n(&space->waits, false, __ATOMIC_SEQ_CST))
			platform_wake(space);
		space_release(space);
	}
}

/* --- In the background ----------------------------------------------------------------------- */

/* Lock held. Go on with the batch under way; whether it is through, or there was none. */
static bool batch_go_on(u64 end_ns)
{
	if (!reclaim.has_batch)
		return true;
	struct space *space = space_hold(reclaim.batch.number, reclaim.batch.serial);

	reclaim.has_batch = !evict_some(&reclaim.batch, space, end_ns);
	if (space)
		space_release(space);
	return !reclaim.has_batch;
}

/* Lock held. Choose a batch of @space, trying harder if there is nothing. False: nothing can go. */
static bool batch_start(struct space *space, u64 pages)
{
	u32 want = (u32)min(pages, (u64)EVICT_BATCH_PAGES);

	for (u32 effort = RECLAIM_COLD; effort <= RECLAIM_ANY; effort++) {
		if (reclaim_choose(space, &reclaim.batch, want, (enum reclaim_effort)effort)) {
			reclaim.has_batch = true;
			return true;
		}
		/* Empty: gives back what it took. */
		if (!evict_some(&reclaim.batch, space, 0))
			return false;
	}
	return false;
}

/* Lock held. Shared pages, as nothing else is left. */
static enum reclaim_swept shared_start(bool for_fault)
{
	struct space *space;
	enum reclaim_swept swept = reclaim_choose_shared(&reclaim.batch, &space);

	if (swept == RECLAIM_SWEPT_SOME) {
		reclaim.has_batch = true;
		if (for_fault)
			space_count(space, taken_for_faults, evict_chosen(&reclaim.batch));
		space_release(space);
	}
	return swept;
}

/* Lock held. A batch of the space that has most to lose. False: there is nothing at all, or nothing
 * before a command completes. */
static bool any_start(void)
{
	struct space *space = reclaim_space();
	bool started = space && batch_start(space, EVICT_BATCH_PAGES);
	enum reclaim_swept swept;

	if (space)
		space_release(space);
	if (started)
		return true;
	swept = shared_start(false);
	return swept == RECLAIM_SWEPT_SOME || swept == RECLAIM_SWEPT_ON;
}

/* Lock held. A batch of a space that is to lose pages by order. False: there is none. */
static bool ordered_start(void)
{
	struct space *space = reclaim_ordered_space();
	bool started = space && batch_start(space, reclaim_ordered_pages(space));

	if (space)
		space_release(space);
	return started;
}

/* Lock held. With hysteresis; what is leaving is as good as free. */
static bool is_short(void)
{
	u64 spare = promise_spare_pages() + evict_write_pages_leaving();
	const struct mem_levels *levels = memsched_levels();

	reclaim.is_short =
		spare < (reclaim.is_short ? levels->urgent_aim : levels->enter[MEM_HARD]);
	return reclaim.is_short;
}

/* Lock held. Does it lose pages now? Then it is to be known which are cold. */
static bool is_losing(struct space *space)
{
	if (__atomic_load_n(&space->wants_sweep, __ATOMIC_RELAXED) || reclaim_ordered_pages(space))
		return true;
	return reclaim.is_short && reclaim_space_pages(space);
}

/* Lock held. A space whose last sweep is long ago, or is not through, held. */
static struct space *space_to_sweep(u64 now)
{
	struct space *space;

	for (u32 number = 0; (space = space_hold_next(number)) != NULL;) {
		number = space->number;
		if ((space->ages.next_page || now - space->ages.swept_ns >= SWEEP_NS) &&
			is_losing(space))
			return space;
		space_release(space);
	}
	return NULL;
}

/* Lock held. Whether there was something to sweep. */
static bool sweep_some(u64 end_ns)
{
	struct space *space = space_to_sweep(platform_now_ns());

	if (!space)
		return false;
	if (reclaim_sweep(space, end_ns))
		__atomic_store_n(&space->wants_sweep, false, __ATOMIC_RELAXED);
	space_release(space);
	return true;
}

/* Lock held. Whether there is more to do. */
static bool work_some(u64 end_ns)
{
	if (!batch_go_on(end_ns))
		return true;
	for (;;) {
		bool is_short_now = is_short();

		if (!__atomic_exchange_n(&reclaim.ordered, 0, __ATOMIC_RELAXED) && !is_short_now)
			return false;
		if (sweep_some(end_ns)) {
			__atomic_store_n(&reclaim.ordered, 1, __ATOMIC_RELAXED);
			if (platform_now_ns() >= end_ns)
				return true;
			continue;
		}
		if (ordered_start())
			__atomic_store_n(&reclaim.ordered, 1, __ATOMIC_RELAXED);
		else if (!is_short_now || !any_start())
			return false;
		if (!batch_go_on(end_ns) || platform_now_ns() >= end_ns)
			return true;
	}
}

bool reclaim_work(u64 most_ns)
{
	u64 end_ns = platform_now_ns() + most_ns;

	if (!spin_trylock(&reclaim.lock))
		return false;
	bool more = work_some(end_ns);

	spin_unlock(&reclaim.lock);
	reclaim_wake();
	return more;
}

bool reclaim_from(struct space *space, u64 pages, u64 most_ns)
{
	u64 end_ns = platform_now_ns() + most_ns;
	bool more = true;

	if (!spin_trylock(&reclaim.lock))
		return true;
	if (batch_go_on(end_ns)) {
		more = batch_start(space, pages);
		batch_go_on(end_ns);
	}
	spin_unlock(&reclaim.lock);
	reclaim_wake();
	return more;
}

void reclaim_everything(struct space *space)
{
	struct evict_batch batch;
	u64 rounds = space->page_count / EVICT_BATCH_PAGES + 1;
	u32 chosen;

	do {
		chosen = reclaim_choose(space, &batch, EVICT_BATCH_PAGES, RECLAIM_ANY);
		evict_some(&batch, space, ~0ull);
	} while (chosen && --rounds);
}

/* --- For a fault ----------------------------------------------------------------------------- */

/* Shared pages, with the background's batch; if another CPU has it, that one does what it can. */
static bool direct_shared(void)
{
	if (!spin_trylock(&reclaim.lock))
		return true;
	bool chosen = !batch_go_on(~0ull) || shared_start(true) != RECLAIM_SWEPT_NOTHING;

	batch_go_on(~0ull);
	spin_unlock(&reclaim.lock);
	return chosen;
}

/* A small batch. Whether anything was chosen. */
static bool direct_batch(void)
{
	struct space *space = reclaim_space();
	struct evict_batch batch;
	u32 chosen = 0;

	if (!space)
		return direct_shared();
	for (u32 effort = RECLAIM_COLD; !chosen && effort <= RECLAIM_ANY; effort++) {
		chosen = reclaim_choose(space, &batch, DIRECT_PAGES, (enum reclaim_effort)effort);
		evict_some(&batch, space, ~0ull);
	}
	space_count(space, taken_for_faults, chosen);
	space_release(space);
	return chosen || direct_shared();
}

/* A small batch of @space's own pages, for those that it gets. Whether anything was chosen. */
static bool own_batch(struct space *space)
{
	struct evict_batch batch;
	u32 chosen = 0;

	if (platform_now_ns() - __atomic_load_n(&space->ages.swept_ns, __ATOMIC_RELAXED) >=
		SWEEP_NS) {
		__atomic_store_n(&space->wants_sweep, true, __ATOMIC_RELAXED);
		__atomic_store_n(&reclaim.ordered, 1, __ATOMIC_RELAXED);
	}
	for (u32 effort = RECLAIM_COLD; !chosen && effort <= RECLAIM_ANY; effort++) {
		chosen = reclaim_choose_to_pay(
			space, &batch, DIRECT_PAGES, (enum reclaim_effort)effort);
		evict_some(&batch, space, ~0ull);
	}
	space_count(space, taken_in_exchange, chosen);
	return chosen;
}

/* It cannot pay: until the next decision it may have some more, where others leave any. */
static void give_credit(struct space *space)
{
	struct space_orders *orders = &space->orders;
	u64 pages = space_held_pages(space) + DIRECT_PAGES;

	if (__atomic_load_n(&orders->bound_pages, __ATOMIC_RELAXED) < pages)
		__atomic_store_n(&orders->bound_pages, pages, __ATOMIC_RELAXED);
	if (__atomic_load_n(&orders->entitled_pages, __ATOMIC_RELAXED) < pages)
		__atomic_store_n(&orders->entitled_pages, pages, __ATOMIC_RELAXED);
}

enum fault_result reclaim_for_fault(struct space *space, u32 tries)
{
	u64 before = frame_free_count();

	/* First, so that what comes free from now on wakes it. */
	reclaim_wait(space);
	if (tries == DIRECT_TRIES)
		return FAULT_WAIT;
	if (promise_pays_itself(space, 1, true)) {
		if (!own_batch(space))
			give_credit(space);
		return FAULT_DONE;
	}
	bool chosen = direct_batch();

	if (frame_free_count() > before)
		return FAULT_DONE;
	bool comes = chosen || evict_write_pages_leaving() || evict_objects_leaving();

	return comes ? FAULT_WAIT : FAULT_NOMEM;
}
