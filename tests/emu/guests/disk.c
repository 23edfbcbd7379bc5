/*
 * What a Linux guest does with its disk: writes and reads by several threads at a time, of odd
 * lengths and at odd places in memory, each byte of which tells where and when it was written; then
 * discards, zeroes and flushes. All is verified.
 *
 * One argument, "key=value,...": dev (/dev/vda), mib (of it, from its beginning), seconds or ops
 * (of each thread), threads, seed, errors (1: I/O errors are expected, counted and not held against
 * the disk; what could be read must be right). Prints the line by which the hypervisor judges the
 * VM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX   16
#define BUFFER_BYTES  (600u << 10)
#define REQUEST_BYTES (512u << 10)
#define UNDER_WAY_OPS 10 /* of the first thread, when it says so */

struct options {
	char dev[64];
	unsigned long mib, ops, seconds, threads, seed, errors;
};

static struct options options = {"/dev/vda", 8, 200, 0, 4, 1, 0};
static uint32_t block_bytes;

/* One thread has a stretch of the disk for itself, and knows what lies in each block of it. */
struct worker {
	pthread_t thread;
	int fd;
	uint64_t first_block, block_count;
	uint64_t *stamps; /* of each block: what it was written with, 0: zeroes, ~0: anything */
	uint8_t *buffer;
	uint64_t random, next_stamp;
	uint64_t reads, writes, discards, zeroes, flushes, failed, wrong;
};

static uint64_t draw(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

#define ANYTHING (~0ull)

static void fill(uint8_t *at, uint64_t block, uint64_t stamp)
{
	for (uint32_t i = 0; i < block_bytes / 8; i++)
		((uint64_t *)at)[i] =
			stamp ? (stamp * 0x9e3779b97f4a7c15ull) ^ (block << 16) ^ i : 0;
}

static bool is_right(const uint8_t *at, uint64_t block, uint64_t stamp)
{
	uint8_t want[4096];

	if (stamp == ANYTHING)
		return true;
	fill(want, block, stamp);
	return memcmp(at, want, block_bytes) == 0;
}

/* A stretch, and where in memory its data are to lie: often on a page's beginning, often not. */
static uint64_t choose(struct worker *w, uint64_t *count, uint8_t **at)
{
	uint64_t most = REQUEST_BYTES / block_bytes, block = draw(w) % w->block_count;

	*count = 1 + draw(w) % (draw(w) % 4 ? 16 : most);
	if (*count > w->block_count - block)
		*count = w->block_count - block;
	*at = w->buffer + (draw(w) % 3 ? 0 : draw(w) % 16 * block_bytes);
	return block;
}

static void note_failed(struct worker *w, const char *what, uint64_t block)
{
	if (w->failed++ < 3 && !options.errors)
		printf("DISK %s at block %llu: %s\n", what, (unsigned long long)block,
			strerror(errno));
}

static void do_write(struct worker *w)
{
	uint64_t count, block, stamp = w->next_stamp++;
	uint8_t *at;

	block = choose(w, &count, &at);
	for (uint64_t i = 0; i < count; i++)
		fill(at + i * block_bytes, w->first_block + block + i, stamp);
	w->writes++;
	bool ok = pwrite(w->fd, at, count * block_bytes,
			  (off_t)((w->first_block + block) * block_bytes)) ==
		  (ssize_t)(count * block_bytes);
	if (!ok)
		note_failed(w, "write", w->first_block + block);
	for (uint64_t i = 0; i < count; i++)
		w->stamps[block + i] = ok ? stamp : ANYTHING;
}

static void do_read(struct worker *w)
{
	uint64_t count, block;
	uint8_t *at;

	block = choose(w, &count, &at);
	memset(at, 0xa5, count * block_bytes);
	w->reads++;
	if (pread(w->fd, at, count * block_bytes,
		    (off_t)((w->first_block + block) * block_bytes)) !=
		(ssize_t)(count * block_bytes)) {
		note_failed(w, "read", w->first_block + block);
		return;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (is_right(
			    at + i * block_bytes, w->first_block + block + i, w->stamps[block + i]))
			continue;
		if (w->wrong++ < 3)
			printf("DISK wrong byte in block %llu\n",
				(unsigned long long)(w->first_block + block + i));
	}
}

/* Discard or zero. */
static void do_range(struct worker *w, unsigned long request, uint64_t stamp, uint64_t *counter)
{
	uint64_t count, block, range[2];
	uint8_t *at;

	block = choose(w, &count, &at);
	range[0] = (w->first_block + block) * block_bytes;
	range[1] = count * block_bytes;
	++*counter;
	bool ok = ioctl(w->fd, request, range) == 0;
	if (!ok)
		note_failed(w, request == BLKDISCARD ? "discard" : "zero", w->first_block + block);
	for (uint64_t i = 0; i < count; i++)
		w->stamps[block + i] = ok ? stamp : ANYTHING;
}

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *work(void *context)
{
	struct worker *w = context;
	double end = now_seconds() + (double)options.seconds;

	for (unsigned long i = 0; options.seconds ? now_seconds() < end : i < options.ops; i++) {
		uint64_t kind = draw(w) % 100;

		if (w->first_block == 0 && i == UNDER_WAY_OPS)
			printf("DISK under way\n");
		if (kind < 45) {
			do_write(w);
		} else if (kind < 90) {
			do_read(w);
		} else if (kind < 93) {
			do_range(w, BLKDISCARD, ANYTHING, &w->discards);
		} else if (kind < 96) {
			do_range(w, BLKZEROOUT, 0, &w->zeroes);
		} else {
			w->flushes++;
			if (fsync(w->fd) != 0)
				note_failed(w, "flush", 0);
		}
	}
	return NULL;
}

/* All that it wrote, at the end. */
static void verify_all(struct worker *w)
{
	uint64_t step = REQUEST_BYTES / block_bytes;

	for (uint64_t block = 0; block < w->block_count; block += step) {
		uint64_t count = w->block_count - block < step ? w->block_count - block : step;

		if (pread(w->fd, w->buffer, count * block_bytes,
			    (off_t)((w->first_block + block) * block_bytes)) !=
			(ssize_t)(count * block_bytes)) {
			note_failed(w, "read", w->first_block + block);
			continue;
		}
		for (uint64_t i = 0; i < count; i++)
			w->wrong += !is_right(w->buffer + i * block_bytes,
				w->first_block + block + i, w->stamps[block + i]);
	}
}

static int fail(const char *why)
{
	printf("WORKLOAD FAIL profile=disk %s: %s\n", why, strerror(errno));
	return 1;
}

static bool start(struct worker *w, unsigned long number, uint64_t block_count)
{
	w->first_block = number * block_count;
	w->block_count = block_count;
	w->random = options.seed * 0x9e3779b97f4a7c15ull + number + 1;
	w->next_stamp = options.seed << 32 | (number + 1) << 20;
	w->fd = open(options.dev, O_RDWR | O_DIRECT);
	w->stamps = malloc(block_count * sizeof(*w->stamps));
	w->buffer = mmap(
		NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->fd < 0 || !w->stamps || w->buffer == MAP_FAILED)
		return false;
	for (uint64_t i = 0; i < block_count; i++)
		w->stamps[i] = ANYTHING;
	return pthread_create(&w->thread, NULL, work, w) == 0;
}

static int run(void)
{
	static struct worker workers[THREADS_MAX];
	struct worker sum = {0};
	int fd = open(options.dev, O_RDWR);
	uint64_t bytes;

	if (fd < 0 || ioctl(fd, BLKSSZGET, &block_bytes) != 0 ||
		ioctl(fd, BLKGETSIZE64, &bytes) != 0)
		return fail(options.dev);
	printf("DISK %s: %llu MiB, blocks of %u bytes\n", options.dev,
		(unsigned long long)(bytes >> 20), block_bytes);
	for (unsigned long i = 0; i < options.threads; i++) {
		if (!start(&workers[i], i, (options.mib << 20) / block_bytes / options.threads))
			return fail("start");
	}
	for (unsigned long i = 0; i < options.threads; i++) {
		pthread_join(workers[i].thread, NULL);
		verify_all(&workers[i]);
		sum.reads += workers[i].reads;
		sum.writes += workers[i].writes;
		sum.discards += workers[i].discards;
		sum.zeroes += workers[i].zeroes;
		sum.flushes += workers[i].flushes;
		sum.failed += workers[i].failed;
		sum.wrong += workers[i].wrong;
	}
	printf("WORKLOAD %s profile=disk reads=%llu writes=%llu discards=%llu zeroes=%llu flushes=%llu "
	       "failed=%llu wrong=%llu\n",
		sum.wrong || (sum.failed && !options.errors) ? "FAIL" : "ok",
		(unsigned long long)sum.reads, (unsigned long long)sum.writes,
		(unsigned long long)sum.discards, (unsigned long long)sum.zeroes,
		(unsigned long long)sum.flushes, (unsigned long long)sum.failed,
		(unsigned long long)sum.wrong);
	return 0;
}

static bool parse(char *text)
{
	static const struct {
		const char *key;
		unsigned long *to;
	} numbers[] = {{"mib", &options.mib}, {"ops", &options.ops}, {"seconds", &options.seconds},
		{"threads", &options.threads}, {"seed", &options.seed},
		{"errors", &options.errors}};

	for (char *item = strtok(text, ","); item; item = strtok(NULL, ",")) {
		char *value = strchr(item, '=');
		bool known = false;

		if (!value)
			return false;
		*value++ = '\0';
		if (strcmp(item, "dev") == 0) {
			snprintf(options.dev, sizeof(options.dev), "%s", value);
			continue;
		}
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
			if (strcmp(item, numbers[i].key) == 0) {
				*numbers[i].to = strtoul(value, NULL, 0);
				known = true;
			}
		}
		if (!known)
			return false;
	}
	return options.mib && options.threads && options.threads <= THREADS_MAX;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 512);
	if (argc != 2 || !parse(argv[1])) {
		printf("WORKLOAD FAIL profile=disk arguments\n");
		return 1;
	}
	return run();
}
