/*
 * The memory scheduler, first part: admission by sum, and the states of free memory.
 *
 * The decisions are pure functions of numbers; a small host-wide record of sums feeds them. minFree
 * is the sliding scale, and the states are percentages of it. Free memory must climb a little above
 * a threshold before its state ends, so that the state does not flutter.
 */
#include "mm/memsched.h"
#include "mm/frame.h"
#include "mm/promise.h"
#include "mm/base/check.h"
#include "mm/base/fmt.h"

#define HYSTERESIS_PCT 4   /* of minFree */
#define LARGE_OK_PCT   400 /* of minFree */

/* A state lasts while free memory is below so many percent of minFree. */
static const u32 state_below_pct[MEM_STATE_COUNT] = {
	[MEM_HIGH] = 0, /* the rest */
	[MEM_CLEAR] = 100,
	[MEM_SOFT] = 64,
	[MEM_HARD] = 32,
	[MEM_LOW] = 16,
};

static struct {
	u64 total_frames;     /* [I] */
	u64 fixed_frames;     /* [v] as when no VM was on last */
	u64 min_free_frames;  /* [I] */
	u64 promised_frames;  /* [v] the lock that hv/vm.c has for it */
	u64 overhead_frames;  /* [v] */
	u64 guest_page_count; /* [a] RAM of all spaces */
	u32 state;            /* [a] enum mem_state, when last asked */
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
	u64 taken = now->fixed_frames + now->promised_frames + now->overhead_frames;

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

u64 memsched_min_free_frames(u64 total_frames)
{
	static const struct {
		u64 up_to_bytes; /* of the host's memory */
		u32 pct;
	} scale[] = {{GIB(4), 6}, {GIB(12), 4}, {GIB(28), 2}, {~0ull, 1}};
	u64 from = 0, hundredths = 0;

	for (u32 i = 0; i < ARRAY_COUNT(scale) && from < total_frames; i++) {
		u64 to = min(total_frames, frames_of(scale[i].up_to_bytes));

		hundredths += (to - from) * scale[i].pct;
		from = to;
	}
	return hundredths / 100;
}

enum mem_state memsched_state(u64 free_frames, u64 min_free_frames, enum mem_state before)
{
	enum mem_state state = MEM_LOW;

	for (; state > MEM_HIGH; state--) {
		/* States as bad as the one before are left only above the margin. */
		u32 margin = state <= before ? HYSTERESIS_PCT : 0;

		if (free_frames < min_free_frames * (state_below_pct[state] + margin) / 100)
			break;
	}
	return state;
}

const char *mem_state_name(enum mem_state state)
{
	static const char *const names[MEM_STATE_COUNT] = {
		[MEM_HIGH] = "high",
		[MEM_CLEAR] = "clear",
		[MEM_SOFT] = "soft",
		[MEM_HARD] = "hard",
		[MEM_LOW] = "low",
	};

	return state < MEM_STATE_COUNT ? names[state] : "?";
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
	sched.min_free_frames = memsched_min_free_frames(sched.total_frames);
	sched.promised_frames = 0;
	sched.overhead_frames = 0;
	sched.guest_page_count = 0;
	sched.state = MEM_HIGH;
	promise_init();
}

void memsched_snapshot_get(struct memsched_snapshot *out)
{
	u64 free_frames = frame_free_count();
	enum mem_state before = (enum mem_state)__atomic_load_n(&sched.state, __ATOMIC_RELAXED);

	if (sched.promised_frames == 0 && sched.overhead_frames == 0)
		sched.fixed_frames = fixed_now();
	out->total_frames = sched.total_frames;
	out->fixed_frames = sched.fixed_frames;
	out->promised_frames = sched.promised_frames;
	out->overhead_frames = sched.overhead_frames;
	out->free_frames = free_frames;
	out->min_free_frames = sched.min_free_frames;
	out->state = memsched_state(free_frames, sched.min_free_frames, before);
	__atomic_store_n(&sched.state, (u32)out->state, __ATOMIC_RELAXED);
}

err_t memsched_power_on(const struct memsched_request *vm, char *why, size_t why_bytes)
{
	struct memsched_snapshot now;

	memsched_snapshot_get(&now);
	err_t err = memsched_admit(&now, vm, why, why_bytes);

	if (err)
		return err;
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

	return free_frames > touchable && free_frames > sched.min_free_frames * LARGE_OK_PCT / 100;
}

void memsched_guest_pages_add(u64 pages)
{
	__atomic_fetch_add(&sched.guest_page_count, pages, __ATOMIC_RELAXED);
}

void memsched_guest_pages_sub(u64 pages)
{
	__atomic_fetch_sub(&sched.guest_page_count, pages, __ATOMIC_RELAXED);
}
