/*
 * Rejoining: a region that was split and whose pages are all the VM's own again is mapped by one
 * 2 MiB leaf, as long as memory is plentiful. A region that shares anything, or of which a page is
 * pinned, in the balloon or elsewhere, stays as it is.
 */
#ifndef MM_SPACE_SPACE_JOIN_H
#define MM_SPACE_SPACE_JOIN_H

#include "mm/space/space.h"

/*
 * Go on with a walk over @space's regions: until about @most_ns have passed (by looking at one
 * region or copying 8 pages at most). Returns whether the walk has ended, because it is through,
 * memory is not plentiful, or no 2 MiB of free frames lie together; the next call begins another.
 * False at once where another CPU goes on with it. The space may be cleared meanwhile, not
 * destroyed. Locks: none held; takes JOIN and regions'. Never waits.
 */
bool space_join_some(struct space *space, u64 most_ns);

/*
 * Give up what is under way, and the frames set aside for it. Locks: takes JOIN: waits for another
 * CPU's slice.
 */
void space_join_drop(struct space *space);

#endif
