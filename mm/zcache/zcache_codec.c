/* LZ4 and the checksum: see zcache_codec.h. */
#include "mm/zcache/zcache_codec.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/base/check.h"
#include "mm/base/str.h"
#include <lz4.h>

/* Digits of pi: any odd numbers without a pattern do. */
#define SALT_0 0x243f6a8885a308d3ull
#define SALT_1 0x13198a2e03707345ull
#define SALT_2 0xa4093822299f31d1ull
#define SALT_3 0x082efa98ec4e6c89ull

struct work {
	LZ4_stream_t lz4; /* 16 KiB: the compressor's hash table */
	struct zcache_packed packed;
};

#define WORK_FRAMES (ALIGN_UP(sizeof(struct work), PAGE_BYTES) / PAGE_BYTES)

static struct {
	u8 *all; /* [I] WORK_FRAMES for each CPU */
} codec;

err_t zcache_init_cpus(void)
{
	pfn_t run = frame_alloc_run(FRAME_HV, WORK_FRAMES * platform_cpu_count());

	if (pfn_is_none(run))
		return E_NOMEM;
	codec.all = platform_frame_va(run);
	return 0;
}

static struct work *work_here(void)
{
	return (struct work *)(codec.all + platform_cpu_id() * WORK_FRAMES * PAGE_BYTES);
}

struct zcache_packed *zcache_work(void)
{
	return &work_here()->packed;
}

static u64 word_at(const u8 *bytes)
{
	u64 word;

	__builtin_memcpy(&word, bytes, sizeof(word));
	return word;
}

static u64 fold(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (u64)product ^ (u64)(product >> 64);
}

/* Multiply and fold, in two lanes that do not wait for each other. */
u32 zcache_checksum(const u8 *bytes, u32 count)
{
	u64 a = SALT_0 ^ count, b = SALT_1;
	u8 last[32] = {0};

	for (;;) {
		if (count < sizeof(last)) {
			memcpy(last, bytes, count);
			bytes = last;
		}
		a = fold(word_at(bytes) ^ SALT_2, word_at(bytes + 8) ^ a);
		b = fold(word_at(bytes + 16) ^ SALT_3, word_at(bytes + 24) ^ b);
		if (bytes == last)
			break;
		bytes += sizeof(last);
		count -= sizeof(last);
	}
	a = fold(a ^ SALT_0, b ^ SALT_1);
	return (u32)(a ^ a >> 32);
}

err_t zcache_pack(const void *page, struct zcache_packed *out, u32 *lz4_bytes)
{
	int made;

	platform_library_begin();
	made = LZ4_compress_fast_extState(&work_here()->lz4, page, (char *)out->lz4,
		(int)PAGE_BYTES, (int)ZCACHE_LZ4_BYTES_MAX, 1);
	platform_library_end();
	if (made <= 0)
		return E_RANGE;
	*lz4_bytes = (u32)made;
	out->checksum = zcache_checksum(out->lz4, *lz4_bytes);
	return 0;
}

err_t zcache_unpack(u32 checksum, const u8 *lz4, u32 lz4_bytes, void *page)
{
	int made;

	if (zcache_checksum(lz4, lz4_bytes) != checksum)
		return E_CORRUPT;
	platform_library_begin();
	made = LZ4_decompress_safe((const char *)lz4, page, (int)lz4_bytes, (int)PAGE_BYTES);
	platform_library_end();
	return made == (int)PAGE_BYTES ? 0 : E_CORRUPT;
}

err_t zcache_decode(pfn_t from, u32 bytes, pfn_t to)
{
	const u8 *object = platform_frame_va(from);
	u32 checksum;

	if (bytes <= sizeof(checksum) || bytes > ZCACHE_OBJECT_BYTES_MAX)
		return E_CORRUPT;
	memcpy(&checksum, object, sizeof(checksum));
	return zcache_unpack(checksum, object + sizeof(checksum), bytes - sizeof(checksum),
		platform_frame_va(to));
}
