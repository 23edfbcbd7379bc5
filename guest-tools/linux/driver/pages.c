// SPDX-License-Identifier: GPL-2.0
/*
 * Pages into the balloon and out of it. Small ones lie in the kernel's own list of balloon pages,
 * through which compaction may move them; large ones, which are whole page blocks and in nobody's
 * way, in one of ours. All are marked "offline", so that a crash dump leaves them out. A page
 * belongs to the balloon once the host has taken it, and is freed only after the host gave it back.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/mm.h>

#include "guest-tools/linux/driver/compat.h"
#include "guest-tools/linux/driver/driver.h"
#include "hv/abi/hypercall.h"

/* A free page block or none: for a large page nothing is reclaimed or compacted. */
#define LARGE_GFP                                                                                  \
	((GFP_HIGHUSER | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN) & ~__GFP_RECLAIM)

static unsigned int list_fill(struct balloon *b, const struct list_head *pages)
{
	unsigned int count = 0;
	struct page *page;

	list_for_each_entry (page, pages, lru)
		b->list[count++] = page_to_pfn(page);
	return count;
}

/* The first @count of @pages. */
static void list_cut(struct list_head *pages, unsigned int count, struct list_head *out)
{
	struct list_head *last = pages;

	while (count--)
		last = last->next;
	list_cut_position(out, pages, last);
}

static void free_all(struct list_head *pages, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru)
	{
		list_del(&page->lru);
		__free_pages(page, order);
	}
}

/* --- Inflating -------------------------------------------------------------------------------- */

static unsigned int allocate(struct list_head *pages, u64 want, unsigned int order)
{
	unsigned int count = 0;

	for (; count < want && count < BELLOWS_BALLOON_LIST_MAX; count++) {
		struct page *page = order ? alloc_pages(LARGE_GFP, order) : balloon_page_alloc();

		if (!page)
			break;
		list_add_tail(&page->lru, pages);
	}
	return count;
}

static void large_enter(struct balloon *b, struct list_head *pages)
{
	struct page *page;

	list_for_each_entry (page, pages, lru) {
		for (unsigned int i = 0; i < LARGE_PAGES; i++)
			__SetPageOffline(page + i);
	}
	list_splice(pages, &b->large);
}

unsigned int balloon_inflate(struct balloon *b, u64 want, unsigned int order)
{
	LIST_HEAD(pages);
	LIST_HEAD(taken);
	unsigned int count = 0;
	s64 answer;

	if (!allocate(&pages, want, order))
		return 0;
	mutex_lock(&b->lock);
	answer = b->attached
			 ? balloon_move(b, BELLOWS_HC_BALLOON_INFLATE, list_fill(b, &pages), order)
			 : BELLOWS_HC_E_STATE;
	if (answer > 0)
		count = answer;
	else if (answer == BELLOWS_HC_E_EXIST && order == 0)
		count = 1; /* freed while the host could not be told: it has that page already */
	list_cut(&pages, count, &taken);
	if (order) {
		large_enter(b, &taken);
		b->large_count += count;
	} else {
		b->small_count += balloon_page_list_enqueue(&b->small, &taken);
	}
	b->inflated_pages += (u64)count << order;
	mutex_unlock(&b->lock);
	free_all(&pages, order);
	return count;
}

/* --- Deflating -------------------------------------------------------------------------------- */

/*
 * How many of b->list came back, or the host's error; all of them, where it knows of no balloon, or
 * of none any more.
 */
static s64 take_back(struct balloon *b, unsigned int count)
{
	s64 answer;

	if (!b->attached || !count)
		return count;
	answer = balloon_move(b, BELLOWS_HC_BALLOON_DEFLATE, count, BELLOWS_BALLOON_ORDER_4K);
	if (answer == BELLOWS_HC_E_NOTFOUND)
		return 1; /* something touched it, and so took it back */
	return b->attached ? answer : count;
}

static s64 deflate_small(struct balloon *b, u64 want, struct list_head *out)
{
	LIST_HEAD(pages);
	s64 answer;

	balloon_page_list_dequeue(&b->small, &pages, min_t(u64, want, BELLOWS_BALLOON_LIST_MAX));
	answer = take_back(b, list_fill(b, &pages));
	if (answer > 0) {
		list_cut(&pages, answer, out);
		b->small_count -= answer;
	}
	balloon_page_list_enqueue(&b->small, &pages);
	return answer;
}

static struct page *large_leave(struct balloon *b)
{
	struct page *page = list_first_entry(&b->large, struct page, lru);

	list_del(&page->lru);
	b->large_count--;
	for (unsigned int i = 0; i < LARGE_PAGES; i++)
		__ClearPageOffline(page + i);
	return page;
}

/* A large page becomes small ones; for the host nothing changes. */
static void large_split(struct balloon *b)
{
	struct page *page = large_leave(b);
	LIST_HEAD(pages);

	split_page(page, BELLOWS_BALLOON_ORDER_2M);
	for (unsigned int i = 0; i < LARGE_PAGES; i++)
		list_add_tail(&page[i].lru, &pages);
	b->small_count += balloon_page_list_enqueue(&b->small, &pages);
}

/*
 * One large page, or none: split where the host has a part of it only, or can give back no more
 * than a part.
 */
static s64 deflate_large(struct balloon *b, struct list_head *out)
{
	s64 answer = 1;

	b->list[0] = page_to_pfn(list_first_entry(&b->large, struct page, lru));
	if (b->attached)
		answer = balloon_move(b, BELLOWS_HC_BALLOON_DEFLATE, 1, BELLOWS_BALLOON_ORDER_2M);
	if (answer == 1 || !b->attached) {
		list_add(&large_leave(b)->lru, out);
		return LARGE_PAGES;
	}
	if (answer != BELLOWS_HC_E_NOTFOUND && answer != BELLOWS_HC_E_LIMIT)
		return answer;
	large_split(b);
	return 0;
}

s64 balloon_deflate(struct balloon *b, u64 want)
{
	LIST_HEAD(small);
	LIST_HEAD(large);
	s64 count = 0;

	mutex_lock(&b->lock);
	if (!b->small_count && b->large_count && want >= LARGE_PAGES)
		count = deflate_large(b, &large);
	else if (!b->small_count && b->large_count)
		large_split(b);
	if (!count && b->small_count)
		count = deflate_small(b, want, &small);
	if (count > 0)
		b->deflated_pages += count;
	mutex_unlock(&b->lock);
	free_all(&small, 0);
	free_all(&large, BELLOWS_BALLOON_ORDER_2M);
	return count;
}

s64 balloon_empty(struct balloon *b)
{
	while (balloon_size(b)) {
		s64 count = balloon_deflate(b, balloon_size(b));

		if (count < 0)
			return count;
		if (count == 0)
			msleep(10);
		cond_resched();
	}
	return 0;
}

/* --- Migration -------------------------------------------------------------------------------- */

#ifdef CONFIG_BALLOON_COMPACTION
/*
 * Compaction wants @page, which it has isolated, and offers @new_page. Both are locked. The host
 * takes the new one before it gives back the old one, which it allows for.
 */
static int migrate(struct balloon_dev_info *small, struct page *new_page, struct page *page,
	enum migrate_mode mode)
{
	struct balloon *b = container_of(small, struct balloon, small);
	unsigned long flags;

	/* Who holds the lock may be waiting for memory to be compacted. */
	if (!mutex_trylock(&b->lock))
		return -EAGAIN;
	if (b->attached && !balloon_try_inflate(b, page_to_pfn(new_page))) {
		mutex_unlock(&b->lock);
		return -EAGAIN;
	}
	get_page(new_page);
	spin_lock_irqsave(&small->pages_lock, flags);
	balloon_page_insert(small, new_page);
	small->isolated_pages--;
	compat_page_leave(page);
	spin_unlock_irqrestore(&small->pages_lock, flags);
	/* If that fails, using the page takes it back. */
	b->list[0] = page_to_pfn(page);
	if (b->attached)
		balloon_move(b, BELLOWS_HC_BALLOON_DEFLATE, 1, BELLOWS_BALLOON_ORDER_4K);
	b->migrated_pages++;
	mutex_unlock(&b->lock);
	put_page(page);
	return 0;
}
#endif

void balloon_pages_init(struct balloon *b)
{
	balloon_devinfo_init(&b->small);
#ifdef CONFIG_BALLOON_COMPACTION
	b->small.migratepage = migrate;
#endif
	INIT_LIST_HEAD(&b->large);
}
