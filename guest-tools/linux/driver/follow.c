// SPDX-License-Identifier: GPL-2.0
/*
 * The worker that moves the balloon to its target, woken by the device's interrupt and once a
 * second besides; and the two ways in which the guest takes memory back unasked: when little is
 * left, seen by the worker, and when the kernel is about to kill a process for want of memory. Both
 * are followed by a back-off. Whatever the target is, the balloon takes nothing of the guest's last
 * reserve.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/oom.h>

#include "guest-tools/linux/driver/driver.h"

#define POLL_MS         1000u
#define REST_MS         250u /* after which a target counts as one that does not move */
#define RESERVE_PART    32u  /* of all memory */
#define RESERVE_LEAST   (8u << (20 - PAGE_SHIFT))
#define OOM_GIVES_PART  8u /* of the balloon */
#define OOM_GIVES_LEAST (4u << (20 - PAGE_SHIFT))

u64 now_ms(void)
{
	return ktime_to_ms(ktime_get_boottime());
}

void balloon_look(struct balloon *b)
{
	mod_delayed_work(system_freezable_wq, &b->work, 0);
}

/* --- Towards the target ----------------------------------------------------------------------- */

static u64 reserve_pages(void)
{
	return max_t(u64, totalram_pages() / RESERVE_PART, RESERVE_LEAST);
}

/* What the balloon may take now, up to @want. */
static u64 can_spare(struct balloon *b, u64 want)
{
	u64 room = balloon_guest_room(), reserve = reserve_pages();

	if (backoff_left_ms(&b->backoff, now_ms()) || room <= reserve)
		return 0;
	return min(want, room - reserve);
}

/*
 * Large pages while there are any, then small ones. A target on its way up comes in steps: what is
 * left of a step is kept for the next, so that large pages fill it, until the target rests.
 * Returns whether something is kept so.
 */
static bool inflate(struct balloon *b, u64 target, bool rests)
{
	while (balloon_size(b) < target) {
		u64 want = can_spare(b, target - balloon_size(b));
		bool large = want >= LARGE_PAGES;

		if (large && balloon_inflate(b, want / LARGE_PAGES, BELLOWS_BALLOON_ORDER_2M))
			continue;
		if (!large && want && !rests)
			return true;
		if (!balloon_inflate(b, want, BELLOWS_BALLOON_ORDER_4K))
			return false;
		cond_resched();
	}
	return false;
}

static void deflate(struct balloon *b, u64 target)
{
	while (balloon_size(b) > target && balloon_deflate(b, balloon_size(b) - target) > 0)
		cond_resched();
}

/* Returns whether to look again soon. */
static bool follow(struct balloon *b)
{
	s64 target = balloon_ask(b, BELLOWS_BALLOON_ASK_TARGET);
	bool rests = target == b->target_pages, soon = false;

	if (target < 0)
		return false;
	b->target_pages = target;
	if (!b->enabled)
		target = 0;
	if (balloon_size(b) < target)
		soon = inflate(b, target, rests);
	else
		deflate(b, target);
	return soon;
}

/* --- Giving memory back ----------------------------------------------------------------------- */

static u64 give_back(struct balloon *b, u64 want)
{
	u64 given = 0;
	s64 count;

	mutex_lock(&b->lock);
	backoff_begin(&b->backoff, now_ms());
	mutex_unlock(&b->lock);
	while (given < want && (count = balloon_deflate(b, want - given)) > 0)
		given += count;
	mutex_lock(&b->lock);
	b->self_deflated_pages += given;
	mutex_unlock(&b->lock);
	return given;
}

static void relieve(struct balloon *b)
{
	u64 room = balloon_guest_room(), reserve = reserve_pages();

	if (room < reserve / 2 && balloon_size(b))
		give_back(b, reserve - room);
}

/* No process dies while the balloon has something: the kernel tries again if it is freed some. */
int balloon_oom(struct notifier_block *notifier, unsigned long unused, void *freed)
{
	struct balloon *b = container_of(notifier, struct balloon, on_oom);
	u64 size = balloon_size(b), given;

	if (!size)
		return NOTIFY_OK;
	given = give_back(b, max_t(u64, size / OOM_GIVES_PART, OOM_GIVES_LEAST));
	mutex_lock(&b->lock);
	b->oom_count++;
	mutex_unlock(&b->lock);
	*(unsigned long *)freed += given;
	balloon_look(b); /* the host is to know */
	return NOTIFY_OK;
}

/* --- The worker ------------------------------------------------------------------------------- */

/*
 * While the host has promised a part of the balloon to others, that part can neither be given back
 * nor be left behind: the module is in use, and is not unloaded.
 */
static void note_held(struct balloon *b)
{
	s64 answer = balloon_size(b) ? balloon_ask(b, BELLOWS_BALLOON_ASK_HELD) : 0;

	b->held_pages = answer > 0 ? min_t(u64, answer, balloon_size(b)) : 0;
	if (b->held_pages && !b->in_use)
		b->in_use = try_module_get(THIS_MODULE);
	if (!b->held_pages && b->in_use) {
		module_put(THIS_MODULE);
		b->in_use = false;
	}
}

static void report(struct balloon *b)
{
	s64 maximum;

	mutex_lock(&b->lock);
	balloon_stats_fill(b);
	if (b->attached)
		balloon_tell(b);
	mutex_unlock(&b->lock);
	maximum = balloon_ask(b, BELLOWS_BALLOON_ASK_MAXIMUM);
	if (maximum >= 0)
		b->maximum_pages = maximum;
	note_held(b);
}

void balloon_work(struct work_struct *work)
{
	struct balloon *b = container_of(to_delayed_work(work), struct balloon, work);
	bool soon = false;

	if (b->asleep)
		return;
	if (!b->attached) {
		/* The host has forgotten all of it: plain memory. */
		balloon_empty(b);
		balloon_attach(b);
	}
	if (b->attached) {
		relieve(b);
		soon = follow(b);
		report(b);
	}
	queue_delayed_work(
		system_freezable_wq, &b->work, msecs_to_jiffies(soon ? REST_MS : POLL_MS));
}
