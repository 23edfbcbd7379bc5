/*
 * The C library's memory and string functions that freestanding code needs. On the host the C
 * library's own are used; in the hypervisor mm/base/str.c (not compiled with BELLOWS_HOST) defines
 * them.
 */
#ifndef MM_BASE_STR_H
#define MM_BASE_STR_H

#include <stddef.h>

void *memcpy(void *dst, const void *src, size_t bytes);
void *memmove(void *dst, const void *src, size_t bytes);
void *memset(void *dst, int c, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t most);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
char *strchr(const char *s, int c);

#endif
