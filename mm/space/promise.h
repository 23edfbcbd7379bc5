/*
 * What is kept free for VMs that have not yet taken all they were promised.
 *
 * Admission sees to it that promises add up. Between promise and configured memory VMs compete for
 * what is left, and the first to grow must not take frames that another one was promised: a VM
 * above its promise gets a frame only while more are free than the others are still owed. So a VM
 * within its promise always finds one.
 *
 * What a VM gives up by its balloon it need not be promised any longer, and another one may start
 * with it. It is promised again only as far as it is there then.
 */
#ifndef MM_SPACE_PROMISE_H
#define MM_SPACE_PROMISE_H

#include "mm/memsched/memsched.h"
#include "mm/space/space.h"

/* Nobody is owed anything. No space exists. */
void promise_init(void);

/*
 * Keep so many frames free besides what is owed: what reclaim works with, which no VM above its
 * promise may take. 0 at first.
 */
void promise_reserve(u64 pages);

/* Free frames that nobody is owed nor reclaim needs: what VMs above their promise may take. */
u64 promise_spare_pages(void);

/* Of its pages, those that @space finds frames for whatever others do. */
u64 promise_pages(const struct space *space);

/*
 * What @space consumes at least has changed: note what it is still owed: never less, up to 64 pages
 * more, and where it has several sets of counters 32 more for each. Cost: O(1), seldom a shared
 * write.
 */
void promise_update(struct space *space);

/* It is owed nothing any more: it is being destroyed. */
void promise_forget(struct space *space);

/*
 * Must @space give up pages of its own for @pages more, by its orders and mem_pays_itself()? And
 * may it take them, by that and its promise? @returns: what it takes them for was evicted before.
 * Cost: O(1) within its promise, or while frames are plentiful and its orders far; else O(CPUs).
 */
must_check bool promise_pays_itself(const struct space *space, u64 pages, bool returns);
must_check bool promise_allows(const struct space *space, u64 pages, bool returns);

/* A frame for @gfn of @space, contents undefined; PFN_NONE: there is none that it may take now. */
pfn_t promise_frame(struct space *space, gfn_t gfn, bool returns);

/*
 * The most that the VM of @space, which was admitted as @vm, could be promised now: what it is, and
 * what is neither promised to others nor taken by them. Locks: that of memsched's record. Cost:
 * O(CPUs).
 */
u64 promise_most(const struct space *space, const struct memsched_request *vm);

/* Promise it @pages from now on, or as near to that as promise_most() allows. Returns what it is
 * promised now. */
u64 promise_move(struct space *space, struct memsched_request *vm, u64 pages);

#endif
