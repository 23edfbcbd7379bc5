/*
 * Pages that were evicted, or are on their way out or in: how each is brought back, and what must
 * be let go of when its entry goes.
 *
 * A zipped page's entry holds a 32-bit value that fills it, or the handle of a compressed object; a
 * swapped page's holds its slot. While a command is under way for a page its entry (or, where it
 * stays mapped, nothing but its state and frame) says so, and the command's own record, struct
 * swap_io, knows the rest. The frame under a command is held by it: whatever becomes of the page
 * meanwhile, the frame is freed no earlier than the device has let go of it. When a command
 * completes, it looks whether the page is still as it left it; if not, its slot is freed and that
 * is all.
 */
#ifndef MM_RECLAIM_EVICTED_H
#define MM_RECLAIM_EVICTED_H

#include "mm/fault/fault.h"
#include "mm/space/space_registry.h"
#include "mm/swap/swap.h"

/* Payload of a ZIPPED entry: bit 38, then the value; else the object's handle. */
#define ZIPPED_FILL BIT(38)
/* Payload of a SWAPPED entry: the slot; this bit: it could not be read back when it was wanted. */
#define SWAPPED_LOST BIT(38)
_Static_assert(SLAT_PAYLOAD_BITS == 39, "bit 38 is the highest of a payload");

/*
 * @gfn's @entry is ZIPPED, SWAPPED, LOADING, CLEAN or in a state of being written, and does not
 * allow @access. Returns FAULT_DONE; FAULT_WAIT (it is being read, or no command can be started
 * now); FAULT_NOMEM (no frame; nothing is changed); FAULT_CORRUPT (its contents are lost).
 * Locks: region held. Cost: a decompression, or starting a read.
 */
must_check enum fault_result evicted_resolve(
	struct space *space, gfn_t gfn, u64 *entry, u32 access);

/*
 * @old stood in an entry of @space and was taken out of it: let go of what it named, whatever state
 * that is. Frames go to @gather. Locks: region held. Counts nothing.
 */
void evicted_forget(struct space *space, u64 old, struct tlb_gather *gather);

/*
 * @gfn will be overwritten as a whole. If its contents are evicted, they are dropped, and it has a
 * zeroed frame of its own: *@result is FAULT_DONE, or FAULT_NOMEM and nothing is changed. False: it
 * is no such page. Locks: region held.
 */
bool evicted_overwrite(struct space *space, gfn_t gfn, enum fault_result *result);

/* All of @frame is one 32-bit value. */
void evicted_fill(pfn_t frame, u32 value);

/* A page that is WRITING, or SHARED_WRITING, is not evicted after all: it is PRIVATE, or SHARED,
 * again. Locks: region held. */
void evicted_keep(struct space *space, u64 *entry);

/* A CLEAN page's frame remembers its slot, where a PRIVATE one's remembers its page. */
static inline u64 clean_owner_word(u64 slot)
{
	return slot; /* of space number 0, which is nobody */
}
static inline u64 owner_word_slot(u64 word)
{
	return word & BITS(SPACE_OWNER_AGE_SHIFT - 1, 0);
}

#endif
