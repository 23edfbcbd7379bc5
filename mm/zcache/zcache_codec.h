/*
 * How a page becomes a compressed object and back: LZ4, with a checksum of what LZ4 made. In the
 * work memory that each CPU has set aside: a CPU does one thing at a time, so there is no lock.
 *
 * Only zcache.c calls this.
 */
#ifndef MM_ZCACHE_ZCACHE_CODEC_H
#define MM_ZCACHE_ZCACHE_CODEC_H

#include "mm/zcache/zcache.h"

/* An object as it lies in storage. From .checksum on it is what zcache_copy() gives away. */
struct zcache_packed {
	u32 handle; /* whoever moves it finds its entry so */
	u32 checksum;
	u8 lz4[ZCACHE_LZ4_BYTES_MAX];
};

#define ZCACHE_PACKED_HEAD offsetof(struct zcache_packed, lz4)

/* This CPU's own, contents undefined. */
struct zcache_packed *zcache_work(void);

/*
 * Compress @page (4 KiB) into @out, all but the handle. Returns 0 with the length of .lz4 in
 * *@lz4_bytes; E_RANGE (does not shrink to half).
 */
must_check err_t zcache_pack(const void *page, struct zcache_packed *out, u32 *lz4_bytes);

/*
 * Decompress to @page (4 KiB). @lz4: any bytes at all, so many of them. Returns 0; E_CORRUPT.
 */
must_check err_t zcache_unpack(u32 checksum, const u8 *lz4, u32 lz4_bytes, void *page);

/* A hash: two different strings of bytes have the same one with a chance of 2^-32. */
u32 zcache_checksum(const u8 *bytes, u32 count);

#endif
