/* The header's layout, and its checksum: FNV-1a over all that stands before it. */
#include "mm/swap/swap_header.h"
#include "mm/base/str.h"

#define MAGIC "BELLOWS SWAP\n\x1a\0\0"

struct layout {
	u8 magic[16];
	u32 version;
	u32 block_bytes;
	u8 id[16];
	u64 block_count;
	u64 boots;
	u8 reserved[SWAP_HEADER_BYTES - 16 - 8 - 16 - 16 -
		    8]; /* zeros; of the checksum all the same */
	u64 checksum;
};
_Static_assert(sizeof(struct layout) == SWAP_HEADER_BYTES, "no padding");
_Static_assert(sizeof(MAGIC) == 17, "sixteen bytes and the end");

/* Fowler, Noll, Vo: "The FNV Non-Cryptographic Hash Algorithm". */
static u64 checksum_of(const struct layout *header)
{
	const u8 *bytes = (const u8 *)header;
	u64 sum = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < offsetof(struct layout, checksum); i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3ull;
	return sum;
}

err_t swap_header_read(const void *block, struct swap_header *out)
{
	struct layout header;

	memcpy(&header, block, sizeof(header));
	if (memcmp(header.magic, MAGIC, sizeof(header.magic)) != 0)
		return E_NOTFOUND;
	if (header.checksum != checksum_of(&header) || header.version == 0)
		return E_CORRUPT;
	if (header.version > SWAP_HEADER_VERSION)
		return E_UNSUPPORTED;
	*out = (struct swap_header){
		.block_bytes = header.block_bytes,
		.block_count = header.block_count,
		.boots = header.boots,
	};
	memcpy(out->id, header.id, sizeof(out->id));
	return 0;
}

void swap_header_write(const struct swap_header *header, void *block)
{
	struct layout to = {
		.version = SWAP_HEADER_VERSION,
		.block_bytes = header->block_bytes,
		.block_count = header->block_count,
		.boots = header->boots,
	};

	memcpy(to.magic, MAGIC, sizeof(to.magic));
	memcpy(to.id, header->id, sizeof(to.id));
	to.checksum = checksum_of(&to);
	memcpy(block, &to, sizeof(to));
}
