/*
 * The C library's memory and string functions for code that has no C library. The compiler itself
 * calls the first four, so none of them may be compiled into a call of itself: the block operations
 * are string instructions (fast on every CPU since 2013 and under emulation, and they need no
 * vector registers), and the loops are kept from being recognised as what they implement.
 */
#ifndef BELLOWS_HOST

#include "mm/base/str.h"
#include "mm/base/types.h"

#pragma GCC optimize("no-tree-loop-distribute-patterns")

/* Eight bytes a step, then the rest: emulators run one step of a string instruction at a time. */
void *memcpy(void *dst, const void *src, size_t bytes)
{
	void *to = dst;
	size_t words = bytes / 8, rest = bytes % 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(src), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(src), "+c"(rest) : : "memory");
	return dst;
}

static void copy_downwards(u8 *dst, const u8 *src, size_t bytes)
{
	while (bytes >= 8) {
		u64 word;

		bytes -= 8;
		__builtin_memcpy(&word, src + bytes, 8);
		__builtin_memcpy(dst + bytes, &word, 8);
	}
	while (bytes > 0) {
		bytes--;
		dst[bytes] = src[bytes];
	}
}

void *memmove(void *dst, const void *src, size_t bytes)
{
	/* Upwards is right unless dst starts inside src; so are word steps, as each loads first. */
	if ((uintptr_t)dst - (uintptr_t)src >= bytes)
		return memcpy(dst, src, bytes);
	copy_downwards(dst, src, bytes);
	return dst;
}

void *memset(void *dst, int c, size_t bytes)
{
	void *to = dst;
	size_t words = bytes / 8, rest = bytes % 8;
	u64 pattern = (u8)c * 0x0101010101010101ull;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const u8 *x = a, *y = b;
	size_t i = 0;

	for (; i + 8 <= bytes; i += 8) {
		u64 p, q;

		__builtin_memcpy(&p, x + i, 8);
		__builtin_memcpy(&q, y + i, 8);
		if (p != q)
			break;
	}
	for (; i < bytes; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t most)
{
	size_t n = 0;

	while (n < most && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t most)
{
	for (size_t i = 0; i < most; i++) {
		if (a[i] != b[i])
			return (u8)a[i] - (u8)b[i];
		if (!a[i])
			break;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

#endif
