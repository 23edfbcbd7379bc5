/*
 * Second-level address translation: the page tables that turn guest-physical into host-physical
 * addresses, neutral of their format. slat_ept.c and slat_npt.c describe the two formats as data.
 *
 * The entry *is* the record of a page's state (DESIGN.md, The page states). Hardware sets A and D in present
 * entries at any time, so a present entry is changed only by xchg or cmpxchg.
 */
#ifndef MM_SLAT_H
#define MM_SLAT_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define SLAT_READ  1u
#define SLAT_WRITE 2u
#define SLAT_EXEC  4u

/* Page states, kept in the entry itself. Numbers of absent states stand in bits 9:3, of present in 56:52. */
enum page_state {
	PAGE_UNTOUCHED = 0,
	PAGE_ZERO,
	PAGE_PRIVATE,
	PAGE_SHARED,
	PAGE_CLEAN,
	PAGE_ZIPPED,
	PAGE_SWAPPED,
	PAGE_LOADING,
	PAGE_WRITING,
	PAGE_ZIPPED_WRITING,
	PAGE_BALLOONED,
	PAGE_HIDDEN, /* absent, payload = its frame: see space_hide() */
	PAGE_STATE_COUNT
};

/* One table format, as data: Intel EPT or AMD nested paging. */
struct slat_format {
	const char *name;
	u64 table_bits;	   /* OR-ed with the frame's address: an entry that points to a table */
	u64 leaf_bits;	   /* OR-ed into every present leaf: readable, write-back */
	u64 write_bit;
	u64 exec_set_bits; /* set = executable (EPT); 0 where not used */
	u64 exec_clear_bits; /* clear = executable (NPT's NX); 0 where not used */
	u64 present_mask;  /* any of these set: the hardware walks it */
	u64 large_bit;	   /* in a level-2 entry: 2 MiB leaf */
	u64 accessed_bit;
	u64 dirty_bit;
	u64 address_mask;  /* 51:12 */
};

extern const struct slat_format slat_ept; /* SDM vol. 3, "EPT Translation Mechanism" */
extern const struct slat_format slat_npt; /* APM vol. 2, "Nested Paging" */

static inline bool slat_is_present(const struct slat_format *f, u64 entry)
{
	return (entry & f->present_mask) != 0;
}

/* A present leaf for @pfn. @rights: SLAT_*; SLAT_READ is implied. */
u64 slat_make_leaf(const struct slat_format *f, pfn_t pfn, u32 rights, enum page_state state, bool large);
/* An absent entry of @state with up to 39 bits of payload, safe against L1TF. */
u64 slat_make_absent(const struct slat_format *f, enum page_state state, u64 payload);
enum page_state slat_state(const struct slat_format *f, u64 entry);
pfn_t slat_pfn(const struct slat_format *f, u64 entry);

#endif
