/*
 * Reclaim: free frames are kept at hand by evicting pages of the spaces that are above what they
 * are entitled to, else above their reservations. In the background in slices, while free memory is
 * below a threshold, or a space has more than the memory scheduler allows it (struct space_orders);
 * by command from one space; and directly, in small batches, for a fault that finds no frame, or
 * may have none unless its space gives one up.
 *
 * What reclaim itself needs is set aside beforehand: frames for compressed objects on their way
 * out, records for commands, and a reserve of free frames that only the compression cache may use.
 */
#ifndef MM_RECLAIM_RECLAIM_H
#define MM_RECLAIM_RECLAIM_H

#include "mm/fault/fault.h"

/*
 * Set aside what is needed, and learn how large the host is. After frame_init_cpus() and
 * memsched_init(), before any space. E_NOMEM.
 */
must_check err_t reclaim_init(void);

/* Above the thresholds: there are frames for what is not needed at once. Cost: O(CPUs). */
bool reclaim_is_plentiful(void);

/*
 * A slice of background work, about @most_ns: none as long as memory is not short. Returns whether
 * there is more to do just now. Locks: none held.
 */
bool reclaim_work(u64 most_ns);

/*
 * The memory scheduler's orders for @space, in pages as space_held_pages() counts them: what it
 * never has more of, what it is entitled to while memory is short, and above what it is evicted
 * from in the background. They hold until the next ones, as far as its reservation allows.
 */
void reclaim_order(struct space *space, u64 bound, u64 entitled, u64 evict_to);

/*
 * Evict up to @pages of one space, about @most_ns long, whatever memory is free; its reservation
 * holds all the same. Returns whether there is more that can go. Locks: none held.
 */
bool reclaim_from(struct space *space, u64 pages, u64 most_ns);

/* For tests: evict everything that can be evicted now. Cost: O(pages). Locks: none held. */
void reclaim_everything(struct space *space);

/*
 * A fault of @space, for the @tries'th time (from 0), found no frame. Returns FAULT_DONE: try
 * again; FAULT_WAIT: frames are to come, and vCPUs that wait will be woken; FAULT_NOMEM: nothing
 * can be reclaimed. Locks: none held. Cost: a batch of 8 pages; more where nothing cold is left.
 */
must_check enum fault_result reclaim_for_fault(struct space *space, u32 tries);

/* @space waits for a frame, or for a command's record: reclaim_wake() shall wake it. Any lock. */
void reclaim_wait(struct space *space);

/* Frames or records came free: wake who waits. Cost: a load, if nobody does. Locks: none held. */
void reclaim_wake(void);

/* Of pages that left @space: frames that are free for it, less those its compression cache has. */
u64 reclaim_freed_frames(const struct space *space);

#endif
