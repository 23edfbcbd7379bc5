/* SRCS: drivers/gpt.c mm/base/fmt.c mm/base/err.c */
/*
 * Any bytes as a disk with a partition table: nothing outside it is read, and what is found lies on
 * the disk, outside the table, and does not overlap. Sums are made right first, or no input would
 * ever get past them.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/gpt.h"

#define BLOCK 512u

static u32 crc32(const u8 *bytes, size_t count)
{
	u32 crc = ~0u;

	for (size_t i = 0; i < count * 8; i++) {
		u32 bit = (bytes[i / 8] >> i % 8 & 1) ^ (crc & 1);

		crc = crc >> 1 ^ (bit ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void mend(u8 *header)
{
	u32 bytes, crc = 0;

	memcpy(header, "EFI PART", 8);
	memcpy(&bytes, header + 12, 4);
	if (bytes < 92 || bytes > BLOCK)
		return;
	memcpy(header + 16, &crc, 4);
	crc = crc32(header, bytes);
	memcpy(header + 16, &crc, 4);
}

static void check(const struct gpt *gpt, const u8 *entries, u64 block_count)
{
	struct gpt_partition p, others[64];
	u32 count = 0;

	for (u32 i = 0; i < gpt->entry_count; i++) {
		if (gpt_read_entry(gpt, entries, i, &p))
			continue;
		if (p.first_block < gpt->first_usable || p.block_count == 0 ||
			p.first_block + p.block_count > block_count ||
			strlen(p.name) >= GPT_NAME_BYTES)
			abort();
		for (u32 k = 0; k < count; k++) {
			if (p.first_block < others[k].first_block + others[k].block_count &&
				others[k].first_block < p.first_block + p.block_count)
				abort();
		}
		if (count < ARRAY_COUNT(others))
			others[count++] = p;
	}
	(void)!gpt_find_type(gpt, entries, &gpt_type_swap, &p);
	(void)!gpt_find_name(gpt, entries, "swap", &p);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	u64 block_count = bytes / BLOCK + 100;
	struct gpt gpt;
	u8 *header, *entries;

	if (bytes < BLOCK)
		return 0;
	header = malloc(BLOCK);
	memcpy(header, data, BLOCK);
	mend(header);
	if (gpt_read_header(header, BLOCK, 1, block_count, &gpt) == 0) {
		entries = calloc(1, gpt.entries_bytes);
		memcpy(entries, data + BLOCK, min(bytes - BLOCK, (size_t)gpt.entries_bytes));
		gpt.entries_crc = crc32(entries, gpt.entries_bytes);
		if (gpt_check_entries(&gpt, entries))
			abort();
		check(&gpt, entries, block_count);
		free(entries);
	}
	free(header);
	return 0;
}
