/*
 * Pages that the hypervisor compresses (mm/zcache/zcache.h), seen from inside: bellows.bare=zip
 * checks that vector registers survive that library's use of them, bellows.bench=zip measures what
 * the touch of a compressed page costs, and what LZ4 and the checksum take of it, which are linked
 * in here, too.
 *
 * The VM's debug.reclaim says after how many exits all of its pages go: EXITS of the bench's, a few
 * of the test's.
 */
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/bare.h"
#include "tests/emu/guests/bare/zip_codec.h"

#define PAGES     128u
#define EXITS     4096u /* the bench's debug.reclaim; it causes fewer than that besides */
#define ROUNDS    1000u
#define REGISTERS 16u

static uint64_t samples[PAGES];

/* --- Both --- */

/* A page that no other is like; LZ4 makes some 1,500 bytes of it, in many short matches. */
static void page_fill(uint8_t *page, uint64_t seed)
{
	uint64_t *words = (uint64_t *)(void *)page, random = seed;

	for (uint32_t i = 0; i < PAGE_BYTES / 8; i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		words[i] = i % 4 ? seed * 0x9e3779b97f4a7c15ull : random;
	}
}

static uint8_t *pages_fill(const struct bare_boot *boot)
{
	uint8_t *pages = (uint8_t *)(((uintptr_t)free_memory(boot) + PAGE_BYTES - 1) &
				     -(uintptr_t)PAGE_BYTES);

	if ((uintptr_t)pages + PAGES * PAGE_BYTES > boot->memory_end)
		return NULL;
	for (uint32_t i = 0; i < PAGES; i++)
		page_fill(pages + i * PAGE_BYTES, i + 1);
	return pages;
}

static void exit_once(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
}

/* SSE for LZ4 and the test, and AVX where there is any; returns whether there is. */
static bool vectors_enable(void)
{
	uint32_t eax = 1, ebx, ecx = 0, edx;
	uint64_t cr0, cr4;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %0, %%cr0" ::"r"((cr0 & ~0xcull) | 2)); /* EM, TS; MP */
	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	cr4 |= 0x600;                       /* OSFXSR, OSXMMEXCPT */
	cr4 |= ecx >> 26 & 1 ? 0x40000 : 0; /* OSXSAVE */
	asm volatile("mov %0, %%cr4" ::"r"(cr4));
	if (!(ecx >> 26 & 1) || !(ecx >> 28 & 1))
		return false;
	asm volatile("xsetbv" ::"a"(7), "d"(0), "c"(0));
	return true;
}

/* --- The bench --- */

static bool bench_codec(const uint8_t *pages)
{
	static uint64_t checksum[PAGES], lz4[PAGES];

	for (uint32_t i = 0; i < PAGES; i++) {
		if (!zip_codec_measure(pages + i * PAGE_BYTES, &checksum[i], &lz4[i]))
			return false;
	}
	bench_show("checksum", checksum, PAGES);
	bench_show("lz4", lz4, PAGES);
	return true;
}

bool zip_bench(const struct bare_boot *boot)
{
	uint8_t *pages = pages_fill(boot);

	vectors_enable();
	if (!pages || !bench_codec(pages))
		return false;
	for (uint32_t i = 0; i < EXITS; i++)
		exit_once();
	for (uint32_t i = 0; i < PAGES; i++)
		samples[i] = measure_touch(pages + i * PAGE_BYTES);
	bench_show("zip", samples, PAGES);
	return true;
}

/* --- The test --- */

struct vectors {
	uint8_t bytes[REGISTERS][32]; /* the upper half is AVX's */
	uint32_t mxcsr;
	uint16_t fcw;
};

#define EACH(op)                                                                                   \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13)    \
		op(14) op(15)
#define LOAD_AVX(n)  "vmovdqu " #n "*32(%0), %%ymm" #n "\n\t"
#define STORE_AVX(n) "vmovdqu %%ymm" #n ", " #n "*32(%0)\n\t"
#define LOAD_SSE(n)  "movdqu " #n "*32(%0), %%xmm" #n "\n\t"
#define STORE_SSE(n) "movdqu %%xmm" #n ", " #n "*32(%0)\n\t"

static void vectors_load(const struct vectors *from, bool avx)
{
	if (avx)
		asm volatile(EACH(LOAD_AVX)::"r"(from->bytes) : "memory");
	else
		asm volatile(EACH(LOAD_SSE)::"r"(from->bytes) : "memory");
	asm volatile("ldmxcsr %0; fldcw %1" ::"m"(from->mxcsr), "m"(from->fcw));
}

static void vectors_store(struct vectors *to, bool avx)
{
	if (avx)
		asm volatile(EACH(STORE_AVX)::"r"(to->bytes) : "memory");
	else
		asm volatile(EACH(STORE_SSE)::"r"(to->bytes) : "memory");
	asm volatile("stmxcsr %0; fnstcw %1" : "=m"(to->mxcsr), "=m"(to->fcw));
}

static bool same(const void *a, const void *b, uint32_t bytes)
{
	const uint8_t *x = a, *y = b;

	for (uint32_t i = 0; i < bytes; i++) {
		if (x[i] != y[i])
			return false;
	}
	return true;
}

/*
 * Each round: other contents of all registers, an exit, after which everything is compressed now
 * and then, and a page that may have to come back; nothing may have changed.
 */
void zip_run(const struct bare_boot *boot, uint32_t *test_count, uint32_t *wrong_count)
{
	static uint8_t page[PAGE_BYTES] __attribute__((aligned(4096)));
	static struct vectors before, after;
	uint8_t *pages = pages_fill(boot);
	bool avx = vectors_enable();

	print(avx ? "ZIP with AVX\n" : "ZIP with SSE\n");
	for (uint32_t round = 0; pages && round < ROUNDS; round++) {
		const uint8_t *touched = pages + round * 37 % PAGES * PAGE_BYTES;

		page_fill(page, round % 2 ? round : round * 77);
		for (uint32_t i = 0; i < sizeof(before.bytes); i++)
			before.bytes[i / 32][i % 32] = page[i * 8 + round % 8];
		if (!avx) {
			for (uint32_t i = 0; i < sizeof(before.bytes); i++)
				before.bytes[i / 32][i % 32] =
					i % 32 < 16 ? (uint8_t)(i + round) : 0;
		}
		before.mxcsr = 0x1f80 | (round % 4) << 13;              /* rounding */
		before.fcw = (uint16_t)(0x37f | (round / 4 % 4) << 10); /* rounding */
		vectors_load(&before, avx);
		exit_once();
		*(volatile const uint8_t *)touched;
		vectors_store(&after, avx);
		page_fill(page, round * 37 % PAGES + 1);
		*wrong_count += !same(&before, &after, sizeof(before));
		*wrong_count += !same(page, touched, PAGE_BYTES);
		*test_count += 2;
	}
	*wrong_count += !pages;
}
