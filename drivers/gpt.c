/* Reading a GUID partition table. Offsets are those of "GPT Header" and "GPT Partition Entry". */
#include "drivers/gpt.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

#define HEADER_BYTES       92u
#define HEADER_SIGNATURE   "EFI PART"
#define HEADER_SIZE        12
#define HEADER_CRC         16
#define HEADER_MY_BLOCK    24
#define HEADER_FIRST       40
#define HEADER_LAST        48
#define HEADER_DISK        56
#define HEADER_ENTRIES     72
#define HEADER_COUNT       80
#define HEADER_ENTRY_BYTES 84
#define HEADER_ENTRIES_CRC 88

#define ENTRY_BYTES      128u
#define ENTRY_BYTES_MOST 4096u
#define ENTRY_TYPE       0
#define ENTRY_ID         16
#define ENTRY_FIRST      32
#define ENTRY_LAST       40
#define ENTRY_ATTRIBUTES 48
#define ENTRY_NAME       56
#define NAME_UNITS       36u

#define OWN(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)                                        \
	{                                                                                          \
		{                                                                                  \
			0x##d, 0x##c, 0x##b, 0x##a, 0x##f, 0x##e, 0x##h, 0x##g, 0x##i, 0x##j,      \
				0x##k, 0x##l, 0x##m, 0x##n, 0x##o, 0x##p                           \
		}                                                                                  \
	}
const struct guid gpt_type_swap =
	OWN(86, cb, cd, ae, 90, 31, 43, c3, aa, 9c, af, 1a, bc, 33, ed, f2);
const struct guid gpt_type_disk =
	OWN(f9, f7, b5, 37, 6e, 97, 41, bf, b5, cf, f5, 64, 70, 13, 2b, a3);
const struct guid gpt_type_test =
	OWN(63, 8e, 33, 83, 35, 68, 43, b5, bf, f9, f6, 4d, 46, cf, 9f, bb);
static const struct guid type_efi =
	OWN(c1, 2a, 73, 28, f8, 1f, 11, d2, ba, 4b, 00, a0, c9, 3e, c9, 3b);
static const struct guid type_linux =
	OWN(0f, c6, 3d, af, 84, 83, 47, 72, 8e, 79, 3d, 69, d8, 47, 7d, e4);
static const struct guid type_linux_swap =
	OWN(06, 57, fd, 6d, a4, ab, 43, c4, 84, e5, 09, 33, c8, 4b, 4f, 4f);
static const struct guid type_unused;

static u64 get(const u8 *at, u32 bytes)
{
	u64 value = 0;

	for (u32 i = 0; i < bytes; i++)
		value |= (u64)at[i] << 8 * i;
	return value;
}

/* The CRC-32 of IEEE 802.3, as EFI's CalculateCrc32(). For some KiB a table of 16 will do. */
static u32 crc32_more(u32 crc, const u8 *bytes, size_t count)
{
	static const u32 nibbles[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
		0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

	for (size_t i = 0; i < count; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ nibbles[crc & 15];
		crc = crc >> 4 ^ nibbles[crc & 15];
	}
	return crc;
}

static u32 header_crc(const u8 *header, u32 bytes)
{
	static const u8 zero[4];
	u32 crc = crc32_more(~0u, header, HEADER_CRC);

	crc = crc32_more(crc, zero, sizeof(zero));
	return ~crc32_more(crc, header + HEADER_CRC + 4, bytes - HEADER_CRC - 4);
}

static bool ranges_overlap(u64 a_first, u64 a_last, u64 b_first, u64 b_last)
{
	return a_first <= b_last && b_first <= a_last;
}

/* Do the numbers fit the disk and each other? */
static bool is_possible(const struct gpt *gpt, u32 block_bytes, u64 block_count)
{
	u64 blocks = (gpt->entries_bytes + block_bytes - 1) / block_bytes;

	if (gpt->entry_bytes < ENTRY_BYTES || gpt->entry_bytes > ENTRY_BYTES_MOST ||
		gpt->entry_bytes & (gpt->entry_bytes - 1) || gpt->entry_count == 0)
		return false;
	if (gpt->first_usable > gpt->last_usable || gpt->last_usable >= block_count)
		return false;
	if (gpt->entries_block < GPT_PRIMARY_BLOCK || gpt->entries_block >= block_count ||
		blocks > block_count - gpt->entries_block)
		return false;
	return !ranges_overlap(gpt->entries_block, gpt->entries_block + blocks - 1,
		       gpt->first_usable, gpt->last_usable) &&
	       !ranges_overlap(gpt->block, gpt->block, gpt->first_usable, gpt->last_usable);
}

err_t gpt_read_header(const void *block, u32 block_bytes, u64 at, u64 block_count, struct gpt *out)
{
	const u8 *header = block;
	u32 bytes;

	if (block_bytes < 512 || memcmp(header, HEADER_SIGNATURE, 8) != 0)
		return E_NOTFOUND;
	bytes = (u32)get(header + HEADER_SIZE, 4);
	if (bytes < HEADER_BYTES || bytes > block_bytes ||
		header_crc(header, bytes) != get(header + HEADER_CRC, 4) ||
		get(header + HEADER_MY_BLOCK, 8) != at)
		return E_CORRUPT;
	*out = (struct gpt){
		.block = at,
		.entries_block = get(header + HEADER_ENTRIES, 8),
		.entry_count = (u32)get(header + HEADER_COUNT, 4),
		.entry_bytes = (u32)get(header + HEADER_ENTRY_BYTES, 4),
		.entries_crc = (u32)get(header + HEADER_ENTRIES_CRC, 4),
		.first_usable = get(header + HEADER_FIRST, 8),
		.last_usable = get(header + HEADER_LAST, 8),
	};
	memcpy(out->disk.bytes, header + HEADER_DISK, sizeof(out->disk.bytes));
	if (out->entry_bytes > ENTRY_BYTES_MOST)
		return E_CORRUPT;
	if (out->entry_count > GPT_ENTRIES ||
		out->entry_count * out->entry_bytes > GPT_ENTRIES_BYTES)
		return E_LIMIT;
	out->entries_bytes = out->entry_count * out->entry_bytes;
	return is_possible(out, block_bytes, block_count) ? 0 : E_CORRUPT;
}

err_t gpt_check_entries(const struct gpt *gpt, const void *entries)
{
	return ~crc32_more(~0u, entries, gpt->entries_bytes) == gpt->entries_crc ? 0 : E_CORRUPT;
}

/* --- Entries ---------------------------------------------------------------------------------- */

static u32 put_utf8(char *to, u32 c)
{
	if (c < 0x80) {
		to[0] = (char)(c < ' ' || c == 0x7f ? '?' : c);
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	to[0] = (char)(0xe0 | c >> 12);
	to[1] = (char)(0x80 | (c >> 6 & 0x3f));
	to[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

/* UTF-16 as UTF-8; halves of a pair, and so all beyond 16 bits, become '?'. */
static void copy_name(char *to, const u8 *units)
{
	for (u32 i = 0; i < NAME_UNITS; i++) {
		u32 c = (u32)get(units + 2 * i, 2);

		if (c == 0)
			break;
		to += put_utf8(to, c >= 0xd800 && c < 0xe000 ? '?' : c);
	}
	*to = '\0';
}

static const u8 *entry_at(const struct gpt *gpt, const void *entries, u32 index)
{
	return (const u8 *)entries + (size_t)index * gpt->entry_bytes;
}

static bool is_used(const u8 *entry)
{
	return memcmp(entry + ENTRY_TYPE, type_unused.bytes, sizeof(type_unused.bytes)) != 0;
}

err_t gpt_read_entry(
	const struct gpt *gpt, const void *entries, u32 index, struct gpt_partition *out)
{
	const u8 *entry;
	u64 first, last;

	if (index >= gpt->entry_count)
		return E_RANGE;
	entry = entry_at(gpt, entries, index);
	if (!is_used(entry))
		return E_NOTFOUND;
	first = get(entry + ENTRY_FIRST, 8);
	last = get(entry + ENTRY_LAST, 8);
	if (first > last || first < gpt->first_usable || last > gpt->last_usable)
		return E_CORRUPT;
	for (u32 i = 0; i < index; i++) {
		const u8 *other = entry_at(gpt, entries, i);

		if (is_used(other) && ranges_overlap(first, last, get(other + ENTRY_FIRST, 8),
					      get(other + ENTRY_LAST, 8)))
			return E_CORRUPT;
	}
	memcpy(out->type.bytes, entry + ENTRY_TYPE, 16);
	memcpy(out->id.bytes, entry + ENTRY_ID, 16);
	out->first_block = first;
	out->block_count = last - first + 1;
	out->attributes = get(entry + ENTRY_ATTRIBUTES, 8);
	copy_name(out->name, entry + ENTRY_NAME);
	return 0;
}

static bool is_wanted(
	const struct gpt_partition *partition, const struct guid *type, const char *name)
{
	return type ? guid_equal(&partition->type, type) : strcmp(partition->name, name) == 0;
}

static err_t find(const struct gpt *gpt, const void *entries, const struct guid *type,
	const char *name, struct gpt_partition *out)
{
	struct gpt_partition partition;
	bool found = false;

	for (u32 i = 0; i < gpt->entry_count; i++) {
		if (gpt_read_entry(gpt, entries, i, &partition) ||
			!is_wanted(&partition, type, name))
			continue;
		if (found)
			return E_EXIST;
		*out = partition;
		found = true;
		if (type)
			break;
	}
	return found ? 0 : E_NOTFOUND;
}

err_t gpt_find_type(const struct gpt *gpt, const void *entries, const struct guid *type,
	struct gpt_partition *out)
{
	return find(gpt, entries, type, NULL, out);
}

err_t gpt_find_name(
	const struct gpt *gpt, const void *entries, const char *name, struct gpt_partition *out)
{
	return find(gpt, entries, NULL, name, out);
}

/* --- GUIDs ------------------------------------------------------------------------------------ */

bool guid_equal(const struct guid *a, const struct guid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void guid_text(const struct guid *guid, char out[GPT_TEXT_BYTES])
{
	const u8 *b = guid->bytes;

	fmt_snprintf(out, GPT_TEXT_BYTES,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[3], b[2],
		b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
}

const char *gpt_type_name(const struct guid *type)
{
	static const struct {
		const struct guid *type;
		const char *name;
	} names[] = {
		{&gpt_type_swap, "Bellows swap"},
		{&gpt_type_disk, "Bellows disk"},
		{&gpt_type_test, "Bellows test"},
		{&type_efi, "EFI system"},
		{&type_linux, "Linux data"},
		{&type_linux_swap, "Linux swap"},
	};

	for (u32 i = 0; i < ARRAY_COUNT(names); i++) {
		if (guid_equal(names[i].type, type))
			return names[i].name;
	}
	return NULL;
}
