/* See guest_corpus.h. Pages are alike if their bytes are: the hash here only sorts them. */
#define _GNU_SOURCE
#include "tests/bench/guest_corpus.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool ok, const char *path)
{
	if (ok)
		return;
	perror(path);
	exit(1);
}

static bool is_zero(const unsigned char *bytes)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, PAGE_BYTES - 1) == 0;
}

static u64 hash_of(const unsigned char *bytes)
{
	const u64 *words = (const u64 *)(const void *)bytes;
	u64 hash = 0;

	for (u32 i = 0; i < PAGE_BYTES / sizeof(u64); i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	return hash;
}

static void page_add(struct corpus *corpus, u32 guest, u64 page, const unsigned char *memory)
{
	const unsigned char *bytes = memory + page * PAGE_BYTES;

	corpus->pages[corpus->count++] =
		(struct corpus_page){bytes, hash_of(bytes), guest, (u32)page, 0};
}

/* The pages of one file that are no hole. */
static void guest_read(struct corpus *corpus, u32 guest, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat facts;
	off_t at, end = 0;

	must(fd >= 0 && fstat(fd, &facts) == 0, path);
	u64 pages = (u64)facts.st_size / PAGE_BYTES;
	unsigned char *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ, MAP_PRIVATE, fd, 0);

	must(memory != MAP_FAILED && (guest == 0 || pages == corpus->guest_pages), path);
	corpus->guest_pages = pages;
	corpus->pages = realloc(
		corpus->pages, (corpus->count + pages) * sizeof(corpus->pages[0]));
	must(corpus->pages, path);
	while ((at = lseek(fd, end, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		for (u64 page = (u64)at / PAGE_BYTES; page < (u64)end / PAGE_BYTES; page++)
			page_add(corpus, guest, page, memory);
	}
	close(fd);
}

static int by_bytes(const void *a, const void *b)
{
	const struct corpus_page *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->bytes == y->bytes ? 0 : memcmp(x->bytes, y->bytes, PAGE_BYTES);
}

static int by_place(const void *a, const void *b)
{
	const struct corpus_page *x = a, *y = b;

	if (x->guest != y->guest)
		return x->guest < y->guest ? -1 : 1;
	return (x->page > y->page) - (x->page < y->page);
}

static bool is_of(const struct corpus_page *page, enum corpus_part part)
{
	switch (part) {
	case CORPUS_UNIQUE:
		return page->copies == 1 && !is_zero(page->bytes);
	case CORPUS_DUPLICATE:
		return page->copies > 1 && !is_zero(page->bytes);
	default:
		return true;
	}
}

/* @pages are sorted by bytes. Count copies, and keep @part of them. */
static void keep(struct corpus *corpus, enum corpus_part part)
{
	struct corpus_page *pages = corpus->pages;
	u64 kept = 0, end;

	for (u64 first = 0; first < corpus->count; first = end) {
		for (end = first + 1; end < corpus->count &&
				      by_bytes(&pages[first], &pages[end]) == 0;
			end++)
			;
		pages[first].copies = (u32)(end - first);
		if (!is_of(&pages[first], part))
			continue;
		corpus->spare_count += end - first - !is_zero(pages[first].bytes);
		for (u64 i = first; i < end; i++) {
			pages[kept] = pages[i];
			pages[kept++].copies = (u32)(end - first);
		}
	}
	corpus->count = kept;
}

void corpus_read(struct corpus *corpus, enum corpus_part part, char **paths, u32 count)
{
	must(count > 0 && count <= CORPUS_GUESTS_MOST, "the number of guests");
	*corpus = (struct corpus){.guest_count = count};
	for (u32 guest = 0; guest < count; guest++)
		guest_read(corpus, guest, paths[guest]);
	qsort(corpus->pages, corpus->count, sizeof(corpus->pages[0]), by_bytes);
	keep(corpus, part);
	qsort(corpus->pages, corpus->count, sizeof(corpus->pages[0]), by_place);
	must(corpus->count > 0, "pages of that kind");
}
