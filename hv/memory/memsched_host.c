/*
 * Numbers in, orders out: see memsched_host.h. A VM's numbers are gathered in memsched_look(), and
 * what was decided is handed on in apply(); between stands mem_decide(), which is pure.
 *
 * Reclaim counts pages of a VM's own, the decision frames that it costs: its compression cache is
 * added before and taken off after. Shared pages are left out of both, for they are nobody's.
 */
#include "hv/memory/memsched_host.h"
#include "hv/memory/memsched_log.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/balloon/balloon.h"
#include "mm/reclaim/fetch.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/memsched/memsched_target.h"
#include "mm/space/promise.h"
#include "mm/reclaim/reclaim.h"
#include "mm/memsched/sample.h"
#include "mm/swap/swap.h"
#include "mm/zcache/zcache.h"
#include "mm/base/log.h"

#define LOOK_NS   10000000ull
#define SECOND_NS 1000000000ull

typedef unsigned long long ull;

static struct {
	struct memsched_figures figures;
	enum mem_state said; /* the state that the log tells of */
	struct mem_vm *vms;  /* scratch, for all VMs */
	u64 look_due_ns, second_due_ns, decide_due_ns;
	bool decide_soon;
} sched;

err_t memsched_host_init(u32 vm_count)
{
	sched.vms = kmem_alloc(max(vm_count, 1u) * sizeof(*sched.vms));
	return sched.vms ? E_OK : E_NOMEM;
}

const struct memsched_figures *memsched_figures(void)
{
	return &sched.figures;
}

void memsched_decide_soon(void)
{
	sched.decide_soon = true;
}

static u64 pages_of(u64 bytes)
{
	return bytes >> PAGE_SHIFT;
}

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

/* Also where it has just asked for its end, which any CPU can find at any moment: who runs stays
 * the same for a turn, and its memory is its own until then. */
static bool runs(const struct vm *vm)
{
	return vm->state == VM_RUNNING;
}

static u64 cache_frames(const struct vm *vm)
{
	struct zcache_figures zip = {0};

	if (vm->space->zcache)
		zcache_figures(vm->space->zcache, &zip);
	return zip.frames;
}

/* --- What is decided from -------------------------------------------------------------------- */

static bool balloon_works(enum balloon_status status)
{
	return status != BALLOON_NO_DRIVER && status != BALLOON_NOT_RESPONDING &&
	       status != BALLOON_DISABLED;
}

static void fill_balloon(struct vm *vm, struct mem_vm *out)
{
	enum balloon_limit which;
	u64 since_ns;

	spin_lock(&vm->lock);
	enum balloon_status status = balloon_status_of(vm, &since_ns);

	out->ballooned = balloon_pages(vm->space);
	out->balloon_max = vm->balloon.driver ? balloon_maximum_of(vm, &which) : 0;
	spin_unlock(&vm->lock);
	out->balloon_works = balloon_works(status);
	out->balloon_slow = status == BALLOON_TOO_SLOW || status == BALLOON_BACKING_OFF;
}

void memsched_look(struct vm *vm, struct mem_vm *out)
{
	const struct space *space = vm->space;

	*out = (struct mem_vm){
		.claims =
			{
				.memory = space->page_count,
				.reservation = promise_pages(space),
				.limit = pages_of(vm->config->limit_bytes),
				.shares = vm->config->shares,
			},
		.granted = vm->memory.granted_pages,
		.cache_frames = cache_frames(vm),
		.zipped = space_pages_in_state(space, PAGE_ZIPPED) +
			  space_pages_in_state(space, PAGE_ZIPPED_WRITING),
		.swapped = space_pages_in_state(space, PAGE_SWAPPED) + space_leaving_pages(space),
		.blocked = vm->memory.blocked,
	};
	out->consumed = space_held_pages(space) + out->cache_frames;
	fill_balloon(vm, out);
	out->active = mem_active_pages(&vm->memory.active, space->page_count - out->ballooned);
}

/*
 * Free memory, as it matters: where nobody can have more than he is promised, all that is free;
 * else what is owed to nobody, for the others may not take the rest.
 */
static u64 free_now(void)
{
	const struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (runs(vm) &&
			promise_pages(vm->space) + balloon_pages(vm->space) < vm->space->page_count)
			return promise_spare_pages();
	}
	return frame_free_count();
}

/* --- Orders ---------------------------------------------------------------------------------- */

static enum memory_cause cause_of_bound(const struct mem_vm *d)
{
	return d->granted < d->claims.limit ? MEMORY_GRANT : MEMORY_LIMIT;
}

static bool has_place_to_go(const struct vm *vm)
{
	return vm->swap && swap_volume_state(vm->swap->volume) == SWAP_READY;
}

/* A VM that can never get below is not made to wait for that. */
static void block(struct vm *vm, bool blocks, u64 now)
{
	struct vm_memory *m = &vm->memory;

	if (blocks == m->blocked)
		return;
	__atomic_store_n(&m->blocked, blocks, __ATOMIC_SEQ_CST);
	if (blocks) {
		m->blocked_from_ns = now;
		m->blocks++;
	} else {
		m->blocked_ns += now - m->blocked_from_ns;
		sched_wake(vm);
	}
}

static enum memory_cause cause_of_balloon(const struct mem_vm *d, u64 pages)
{
	if (pages <= less(d->claims.memory, d->granted))
		return MEMORY_GRANT;
	return pages <= less(mem_demand(d), mem_bound(d)) ? MEMORY_LIMIT : MEMORY_ENTITLEMENT;
}

/*
 * What is decided takes what the administrator asks for as given: the scheduler's own wish begins
 * when it is for more, and lasts until it is for nothing.
 */
static void order_balloon(struct vm *vm, const struct mem_vm *d, u64 now)
{
	struct vm_memory *m = &vm->memory;

	if (m->balloon_pages || d->balloon_target > max(d->ballooned, vm->balloon.asked_pages))
		m->balloon_pages = d->balloon_target;
	u64 wanted = max(m->balloon_pages, vm->balloon.asked_pages);
	bool up = m->balloon_pages > d->ballooned, down = wanted < d->ballooned;

	memsched_log_note(m, vm->space, now, MEMORY_BALLOON_UP,
		up ? cause_of_balloon(d, m->balloon_pages) : MEMORY_NOTHING,
		less(m->balloon_pages, d->ballooned));
	memsched_log_note(m, vm->space, now, MEMORY_BALLOON_DOWN,
		down ? MEMORY_PLENTY : MEMORY_NOTHING, less(d->ballooned, wanted));
}

static void log_orders(struct vm *vm, const struct mem_vm *d, u64 now)
{
	struct vm_memory *m = &vm->memory;
	u64 evict = less(d->consumed, d->evict_to);
	enum memory_cause why = MEMORY_NOTHING;

	if (evict)
		why = d->consumed > mem_bound(d) ? cause_of_bound(d) : MEMORY_ENTITLEMENT;
	memsched_log_note(m, vm->space, now, MEMORY_EVICT, why, evict);
	memsched_log_note(m, vm->space, now, MEMORY_FETCH,
		d->fetch ? MEMORY_PLENTY : MEMORY_NOTHING, d->fetch);
	memsched_log_note(m, vm->space, now, MEMORY_BLOCK,
		m->blocked ? MEMORY_ENTITLEMENT : MEMORY_NOTHING, less(d->consumed, d->entitled));
}

/* In pages of its own; what it is promised is not the decision's to take. */
static u64 own_pages(const struct mem_vm *d, u64 frames)
{
	return max(less(frames, d->cache_frames), d->claims.reservation);
}

static void apply(struct vm *vm, const struct mem_vm *d, u64 now)
{
	struct vm_memory *m = &vm->memory;

	m->now = *d;
	m->decided_ns = now;
	m->tax_pages = less(d->consumed, d->active);
	reclaim_order(vm->space, own_pages(d, mem_bound(d)), own_pages(d, d->entitled),
		own_pages(d, d->evict_to));
	fetch_order(vm->space, d->fetch);
	order_balloon(vm, d, now);
	block(vm, d->blocked && has_place_to_go(vm), now);
	log_orders(vm, d, now);
}

/* --- Decisions ------------------------------------------------------------------------------- */

static void count_in(const struct mem_vm *d)
{
	struct memsched_figures *f = &sched.figures;

	f->memory_pages += d->claims.memory;
	f->demand_pages += mem_demand(d);
	f->machine_pages += max(d->consumed, d->claims.reservation);
}

static void decide(u64 now)
{
	struct memsched_figures *f = &sched.figures;
	struct mem_host host = {
		.free_frames = f->free_frames,
		.levels = *memsched_levels(),
		.state = f->state,
		.idle_tax_pct = sched_config()->host.idle_tax_pct,
	};
	struct vm *vm;
	u32 count = 0;

	f->levels = host.levels;
	f->memory_pages = f->demand_pages = 0;
	f->machine_pages = f->free_frames;
	list_for_each_entry (vm, sched_vms(), all) {
		if (!runs(vm))
			continue;
		memsched_look(vm, &sched.vms[count]);
		count_in(&sched.vms[count++]);
	}
	mem_decide(&host, sched.vms, count);
	count = 0;
	list_for_each_entry (vm, sched_vms(), all) {
		if (runs(vm))
			apply(vm, &sched.vms[count++], now);
	}
	f->decisions++;
	sched.decide_soon = false;
	sched.decide_due_ns =
		now + (f->state >= MEM_SOFT ? SECOND_NS
					    : sched_config()->host.balance_period_s * SECOND_NS);
}

/* Those that got below what they are entitled to since the last decision go on. */
static void unblock(u64 now)
{
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (runs(vm) && vm->memory.blocked &&
			space_held_pages(vm->space) + cache_frames(vm) <= vm->memory.now.entitled)
			block(vm, false, now);
	}
}

static void look_at_state(u64 now)
{
	struct memsched_figures *f = &sched.figures;
	enum mem_state before = f->state;

	f->free_frames = free_now();
	f->state = memsched_state_move(f->free_frames);
	if (f->state == before)
		return;
	f->state_since_ns = now;
	f->entered[f->state]++;
	sched.decide_soon = true;
}

/* --- Once a second --------------------------------------------------------------------------- */

static void sample(struct vm *vm, u64 now)
{
	struct vm_memory *m = &vm->memory;
	u32 sampled, accessed;

	sample_look(vm->space, &sampled, &accessed);
	mem_active_see(&m->active, sampled, accessed);
	if (now < vm->space->sample.began_ns + sched_config()->host.sample_period_s * SECOND_NS)
		return;
	mem_active_close(&m->active);
	sample_begin(vm->space);
}

static void grant(struct vm *vm)
{
	const struct vm_balloon *b = &vm->balloon;
	struct mem_vm now;

	if (vm->memory.granted_pages >= vm->space->page_count)
		return;
	memsched_look(vm, &now);
	u64 granted = mem_grant_next(
		&now, sched.figures.state, b->stats_known ? b->stats.available_pages : ~0ull);

	if (granted == vm->memory.granted_pages)
		return;
	vm->memory.granted_pages = granted;
	sched.decide_soon = true;
}

/* What lasts is said, and what came and went between is not. */
static void say_state(void)
{
	const struct memsched_figures *f = &sched.figures;

	if (f->state == sched.said)
		return;
	log_info("memory: %s, was %s; %llu MiB free, minFree is %llu", mem_state_name(f->state),
		mem_state_name(sched.said), (ull)(f->free_frames >> 8),
		(ull)(memsched_levels()->min_free >> 8));
	sched.said = f->state;
}

static void each_second(u64 now)
{
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (!runs(vm))
			continue;
		sample(vm, now);
		grant(vm);
		memsched_log_note_faults(&vm->memory, vm->space, now);
	}
	say_state();
}

void memsched_turn(u64 now)
{
	if (now < sched.look_due_ns && !sched.decide_soon)
		return;
	sched.look_due_ns = now + LOOK_NS;
	look_at_state(now);
	if (now >= sched.second_due_ns) {
		sched.second_due_ns = now + SECOND_NS;
		each_second(now);
	}
	if (sched.decide_soon || now >= sched.decide_due_ns)
		decide(now);
	else
		unblock(now);
}

void memsched_vm_began(struct vm *vm)
{
	struct vm_memory *m = &vm->memory;
	u64 pages = vm->space->page_count;

	*m = (struct vm_memory){.granted_pages = pages_of(vm->config->startup_bytes)};
	m->balloon_pages = pages - m->granted_pages;
	memsched_log_begin(m, vm->space, time_now_ns());
	mem_active_start(&m->active);
	sample_begin(vm->space);
	reclaim_order(vm->space, max(vm_allowed_pages(vm), promise_pages(vm->space)), ~0ull, ~0ull);
	memsched_decide_soon();
}
