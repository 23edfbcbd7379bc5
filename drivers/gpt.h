/*
 * GUID partition tables: which partitions a disk has. Pure: it is given blocks that somebody read,
 * and tells which blocks to read next; it never writes and never trusts. The disk's first table is
 * taken if its sums are right, else the one at its end.
 *
 * UEFI Specification, "GUID Partition Table (GPT) Disk Layout".
 */
#ifndef DRIVERS_GPT_H
#define DRIVERS_GPT_H

#include "mm/base/types.h"
#include "mm/base/err.h"

/* As its 16 bytes lie on the disk: the first three fields are little-endian. */
struct guid {
	u8 bytes[16];
};

#define GPT_TEXT_BYTES    37 /* 8-4-4-4-12 and the end */
#define GPT_NAME_BYTES    (36 * 3 + 1)
#define GPT_ENTRIES       1024u /* more than that in a table is refused */
#define GPT_ENTRIES_BYTES (128u * GPT_ENTRIES)

/* Types of partitions that are Bellows' own; nothing else is ever written. */
extern const struct guid gpt_type_swap; /* 86cbcdae-9031-43c3-aa9c-af1abc33edf2: a swap volume */
extern const struct guid gpt_type_disk; /* f9f7b537-6e97-41bf-b5cf-f56470132ba3: a VM's disk */
extern const struct guid gpt_type_test; /* 638e3383-3568-43b5-bff9-f64d46cf9fbb: disk test's */

struct gpt {
	u64 block;         /* the header's own */
	u64 entries_block; /* read so many bytes from there for gpt_check_entries() */
	u32 entries_bytes;
	u32 entry_count, entry_bytes, entries_crc;
	u64 first_usable, last_usable;
	struct guid disk;
};

struct gpt_partition {
	struct guid type, id;
	u64 first_block, block_count;
	u64 attributes;
	char name[GPT_NAME_BYTES]; /* UTF-8, control characters as '?' */
};

/* The two places of a header on a disk of @block_count blocks. */
#define GPT_PRIMARY_BLOCK             1ull
#define GPT_BACKUP_BLOCK(block_count) ((block_count)-1)

/**
 * Check a header. @block: one block, of @block_bytes, as read from block @at of a disk of
 * @block_count blocks.
 * Returns 0; E_NOTFOUND (no such table); E_CORRUPT (a wrong sum, or numbers that cannot be);
 * E_LIMIT (more entries than GPT_ENTRIES, or larger ones than fit GPT_ENTRIES_BYTES).
 */
must_check err_t gpt_read_header(
	const void *block, u32 block_bytes, u64 at, u64 block_count, struct gpt *out);

/* @entries: gpt->entries_bytes as read from gpt->entries_block. E_CORRUPT: the sum is wrong. */
must_check err_t gpt_check_entries(const struct gpt *gpt, const void *entries);

/*
 * Entry @index of checked @entries. Returns 0; E_NOTFOUND (unused); E_RANGE (no such index);
 * E_CORRUPT (it lies outside what the table may give out, or overlaps an earlier one).
 * Cost: O(entries).
 */
must_check err_t gpt_read_entry(
	const struct gpt *gpt, const void *entries, u32 index, struct gpt_partition *out);

/* The first sound partition of that type, or of that name (E_EXIST: two have it). E_NOTFOUND. */
must_check err_t gpt_find_type(const struct gpt *gpt, const void *entries, const struct guid *type,
	struct gpt_partition *out);
must_check err_t gpt_find_name(
	const struct gpt *gpt, const void *entries, const char *name, struct gpt_partition *out);

bool guid_equal(const struct guid *a, const struct guid *b);
void guid_text(const struct guid *guid, char out[GPT_TEXT_BYTES]);
/* What is usually called so ("EFI system"), or NULL. */
const char *gpt_type_name(const struct guid *type);

#endif
