/*
 * How large a VM's balloon should be, how fast it gets there, and how it fares: pure functions of
 * numbers, the guest's among them, which may be anything at all.
 *
 * Three sizes, in pages: what is asked for, the same cut to the balloon's maximum, and the target
 * that the guest is told. The target moves towards the second at a bounded rate, and stays within a
 * second's worth of the balloon's real size, so that a guest that was slow is not made to catch up
 * in one breath. A guest is not forced into a storm of paging by that.
 */
#ifndef MM_BALLOON_BALLOON_POLICY_H
#define MM_BALLOON_BALLOON_POLICY_H

#include "mm/base/types.h"

/* What bounds a balloon. */
enum balloon_limit {
	BALLOON_LIMIT_MAXMEMCTL,   /* sched.mem.maxmemctl */
	BALLOON_LIMIT_CTL_PCT,     /* Mem.CtlMaxPercent */
	BALLOON_LIMIT_RESERVATION, /* memory - reservation */
	BALLOON_LIMIT_OS_MINIMUM,  /* memory - (what the OS cannot do without + slack) */
	BALLOON_LIMIT_GUEST_ROOM,  /* what the guest has free, in memory and swap space */
	BALLOON_LIMIT_COUNT
};

struct balloon_bounds {
	u64 memory_pages;
	u64 maxmemctl_pages;
	u32 ctl_max_pct;
	u64 reservation_pages;
	u64 os_minimum_pages; /* the guest's word */
	u64 slack_pages;
	bool room_known;                             /* the guest has sent statistics */
	u64 size_pages;                              /* of the balloon now */
	u64 guest_free_pages, guest_swap_free_pages; /* the guest's word */
};

/*
 * The most that the balloon may take: the least of the five, and *@which is the one. A guest's
 * numbers can lower it, never raise it above the host's own. A guest's room is counted from what it
 * has given already.
 */
u64 balloon_maximum(const struct balloon_bounds *bounds, enum balloon_limit *which);
/* As in bellows.conf, or in a few words. */
const char *balloon_limit_name(enum balloon_limit limit);

/*
 * What a balloon is to come to. @floor: what it cannot be below now, for the memory is promised to
 * others; beyond the maximum even that is not asked of a guest.
 */
u64 balloon_wanted(u64 asked, u64 floor, u64 maximum);

struct balloon_rates {
	u64 inflate_pages_s, deflate_pages_s;
};
/* @inflate, @deflate: as configured, 0: the default. @urgent: memory is hard or low. */
struct balloon_rates balloon_rates(u64 inflate, u64 deflate, bool urgent);

struct balloon_pace {
	u64 target_pages; /* what the guest is told */
	u64 moved_ns;     /* up to when the way of the target is paid for */
};
/*
 * Move the target towards @wanted. @size: of the balloon now. What is not used within a second is
 * lost. Returns whether the target is another now.
 */
bool balloon_pace_move(struct balloon_pace *pace, u64 now_ns, u64 size, u64 wanted,
	const struct balloon_rates *rates);

/* So many calls at once, and so many a second for ever. */
struct balloon_bucket {
	u64 tokens;
	u64 filled_ns;
};
/* Take one; false if there is none. A zeroed bucket is full. */
bool balloon_bucket_take(struct balloon_bucket *bucket, u64 now_ns, u64 per_second, u64 most);

/* How a balloon fares, as an administrator must tell it apart. */
enum balloon_status {
	BALLOON_NO_DRIVER,
	BALLOON_DISABLED,
	BALLOON_NOT_RESPONDING,
	BALLOON_TOO_SLOW,
	BALLOON_AT_MAXIMUM,
	BALLOON_BACKING_OFF, /* the guest took pages back by itself, and waits */
	BALLOON_INFLATING,
	BALLOON_DEFLATING,
	BALLOON_HELD, /* larger than asked for: what it gave up is promised to others */
	BALLOON_IDLE, /* where it is to be */
	BALLOON_STATUS_COUNT
};

#define BALLOON_SILENT_NS 10000000000ull /* a driver that says nothing for so long */
#define BALLOON_SLOW_NS   10000000000ull /* ... or lags behind its target for so long */

struct balloon_sight {
	bool driver, disabled, backing_off;
	u64 now_ns;
	u64 heard_ns;   /* the driver's last call */
	u64 kept_up_ns; /* when the balloon last kept up with its target */
	u64 size_pages, target_pages, asked_pages, floor_pages, maximum_pages;
};
/* *@since_ns: since when, for those two states that are counted from a moment; else 0. */
enum balloon_status balloon_status(const struct balloon_sight *sight, u64 *since_ns);
const char *balloon_status_name(enum balloon_status status);

/* Does a balloon of @size keep up with @target, which is on its way to @wanted at such a rate? */
bool balloon_keeps_up(u64 size, u64 target, u64 wanted, u64 inflate_pages_s);

#endif
