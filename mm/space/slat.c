/*
 * Second-level table entries, made and read by the format's data alone.
 *
 * Where an absent entry keeps its payload: the low 12 bits in 62:52 and 11, which are no address;
 * the other 27 inverted in 38:12, and 51:39 all ones (slat.h tells why).
 */
#include "mm/space/slat.h"
#include "mm/base/check.h"

#define PRESENT_STATE_SHIFT 52
#define PRESENT_STATE_MASK  BITS(55, 52)
#define ABSENT_STATE_SHIFT  3
#define ABSENT_STATE_MASK   BITS(9, 3)

#define PAYLOAD_TOP_SHIFT  52 /* payload bits 10:0 */
#define PAYLOAD_TOP_MASK   BITS(10, 0)
#define PAYLOAD_BIT_11     BIT(11)      /* payload bit 11 in place */
#define PAYLOAD_ADDRESS    BITS(38, 12) /* payload bits 38:12 in place, inverted */
#define ABSENT_ADDRESS_TOP BITS(51, 39)

_Static_assert(PAGE_STATE_COUNT <= 16, "a state fits a present entry's four bits");

u64 slat_make_leaf(
	const struct slat_format *f, pfn_t pfn, u32 rights, enum page_state state, bool large)
{
	u64 entry = (pfn.v << PAGE_SHIFT) | f->leaf_bits | (u64)state << PRESENT_STATE_SHIFT;

	CHECK(((pfn.v << PAGE_SHIFT) & ~f->address_mask) == 0);
	if (rights & SLAT_WRITE)
		entry |= f->write_bit;
	entry |= rights & SLAT_EXEC ? f->exec_set_bits : f->exec_clear_bits;
	if (large)
		entry |= f->large_bit;
	return entry;
}

u64 slat_make_table(const struct slat_format *f, pfn_t pfn)
{
	return (pfn.v << PAGE_SHIFT) | f->table_bits;
}

u64 slat_make_absent(const struct slat_format *f, enum page_state state, u64 payload)
{
	(void)f; /* the same bits are free in both formats */
	CHECK(payload < BIT(SLAT_PAYLOAD_BITS));
	if (state == PAGE_UNTOUCHED && payload == 0)
		return 0;
	return (u64)state << ABSENT_STATE_SHIFT |
	       (payload & PAYLOAD_TOP_MASK) << PAYLOAD_TOP_SHIFT | (payload & PAYLOAD_BIT_11) |
	       (~payload & PAYLOAD_ADDRESS) | ABSENT_ADDRESS_TOP;
}

u64 slat_payload(u64 absent_entry)
{
	if (absent_entry == 0)
		return 0;
	return (absent_entry >> PAYLOAD_TOP_SHIFT & PAYLOAD_TOP_MASK) |
	       (absent_entry & PAYLOAD_BIT_11) | (~absent_entry & PAYLOAD_ADDRESS);
}

enum page_state slat_state(const struct slat_format *f, u64 entry)
{
	if (slat_is_present(f, entry))
		return (enum page_state)((entry & PRESENT_STATE_MASK) >> PRESENT_STATE_SHIFT);
	return (enum page_state)((entry & ABSENT_STATE_MASK) >> ABSENT_STATE_SHIFT);
}

u32 slat_rights(const struct slat_format *f, u64 entry)
{
	u32 rights = SLAT_READ;

	if (!slat_is_present(f, entry))
		return 0;
	if (entry & f->write_bit)
		rights |= SLAT_WRITE;
	if ((entry & f->exec_set_bits) == f->exec_set_bits && (entry & f->exec_clear_bits) == 0)
		rights |= SLAT_EXEC;
	return rights;
}
