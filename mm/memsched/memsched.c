/*
 * The host-wide record of sums that admission decides from, and what else must be asked without a
 * snapshot of all VMs.
 */
#include "mm/memsched/memsched.h"
#include "mm/draw.h"
#include "mm/frame/frame.h"
#include "mm/space/promise.h"
#include "mm/base/check.h"
#include "mm/base/fmt.h"

#define LARGE_OK_PCT 400 /* of minFree */

static struct {
	u64 total_frames;         /* [I] */
	u64 fixed_frames;         /* [v] as when no VM was on last */
	struct mem_levels levels; /* [v] */
	u64 promised_frames;      /* [v] the lock that hv/vm/vm_promise.c has for it */
	u64 overhead_frames;      /* [v] */
	u64 guest_page_count;     /* [a] RAM of all spaces */
	u32 state;                /* [a] enum mem_state */
} sched;

static u64 frames_of(u64 bytes)
{
	return bytes >> PAGE_SHIFT;
}

static unsigned long long mib_up(u64 frames)
{
	return (frames + frames_of(MIB(1)) - 1) / frames_of(MIB(1));
}

static unsigned long long mib_down(u64 frames)
{
	return frames / frames_of(MIB(1));
}

static u64 unpromised(const struct memsched_snapshot *now)
{
	u64 taken =
		now->fixed_frames + now->kept_frames + now->promised_frames + now->overhead_frames;

	return taken < now->total_frames ? now->total_frames - taken : 0;
}

err_t memsched_admit(const struct memsched_snapshot *now, const struct memsched_request *vm,
	char *why, size_t why_bytes)
{
	u64 left = unpromised(now);

	/* Written so that no sum of configured sizes can wrap around. */
	if (vm->overhead_frames <= left && vm->promised_frames <= left - vm->overhead_frames)
		return E_OK;
	fmt_snprintf(why, why_bytes,
		"it needs %llu MiB (%llu promised of its %llu, %llu overhead), and %llu MiB of the host's "
		"%llu are unpromised",
		mib_up(vm->promised_frames) + mib_up(vm->overhead_frames),
		mib_up(vm->promised_frames), mib_up(vm->memory_frames), mib_up(vm->overhead_frames),
		mib_down(left), mib_down(now->total_frames));
	return E_LIMIT;
}

/* What the hypervisor costs without VMs: seen as long as none is on. */
static u64 fixed_now(void)
{
	return frame_kind_count(FRAME_HV) + frame_kind_count(FRAME_BOOT_FILES) +
	       frame_kind_count(FRAME_ZERO);
}

void memsched_init(void)
{
	sched.total_frames = frame_total_count();
	sched.fixed_frames = fixed_now();
	memsched_set_levels(0, false);
	sched.promised_frames = 0;
	sched.overhead_frames = 0;
	sched.guest_page_count = 0;
	sched.state = MEM_HIGH;
	promise_init();
	draw_init();
}

void memsched_set_levels(u32 min_free_pct, bool fixed)
{
	mem_levels_set(&sched.levels, sched.total_frames, min_free_pct, fixed);
}

const struct mem_levels *memsched_levels(void)
{
	return &sched.levels;
}

enum mem_state memsched_state(void)
{
	return (enum mem_state)__atomic_load_n(&sched.state, __ATOMIC_RELAXED);
}

enum mem_state memsched_state_move(u64 free_frames)
{
	enum mem_state state = mem_state_next(&sched.levels, free_frames, memsched_state());

	__atomic_store_n(&sched.state, (u32)state, __ATOMIC_RELAXED);
	return state;
}

static bool is_empty(void)
{
	return sched.promised_frames == 0 && sched.overhead_frames == 0;
}

void memsched_snapshot_get(struct memsched_snapshot *out)
{
	if (is_empty())
		sched.fixed_frames = fixed_now();
	out->total_frames = sched.total_frames;
	out->fixed_frames = sched.fixed_frames;
	out->promised_frames = sched.promised_frames;
	out->overhead_frames = sched.overhead_frames;
	out->free_frames = frame_free_count();
	out->kept_frames = sched.levels.enter[MEM_LOW];
	out->min_free_frames = sched.levels.min_free;
	out->state = memsched_state();
}

err_t memsched_power_on(const struct memsched_request *vm, char *why, size_t why_bytes)
{
	struct memsched_snapshot now;

	memsched_snapshot_get(&now);
	/* With no VM on, what this one has already was taken for the hypervisor's own. */
	if (is_empty())
		sched.fixed_frames -= min(sched.fixed_frames, vm->held_frames);
	now.fixed_frames = sched.fixed_frames;
	err_t err = memsched_admit(&now, vm, why, why_bytes);

	if (err)
		return is_empty() ? E_NOMEM : err;
	sched.promised_frames += vm->promised_frames;
	sched.overhead_frames += vm->overhead_frames;
	return E_OK;
}

void memsched_power_off(const struct memsched_request *vm)
{
	CHECK(sched.promised_frames >= vm->promised_frames);
	CHECK(sched.overhead_frames >= vm->overhead_frames);
	sched.promised_frames -= vm->promised_frames;
	sched.overhead_frames -= vm->overhead_frames;
}

void memsched_promise_set(struct memsched_request *vm, u64 frames)
{
	CHECK(sched.promised_frames >= vm->promised_frames);
	sched.promised_frames = sched.promised_frames - vm->promised_frames + frames;
	vm->promised_frames = frames;
}

u64 memsched_unpromised_frames(void)
{
	struct memsched_snapshot now;

	memsched_snapshot_get(&now);
	return unpromised(&now);
}

bool memsched_large_pages_ok(void)
{
	u64 backed = frame_kind_count(FRAME_PRIVATE);
	u64 free_frames = frame_free_count();
	u64 guest_pages = __atomic_load_n(&sched.guest_page_count, __ATOMIC_RELAXED);
	u64 touchable = guest_pages > backed ? guest_pages - backed : 0;

	return free_frames > touchable && free_frames > sched.levels.min_free * LARGE_OK_PCT / 100;
}

void memsched_guest_pages_add(u64 pages)
{
	__atomic_fetch_add(&sched.guest_page_count, pages, __ATOMIC_RELAXED);
}

void memsched_guest_pages_sub(u64 pages)
{
	__atomic_fetch_sub(&sched.guest_page_count, pages, __ATOMIC_RELAXED);
}
