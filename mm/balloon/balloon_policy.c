/* The balloon's arithmetic: see balloon_policy.h. No sum of a guest's numbers can wrap around. */
#include "mm/balloon/balloon_policy.h"

#define SECOND_NS       1000000000ull
#define INFLATE_PAGES_S 16384u /* 64 MiB/s */
#define DEFLATE_PAGES_S 65536u
#define URGENT_FACTOR   4u
#define KEEPS_UP_PART   4u /* of a second's worth behind a moving target */

static u64 add(u64 a, u64 b)
{
	return a + b < a ? ~0ull : a + b;
}

static u64 sub(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

/* --- The maximum ----------------------------------------------------------------------------- */

u64 balloon_maximum(const struct balloon_bounds *b, enum balloon_limit *which)
{
	u64 room = add(b->size_pages, add(b->guest_free_pages, b->guest_swap_free_pages));
	const u64 limits[BALLOON_LIMIT_COUNT] = {
		[BALLOON_LIMIT_MAXMEMCTL] = b->maxmemctl_pages,
		[BALLOON_LIMIT_CTL_PCT] = b->memory_pages * b->ctl_max_pct / 100,
		[BALLOON_LIMIT_RESERVATION] = sub(b->memory_pages, b->reservation_pages),
		[BALLOON_LIMIT_OS_MINIMUM] =
			sub(b->memory_pages, add(b->os_minimum_pages, b->slack_pages)),
		[BALLOON_LIMIT_GUEST_ROOM] = b->room_known ? room : ~0ull,
	};
	enum balloon_limit least = BALLOON_LIMIT_MAXMEMCTL;

	for (u32 i = 1; i < BALLOON_LIMIT_COUNT; i++) {
		if (limits[i] < limits[least])
			least = (enum balloon_limit)i;
	}
	*which = least;
	return min(limits[least], b->memory_pages);
}

u64 balloon_wanted(u64 asked, u64 floor, u64 maximum)
{
	return min(max(asked, floor), maximum);
}

const char *balloon_limit_name(enum balloon_limit limit)
{
	static const char *const names[BALLOON_LIMIT_COUNT] = {
		[BALLOON_LIMIT_MAXMEMCTL] = "sched.mem.maxmemctl",
		[BALLOON_LIMIT_CTL_PCT] = "Mem.CtlMaxPercent",
		[BALLOON_LIMIT_RESERVATION] = "reservation",
		[BALLOON_LIMIT_OS_MINIMUM] = "OS minimum + Mem.AppBalloonMaxSlack",
		[BALLOON_LIMIT_GUEST_ROOM] = "guest's free memory + free swap",
	};

	return limit < BALLOON_LIMIT_COUNT ? names[limit] : "?";
}

/* --- Pace ------------------------------------------------------------------------------------ */

struct balloon_rates balloon_rates(u64 inflate, u64 deflate, bool urgent)
{
	u64 factor = urgent ? URGENT_FACTOR : 1;

	return (struct balloon_rates){
		.inflate_pages_s = (inflate ? inflate : INFLATE_PAGES_S) * factor,
		.deflate_pages_s = deflate ? deflate : DEFLATE_PAGES_S,
	};
}

/* Pages that may be gone since the last move, at most a second's worth; they are paid for now. */
static u64 earned(struct balloon_pace *pace, u64 now_ns, u64 rate)
{
	u64 passed_ns = min(sub(now_ns, pace->moved_ns), SECOND_NS);
	u64 pages = rate * passed_ns / SECOND_NS;

	if (pages)
		pace->moved_ns = now_ns;
	return pages;
}

bool balloon_pace_move(struct balloon_pace *pace, u64 now_ns, u64 size, u64 wanted,
	const struct balloon_rates *rates)
{
	u64 before = pace->target_pages, target = before;

	if (target < wanted) {
		u64 step = earned(pace, now_ns, rates->inflate_pages_s);
		u64 ceiling = max(target, add(size, rates->inflate_pages_s));

		target = min(min(add(target, step), wanted), ceiling);
	} else if (target > wanted) {
		u64 step = earned(pace, now_ns, rates->deflate_pages_s);
		u64 floor = min(target, sub(size, rates->deflate_pages_s));

		target = max(max(sub(target, step), wanted), floor);
	} else {
		pace->moved_ns = now_ns;
	}
	pace->target_pages = target;
	return target != before;
}

bool balloon_bucket_take(struct balloon_bucket *bucket, u64 now_ns, u64 per_second, u64 most)
{
	u64 passed_ns =
		bucket->filled_ns ? min(sub(now_ns, bucket->filled_ns), SECOND_NS) : SECOND_NS;
	u64 more = bucket->filled_ns ? per_second * passed_ns / SECOND_NS : most;

	if (more) {
		bucket->tokens = min(bucket->tokens + more, most);
		bucket->filled_ns = max(now_ns, 1ull);
	}
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

/* --- Status ---------------------------------------------------------------------------------- */

bool balloon_keeps_up(u64 size, u64 target, u64 wanted, u64 inflate_pages_s)
{
	u64 behind = sub(target, size);

	return behind == 0 || (target < wanted && behind <= inflate_pages_s / KEEPS_UP_PART);
}

enum balloon_status balloon_status(const struct balloon_sight *s, u64 *since_ns)
{
	u64 wanted = balloon_wanted(s->asked_pages, s->floor_pages, s->maximum_pages);

	*since_ns = 0;
	if (!s->driver)
		return BALLOON_NO_DRIVER;
	if (sub(s->now_ns, s->heard_ns) >= BALLOON_SILENT_NS) {
		*since_ns = s->heard_ns;
		return BALLOON_NOT_RESPONDING;
	}
	if (s->disabled)
		return BALLOON_DISABLED;
	if (s->asked_pages > s->maximum_pages && s->size_pages >= s->maximum_pages)
		return BALLOON_AT_MAXIMUM;
	if (s->size_pages < s->target_pages && s->backing_off)
		return BALLOON_BACKING_OFF;
	if (s->size_pages < s->target_pages && sub(s->now_ns, s->kept_up_ns) >= BALLOON_SLOW_NS) {
		*since_ns = s->kept_up_ns;
		return BALLOON_TOO_SLOW;
	}
	if (s->size_pages < wanted)
		return BALLOON_INFLATING;
	if (s->asked_pages < s->floor_pages)
		return BALLOON_HELD;
	return s->size_pages > wanted ? BALLOON_DEFLATING : BALLOON_IDLE;
}

const char *balloon_status_name(enum balloon_status status)
{
	static const char *const names[BALLOON_STATUS_COUNT] = {
		[BALLOON_NO_DRIVER] = "no driver",
		[BALLOON_DISABLED] = "disabled in the guest",
		[BALLOON_NOT_RESPONDING] = "not responding",
		[BALLOON_TOO_SLOW] = "too slow",
		[BALLOON_AT_MAXIMUM] = "at maximum",
		[BALLOON_BACKING_OFF] = "backing off",
		[BALLOON_INFLATING] = "inflating",
		[BALLOON_DEFLATING] = "deflating",
		[BALLOON_HELD] = "held, its memory is promised to others",
		[BALLOON_IDLE] = "ok",
	};

	return status < BALLOON_STATUS_COUNT ? names[status] : "?";
}
