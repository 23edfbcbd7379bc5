/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one balloon of this machine, and who does what with it:
 *
 *   main.c        comes, sleeps and goes: the device, its interrupt, suspend, reboot
 *   follow.c      the worker that moves the balloon to its target; gives back when memory is short
 *   pages.c       pages into the balloon and out of it, and their migration
 *   calls.c       the hypercalls, with patience where the host wants some
 *   statistics.c  what the host is told of the guest
 *   attributes.c  what bellows-guest reads and writes in sysfs
 *
 * Fields with [l] are changed under the lock. Nothing is allocated under it: the out-of-memory
 * notifier takes it.
 */
#ifndef GUEST_TOOLS_LINUX_DRIVER_DRIVER_H
#define GUEST_TOOLS_LINUX_DRIVER_DRIVER_H

#include <linux/balloon_compaction.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "guest-tools/linux/driver/backoff.h"
#include "hv/abi/balloon.h"

#define DRIVER_NAME    "bellows_balloon"
#define DRIVER_VERSION (1u << 16 | 0u) /* major, minor, as HELLO tells them */
#define LARGE_PAGES    (1u << BELLOWS_BALLOON_ORDER_2M)

struct balloon {
	struct device *dev;
	int irq;
	struct delayed_work work;
	struct notifier_block on_oom, on_sleep;
	struct mutex lock;
	bool attached; /* [l] the host knows this driver, and what is in the balloon */
	bool enabled;  /* by the guest's administrator */
	bool asleep;   /* the worker does nothing */
	bool in_use;   /* the worker's: a reference to the module, while the host holds memory */

	struct balloon_dev_info small; /* pages of 4 KiB, those being migrated left out */
	struct list_head large;        /* [l] first pages of 2 MiB each */
	u64 small_count;               /* [l] those being migrated included */
	u64 large_count;               /* [l] */

	u64 *list;                           /* [l] one page, as the hypercalls want it */
	struct bellows_balloon_stats *stats; /* [l] another: what the host was told last */
	u64 swap_most_pages;                 /* [l] */

	u64 target_pages, maximum_pages, held_pages; /* what the host said last */
	struct backoff backoff;                      /* [l] */
	/* [l] Since the driver was loaded. */
	u64 inflated_pages, deflated_pages, self_deflated_pages, migrated_pages;
	u64 oom_count; /* times that the guest took memory back for want of any */
};

static inline u64 balloon_size(const struct balloon *b)
{
	return b->small_count + b->large_count * LARGE_PAGES;
}

u64 now_ms(void);

/* --- calls.c ---------------------------------------------------------------------------------- */

/*
 * The version, and hello. 0, -ENODEV: another hypervisor, -EPROTO: it speaks another language,
 * -EBUSY. May sleep.
 */
int balloon_attach(struct balloon *b);
/* Goodbye: all that is in the balloon is plain memory again. May sleep. */
void balloon_detach(struct balloon *b);
/*
 * One of the calls that take b->list, of which @count entries are filled in. Locks: b's. Sleeps
 * while the host wants patience. Returns how many entries were taken, 1 .. @count, or the host's
 * error. Where the host does not know this driver, b is detached.
 */
s64 balloon_move(struct balloon *b, u64 number, unsigned int count, unsigned int order);
/* INFLATE for one page of 4 KiB, without patience. Returns whether it was taken. */
bool balloon_try_inflate(struct balloon *b, u64 pfn);
/* BELLOWS_BALLOON_ASK_*: pages or the host's error. */
s64 balloon_ask(struct balloon *b, u64 what);
/* Send b->stats. Locks: b's. */
void balloon_tell(struct balloon *b);

/* --- pages.c ---------------------------------------------------------------------------------- */

void balloon_pages_init(struct balloon *b);
/*
 * Take up to @want entries of that order (at most a list of them) from the guest and give them to
 * the host. Returns how many; fewer where the guest has none to spare or the host wants no more.
 * Allocates: no lock.
 */
unsigned int balloon_inflate(struct balloon *b, u64 want, unsigned int order);
/*
 * Give up to @want pages back to the guest, small ones first, and at most a list of them. Returns
 * how many; 0 where what is left is being migrated; or the host's error. Locks: takes b's.
 */
s64 balloon_deflate(struct balloon *b, u64 want);
/*
 * Give all of it back. Sleeps until what is being migrated has come to rest. 0, or the error of a
 * host that keeps the rest: BELLOWS_HC_E_LIMIT where it is promised to others.
 */
s64 balloon_empty(struct balloon *b);

/* --- follow.c --------------------------------------------------------------------------------- */

void balloon_work(struct work_struct *work);
int balloon_oom(struct notifier_block *notifier, unsigned long unused, void *freed);
/* Do balloon_work() now, once more if it is running. Any context. */
void balloon_look(struct balloon *b);

/* --- statistics.c ----------------------------------------------------------------------------- */

/* Pages that could be had without a process being killed. */
u64 balloon_guest_room(void);
/* Pages that the OS cannot do without. */
u64 balloon_os_minimum(void);
u64 balloon_swap_pages(struct balloon *b);
u64 balloon_flags(const struct balloon *b);
/* Fill b->stats. Locks: b's. */
void balloon_stats_fill(struct balloon *b);

/* --- attributes.c ----------------------------------------------------------------------------- */

extern const struct attribute_group *balloon_attributes[];

#endif
