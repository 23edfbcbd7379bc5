/*
 * The firmware's seed is spread by ChaCha20's block function (RFC 8439) with the seed as key and a
 * counter, so that its 32 bytes serve for any number of keys without telling one from another.
 */
#include "hv/x86/random.h"
#include "hv/x86/insn.h"
#include "mm/base/lock.h"
#include "mm/base/str.h"

#define TRIES 100

static bool has_rdseed, has_rdrand, has_seed; /* [I] */
static u32 key[8];                            /* [I] */
static u64 counter;                           /* [a] */

void random_init(const struct boot_info *info)
{
	has_rdrand = cpuid(1).ecx >> 30 & 1;
	has_rdseed = cpuid_or_zero(7, 0).ebx >> 18 & 1;
	has_seed = info->seed_source != BOOT_SEED_NONE;
	memcpy(key, info->seed, sizeof(key));
}

const char *random_source(void)
{
	return has_rdseed   ? "RDSEED"
	       : has_rdrand ? "RDRAND"
	       : has_seed   ? "firmware's seed"
			    : "none";
}

/* Some AMD parts return all ones, "successfully", after a resume or with old firmware. */
static bool is_plausible(u64 word)
{
	return word != 0 && word != ~0ull;
}

static bool rdseed(u64 *out)
{
	bool ok = false;

	for (u32 i = 0; i < TRIES && !ok; i++) {
		__asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok));
		ok = ok && is_plausible(*out);
	}
	return ok;
}

static bool rdrand(u64 *out)
{
	bool ok = false;

	for (u32 i = 0; i < TRIES && !ok; i++) {
		__asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok));
		ok = ok && is_plausible(*out);
	}
	return ok;
}

static u32 rotate(u32 x, u32 n)
{
	return x << n | x >> (32 - n);
}

static void quarter_round(u32 *a, u32 *b, u32 *c, u32 *d)
{
	*a += *b, *d = rotate(*d ^ *a, 16);
	*c += *d, *b = rotate(*b ^ *c, 12);
	*a += *b, *d = rotate(*d ^ *a, 8);
	*c += *d, *b = rotate(*b ^ *c, 7);
}

static u64 from_seed(void)
{
	u64 block = __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
	u32 start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, s[16];

	memcpy(start + 4, key, sizeof(key));
	start[12] = (u32)block;
	start[13] = (u32)(block >> 32);
	memcpy(s, start, sizeof(s));
	for (u32 round = 0; round < 10; round++) {
		for (u32 i = 0; i < 4; i++)
			quarter_round(&s[i], &s[i + 4], &s[i + 8], &s[i + 12]);
		for (u32 i = 0; i < 4; i++)
			quarter_round(&s[i], &s[4 + (i + 1) % 4], &s[8 + (i + 2) % 4],
				&s[12 + (i + 3) % 4]);
	}
	return (u64)(s[1] + start[1]) << 32 | (s[0] + start[0]);
}

bool random_u64(u64 *out)
{
	if (has_rdseed && rdseed(out))
		return true;
	if (has_rdrand && rdrand(out))
		return true;
	if (has_seed)
		*out = from_seed();
	return has_seed;
}
