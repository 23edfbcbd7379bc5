// SPDX-License-Identifier: GPL-2.0
/* What the host is told of this guest, as far as the kernel lets a module know it. */
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "guest-tools/linux/driver/driver.h"

static u64 free_swap_pages(void)
{
	return max_t(long, get_nr_swap_pages(), 0);
}

u64 balloon_guest_room(void)
{
	return max_t(long, si_mem_available(), 0) + free_swap_pages();
}

u64 balloon_os_minimum(void)
{
	u64 pages = 0;
	int node;

	/* What the kernel holds before it manages any: its text, page descriptors, firmware's. */
	for_each_online_node(node) pages += node_present_pages(node);
	pages -= min_t(u64, pages, totalram_pages());
	pages += global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	pages += global_node_page_state(NR_KERNEL_STACK_KB) >> (PAGE_SHIFT - 10);
	pages += global_node_page_state(NR_PAGETABLE);
	return pages;
}

/* Kernels export how much swap space is free, not how much there is: the most that was ever free
 * stands for it. */
u64 balloon_swap_pages(struct balloon *b)
{
	b->swap_most_pages = max(b->swap_most_pages, free_swap_pages());
	return b->swap_most_pages;
}

u64 balloon_flags(const struct balloon *b)
{
	return (b->enabled ? 0 : BELLOWS_BALLOON_DISABLED) |
	       (backoff_left_ms(&b->backoff, now_ms()) ? BELLOWS_BALLOON_BACKOFF : 0);
}

static void fill_events(struct bellows_balloon_stats *stats)
{
#ifdef CONFIG_VM_EVENT_COUNTERS
	static unsigned long events[NR_VM_EVENT_ITEMS]; /* [l]: too large for the stack */

	all_vm_events(events);
	stats->swap_in_pages = events[PSWPIN];
	stats->swap_out_pages = events[PSWPOUT];
	stats->major_faults = events[PGMAJFAULT];
	stats->oom_kills = events[OOM_KILL];
#endif
}

void balloon_stats_fill(struct balloon *b)
{
	struct bellows_balloon_stats *stats = b->stats;

	stats->flags = balloon_flags(b);
	stats->total_pages = totalram_pages();
	stats->free_pages = global_zone_page_state(NR_FREE_PAGES);
	stats->available_pages = max_t(long, si_mem_available(), 0);
	stats->swap_total_pages = balloon_swap_pages(b);
	stats->swap_free_pages = free_swap_pages();
	stats->balloon_pages = balloon_size(b);
	stats->oom_events = b->oom_count;
	stats->self_deflated_pages = b->self_deflated_pages;
	fill_events(stats);
}
