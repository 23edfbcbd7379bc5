/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between the kernels that this driver is built for, and nowhere else. */
#ifndef GUEST_TOOLS_LINUX_DRIVER_COMPAT_H
#define GUEST_TOOLS_LINUX_DRIVER_COMPAT_H

#include <linux/balloon_compaction.h>
#include <linux/platform_device.h>
#include <linux/version.h>

/* A platform driver's remove: it returned a number, always 0, until 6.11. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
typedef void compat_remove_t;
#define COMPAT_REMOVED
#else
typedef int compat_remove_t;
#define COMPAT_REMOVED 0
#endif

/*
 * A page that was isolated for migration is one of the balloon's no longer. Locks: the page, and
 * the balloon's pages_lock. Helpers of this kind changed within 6.1's and 6.12's stable series, so
 * it is spelt out for those.
 */
static inline void compat_page_leave(struct page *page)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	balloon_page_finalize(page);
#else
	__ClearPageOffline(page);
#ifdef CONFIG_BALLOON_COMPACTION
	__ClearPageMovable(page);
	set_page_private(page, 0);
#endif
#endif
}

#endif
