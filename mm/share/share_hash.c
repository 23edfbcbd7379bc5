/* NH over a page, folded to 64 bits by a keyed multiplication. */
#include "mm/share/share_hash.h"
#include "mm/platform.h"

/* Pages may be hashed while a guest writes them: each word is read once, whatever the compiler
 * would like. */
static u64 word_at(const u64 *words, u32 i)
{
	return __atomic_load_n(&words[i], __ATOMIC_RELAXED);
}

err_t share_key_draw(struct share_key *key)
{
	for (u32 i = 0; i < SHARE_HASH_WORDS; i++) {
		if (!platform_random(&key->words[i]))
			return E_UNSUPPORTED;
	}
	return platform_random(&key->fold[0]) && platform_random(&key->fold[1]) ? E_OK
										: E_UNSUPPORTED;
}

u64 share_hash_page(const struct share_key *key, const void *page, bool *zero)
{
	const u64 *words = page;
	unsigned __int128 sum = 0;
	u64 any = 0;

	for (u32 i = 0; i < SHARE_HASH_WORDS; i += 2) {
		u64 a = word_at(words, i), b = word_at(words, i + 1);

		any |= a | b;
		sum += (unsigned __int128)(a + key->words[i]) * (b + key->words[i + 1]);
	}
	*zero = any == 0;

	unsigned __int128 folded =
		(unsigned __int128)((u64)sum + key->fold[0]) * ((u64)(sum >> 64) + key->fold[1]);

	return (u64)folded ^ (u64)(folded >> 64);
}

bool share_page_is_zero(const void *page)
{
	const u64 *words = page;

	for (u32 i = 0; i < SHARE_HASH_WORDS; i++) {
		if (word_at(words, i))
			return false;
	}
	return true;
}
