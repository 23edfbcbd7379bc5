/*
 * Which spaces there are: a number for each, small enough for a frame's owner word, and the way
 * from such a number back to the space, which may have gone meanwhile.
 *
 * A number is given again after its space is gone; the serial is not. Number 0 is nobody: a space
 * for which there was no number works, only its pages are not shared.
 */
#ifndef MM_SPACE_SPACE_REGISTRY_H
#define MM_SPACE_SPACE_REGISTRY_H

#include "mm/space/space.h"

#define SPACE_NUMBER_BITS  10
#define SPACE_NUMBER_COUNT (1u << SPACE_NUMBER_BITS)

/* Forget all. No space exists. */
void space_registry_init(void);

/* Gives @space its number and serial. */
void space_registry_add(struct space *space);
/* From now on nobody finds it; returns when nobody looks at it any more (a slice of work). */
void space_registry_remove(struct space *space);

/*
 * The space of that number, and of that serial unless 0; NULL if it is gone. It stays until
 * space_release(). Locks: takes one of rank SPACE.
 */
struct space *space_hold(u32 number, u64 serial);
void space_release(struct space *space);

/* Hold the space of the next number after @number, or NULL: there is none. For walks from 0 on. */
struct space *space_hold_next(u32 number);

/*
 * The owner word of @gfn's PRIVATE frame, and what it says. @gfn may be anything at all. Between
 * the two stand how long the page has not been used (reclaim_age.h), and part of what it was last
 * hashed to (share_index.c); 0 here.
 */
#define SPACE_OWNER_AGE_SHIFT  (64 - SPACE_NUMBER_BITS - 4)
#define SPACE_OWNER_AGE_MASK   BITS(63 - SPACE_NUMBER_BITS, SPACE_OWNER_AGE_SHIFT)
#define SPACE_OWNER_PRINT_MASK BITS(SPACE_OWNER_AGE_SHIFT - 1, 36)
#define SPACE_OWNER_GFN_MASK   BITS(35, 0)
_Static_assert((SPACE_MEMORY_MAX + SPACE_HIGH_BASE) >> PAGE_SHIFT <= SPACE_OWNER_GFN_MASK,
	"an owner word has room for any page's number");
u64 space_owner_word(const struct space *space, gfn_t gfn);
static inline u32 space_owner_number(u64 word)
{
	return (u32)(word >> (64 - SPACE_NUMBER_BITS));
}
static inline gfn_t space_owner_gfn(u64 word)
{
	return GFN(word & SPACE_OWNER_GFN_MASK);
}

#endif
