/*
 * The header of a swap volume: one block at the partition's beginning, little-endian, checksummed.
 * Pure: bytes in, facts out, nothing is trusted. It says that the partition is a swap volume
 * formatted for that size; of what the slots hold it says nothing.
 */
#ifndef MM_SWAP_SWAP_HEADER_H
#define MM_SWAP_SWAP_HEADER_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define SWAP_HEADER_BYTES   512u
#define SWAP_HEADER_VERSION 1u

struct swap_header {
	u8 id[16]; /* drawn when it is formatted */
	u32 block_bytes;
	u64 block_count; /* of the partition */
	u64 boots;       /* how often it was opened */
};

/**
 * @block: SWAP_HEADER_BYTES.
 * Returns 0; E_NOTFOUND (something else stands there); E_CORRUPT (it was one); E_UNSUPPORTED (a
 * newer version).
 */
must_check err_t swap_header_read(const void *block, struct swap_header *out);

void swap_header_write(const struct swap_header *header, void *block);

#endif
