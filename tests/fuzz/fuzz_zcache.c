/* SRCS: mm/zcache/zcache_codec.c */
/*
 * Any bytes as a compressed object that came back from swap: nothing outside the two pages is read
 * or written, and only what has the right checksum is taken for a page. The first byte of the input
 * says whether the checksum is made right, or no input would ever get to LZ4.
 *
 * LZ4 is not instrumented: pages that may not be touched lie around those that may.
 */
#include "mm/zcache/zcache_codec.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FROM = 1, TO = 3, FRAMES = 5 }; /* the others are the fences */

static u8 *frames;

void *platform_frame_va(pfn_t pfn)
{
	return frames + pfn.v * PAGE_BYTES;
}

void platform_library_begin(void)
{
}

void platform_library_end(void)
{
}

/* The work memory is for compressing only. */
u32 platform_cpu_id(void)
{
	abort();
}

u32 platform_cpu_count(void)
{
	abort();
}

pfn_t frame_alloc_run(enum frame_kind kind, u64 count)
{
	(void)kind, (void)count;
	abort();
}

static void fences_make(void)
{
	frames = mmap(NULL, FRAMES * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (frames == MAP_FAILED ||
		mprotect(platform_frame_va(PFN(FROM)), PAGE_BYTES, PROT_READ | PROT_WRITE) ||
		mprotect(platform_frame_va(PFN(TO)), PAGE_BYTES, PROT_READ | PROT_WRITE))
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *from, *to;
	u32 checksum, told;
	err_t err;

	if (!frames)
		fences_make();
	if (size < 1 + sizeof(checksum) || size - 1 > PAGE_BYTES)
		return 0;
	size--;
	from = platform_frame_va(PFN(FROM));
	to = platform_frame_va(PFN(TO));
	memset(from, 0, PAGE_BYTES);
	memcpy(from, data + 1, size);
	checksum = zcache_checksum(from + sizeof(checksum), (u32)(size - sizeof(checksum)));
	if (data[0] & 1)
		memcpy(from, &checksum, sizeof(checksum));
	memcpy(&told, from, sizeof(told));
	err = zcache_decode(PFN(FROM), (u32)size, PFN(TO));
	if (err && err != E_CORRUPT)
		abort();
	if (!err && told != checksum)
		abort();
	/* Again, at the very end of its page: not a byte behind it is read. */
	from += PAGE_BYTES - size;
	memcpy(from, data + 1, size);
	if (zcache_unpack(checksum, from + sizeof(checksum), (u32)(size - sizeof(checksum)), to) &&
		!err)
		abort();
	return 0;
}
