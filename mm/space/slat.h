/*
 * Second-level address translation: the page tables that turn guest-physical into host-physical
 * addresses, neutral of their format. slat_ept.c and slat_npt.c describe the two formats as data.
 *
 * The entry *is* the record of a page's state (DESIGN.md, The page states). Hardware sets A and D
 * in present entries at any time, so a present entry is changed only by xchg or cmpxchg.
 */
#ifndef MM_SPACE_SLAT_H
#define MM_SPACE_SLAT_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define SLAT_READ  1u
#define SLAT_WRITE 2u
#define SLAT_EXEC  4u

/*
 * Page states, kept in the entry itself. Numbers of absent states stand in bits 9:3, of present in
 * 55:52.
 */
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
	PAGE_SHARED_WRITING, /* the same, of a SHARED page: its frame is not its own */
	PAGE_ZIPPED_WRITING,
	PAGE_BALLOONED,
	PAGE_HIDDEN, /* absent, payload = its frame: see space_hide() */
	PAGE_STATE_COUNT
};

/* Mapped from a frame that other pages may have, too. */
static inline bool page_state_is_shared(enum page_state state)
{
	return state == PAGE_SHARED || state == PAGE_SHARED_WRITING;
}

/*
 * Software's marks in present leaves. SEEN: page sharing has hashed the page since D was last
 * cleared. WALKED: the guest's page-table walk met it, so it is one of the guest's page tables.
 */
#define SLAT_SEEN   BIT(56)
#define SLAT_WALKED BIT(11)

/* And in a level-2 entry that names a table: a fetch split the region's 2 MiB leaf. */
#define SLAT_FETCHED BIT(52)

/* One table format, as data: Intel EPT or AMD nested paging. */
struct slat_format {
	const char *name;
	u64 table_bits; /* OR-ed with the frame's address: an entry that points to a table */
	u64 leaf_bits;  /* OR-ed into every present leaf: readable, write-back */
	u64 write_bit;
	u64 exec_set_bits;   /* set = executable (EPT); 0 where not used */
	u64 exec_clear_bits; /* clear = executable (NPT's NX); 0 where not used */
	u64 present_mask;    /* any of these set: the hardware walks it */
	u64 large_bit;       /* in a level-2 entry: 2 MiB leaf */
	u64 accessed_bit;
	u64 dirty_bit;
	u64 address_mask; /* 51:12 */
};

extern const struct slat_format slat_ept; /* SDM vol. 3, "EPT Translation Mechanism" */
extern const struct slat_format slat_npt; /* APM vol. 2, "Nested Paging" */

static inline bool slat_is_present(const struct slat_format *f, u64 entry)
{
	return (entry & f->present_mask) != 0;
}

/* A 2 MiB leaf? @entry: of level 2. */
static inline bool slat_is_large(const struct slat_format *f, u64 entry)
{
	return slat_is_present(f, entry) && (entry & f->large_bit) != 0;
}

/* Entries are read and changed while the hardware sets A and D in them. */
static inline u64 slat_load(const u64 *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

/* Write an absent entry, which hardware never changes; all that it names is written before. */
static inline void slat_set_absent(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* Replace an entry, present or not; returns what stood there, with A and D as they were last. */
static inline u64 slat_exchange(u64 *entry, u64 value)
{
	return __atomic_exchange_n(entry, value, __ATOMIC_SEQ_CST);
}

static inline void slat_set_bits(u64 *entry, u64 bits)
{
	__atomic_fetch_or(entry, bits, __ATOMIC_SEQ_CST);
}

static inline void slat_clear_bits(u64 *entry, u64 bits)
{
	__atomic_fetch_and(entry, ~bits, __ATOMIC_SEQ_CST);
}

/* Which entry of a table of @level (4 = root .. 1) maps @gfn. */
static inline u32 slat_index(gfn_t gfn, u32 level)
{
	return (u32)(gfn.v >> (9 * (level - 1))) & 511;
}

/* A present leaf for @pfn. @rights: SLAT_*; SLAT_READ is implied. */
u64 slat_make_leaf(
	const struct slat_format *f, pfn_t pfn, u32 rights, enum page_state state, bool large);
/* An entry that names the table at @pfn; all rights, for the leaves decide. */
u64 slat_make_table(const struct slat_format *f, pfn_t pfn);

#define SLAT_PAYLOAD_BITS 39
/*
 * An absent entry of @state with a payload of up to 39 bits, safe against L1TF: bits 51:39 are all
 * ones, so that a speculative access through it names nothing below the top 512 GiB of any address
 * width. UNTOUCHED with payload 0 is the entry 0, which names frame 0; the hypervisor keeps nothing
 * there.
 */
u64 slat_make_absent(const struct slat_format *f, enum page_state state, u64 payload);
u64 slat_payload(u64 absent_entry);

/* Of an absent entry, or a leaf. */
enum page_state slat_state(const struct slat_format *f, u64 entry);
/* What a present leaf allows: SLAT_*; 0 if absent. */
u32 slat_rights(const struct slat_format *f, u64 entry);
static inline pfn_t slat_pfn(const struct slat_format *f, u64 entry)
{
	return PFN((entry & f->address_mask) >> PAGE_SHIFT);
}

#endif
