/* SRCS: mm/swap/swap_header.c */
/*
 * Any block as a swap volume's header: what is read of it, written again, is the same block where
 * nothing stands in the reserved bytes, and is read as the same. The sum is made right first, or no
 * input would get past it.
 */
#include <stdlib.h>
#include <string.h>

#include "mm/swap/swap_header.h"

static void mend(u8 *block)
{
	u64 sum = 0xcbf29ce484222325ull;

	memcpy(block, "BELLOWS SWAP\n\x1a\0", 16);
	for (u32 i = 0; i < SWAP_HEADER_BYTES - 8; i++)
		sum = (sum ^ block[i]) * 0x100000001b3ull;
	memcpy(block + SWAP_HEADER_BYTES - 8, &sum, 8);
}

static void read_and_write(const u8 *block)
{
	struct swap_header header, again;
	u8 written[SWAP_HEADER_BYTES];

	if (swap_header_read(block, &header))
		return;
	swap_header_write(&header, written);
	if (swap_header_read(written, &again) || memcmp(again.id, header.id, sizeof(again.id)) ||
		again.block_bytes != header.block_bytes ||
		again.block_count != header.block_count || again.boots != header.boots)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	u8 *block;

	if (bytes < SWAP_HEADER_BYTES)
		return 0;
	/* As large as it is, so that a read behind it shows. */
	block = malloc(SWAP_HEADER_BYTES);
	memcpy(block, data, SWAP_HEADER_BYTES);
	read_and_write(block);
	mend(block);
	read_and_write(block);
	free(block);
	return 0;
}
