/*
 * AMD's nested page tables: ordinary long-mode page tables, walked as user accesses. AMD APM vol.
 * 2, "Nested Paging" and "4-Kbyte Page Translation" (long mode). Bits 52-58 and 11:9 are for
 * software in a present entry, 63:1 in an absent one. With PCD, PWT and PAT zero the host's PAT
 * entry 0 applies, which is write-back.
 */
#include "mm/space/slat.h"

#define NPT_PRESENT    BIT(0)
#define NPT_WRITE      BIT(1)
#define NPT_USER       BIT(2)
#define NPT_ACCESSED   BIT(5)
#define NPT_DIRTY      BIT(6)
#define NPT_LARGE      BIT(7)
#define NPT_NO_EXECUTE BIT(63)

const struct slat_format slat_npt = {
	.name = "NPT",
	.table_bits = NPT_PRESENT | NPT_WRITE | NPT_USER,
	.leaf_bits = NPT_PRESENT | NPT_USER,
	.write_bit = NPT_WRITE,
	.exec_set_bits = 0,
	.exec_clear_bits = NPT_NO_EXECUTE,
	.present_mask = NPT_PRESENT,
	.large_bit = NPT_LARGE,
	.accessed_bit = NPT_ACCESSED,
	.dirty_bit = NPT_DIRTY,
	.address_mask = BITS(51, 12),
};
