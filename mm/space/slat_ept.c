/*
 * Intel's extended page tables. Intel SDM vol. 3, "The Extended Page Table Mechanism (EPT)":
 * formats of the entries. Bits 52-56 and 11 are ignored by the hardware in every present entry,
 * 62:3 in an absent one.
 *
 * Leaves are write-back with "ignore PAT": RAM has one memory type, whatever a guest's own PAT
 * says, so no guest can make an uncached alias of memory that the hypervisor reads cached.
 */
#include "mm/space/slat.h"

#define EPT_READ       BIT(0)
#define EPT_WRITE      BIT(1)
#define EPT_EXEC       BIT(2)
#define EPT_WRITE_BACK (6ull << 3)
#define EPT_IGNORE_PAT BIT(6)
#define EPT_LARGE      BIT(7)
#define EPT_ACCESSED   BIT(8)
#define EPT_DIRTY      BIT(9)

const struct slat_format slat_ept = {
	.name = "EPT",
	.table_bits = EPT_READ | EPT_WRITE | EPT_EXEC,
	.leaf_bits = EPT_READ | EPT_WRITE_BACK | EPT_IGNORE_PAT,
	.write_bit = EPT_WRITE,
	.exec_set_bits = EPT_EXEC,
	.exec_clear_bits = 0,
	.present_mask = EPT_READ | EPT_WRITE | EPT_EXEC,
	.large_bit = EPT_LARGE,
	.accessed_bit = EPT_ACCESSED,
	.dirty_bit = EPT_DIRTY,
	.address_mask = BITS(51, 12),
};
