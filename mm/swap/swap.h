/*
 * Swap: pages moved between frames and slots on a disk. It knows no page-table entry: who is
 * evicted, and what a touch waits for, is reclaim's and fault's.
 *
 * - swap_volume: a partition of the disk, whose slots are given to files
 * - swap_directory: which files lie on a volume, and what room is left
 * - swap_file: NAME.vswp of one VM, its slots, and what is known of each
 * - swap_trim: telling the disk which slots need not be kept
 * - swap_io: clusters of pages on their way to slots, or back
 * - swap_header: what stands at the beginning of the partition
 *
 * Nothing on a volume survives a boot but its header. Files, slots and checksums live in memory,
 * and what the slots hold is worth nothing without them.
 *
 * Locks: one a volume, one a file and one for the records, all of rank SWAP and never held
 * together; none is held while a request is submitted. Every function here may be called with a
 * region's lock held, but for those that say otherwise.
 */
#ifndef MM_SWAP_SWAP_H
#define MM_SWAP_SWAP_H

#include "mm/swap/swap_directory.h"
#include "mm/swap/swap_file.h"
#include "mm/swap/swap_io.h"
#include "mm/swap/swap_volume.h"

#endif
