/* SRCS: tests/fake/fake_platform.c tests/fake/fake_blk.c mm */
/*
 * Real threads as CPUs, each with a swap file of its own on one volume, under ThreadSanitizer: they
 * write, read and free slots, abandon their file with commands under way and make another. Any of
 * them completes the commands of all, so a done() may run before the function that submitted has
 * returned, and while its file is abandoned. Every page that is read is compared;
 * the disk brings a wrong bit now and then. SEED=n; STEPS=n,
 * of each thread.
 */
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/swap/swap.h"
#include "mm/base/str.h"
#include "tests/fake/fake_blk.h"
#include "tests/fake/fake_platform.h"
#include <stdio.h>
#include <stdlib.h>

#define THREADS  4u
#define COMMANDS 6u
#define SLOTS    96u
#define CLUSTER  8u
#define BLOCKS   ((THREADS * 2 * SLOTS + 1) * (u64)(PAGE_BYTES / 512))

enum command_state { COMMAND_IDLE, COMMAND_UNDER_WAY, COMMAND_DONE };

struct command {
	u32 state; /* [a] */
	struct swap_file *file;
	u64 generation; /* of the file: a later one may lie in the same place */
	u32 count;
	u64 slot, seeds[CLUSTER];
	err_t results[CLUSTER];
};

struct worker {
	pthread_t thread;
	u32 cpu;
	u64 steps, next_seed;
	struct rng rng;
	struct swap_file *file;
	u64 seeds[SLOTS]; /* 0: free */
	u32 busy[SLOTS];  /* commands; a second one may begin before the first one's end is noted */
	struct command commands[COMMANDS];
	u64 written, read, abandoned, corrupt;
};

static struct fake_blk disk;
static u64 wrong_pages, orphans;

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

static void fill(pfn_t frame, u64 seed)
{
	u64 *words = platform_frame_va(frame);

	for (u32 i = 0; i < PAGE_BYTES / 8; i++)
		words[i] = seed * 0x9e3779b97f4a7c15ull + i;
}

static bool holds(pfn_t frame, u64 seed)
{
	const u64 *words = platform_frame_va(frame);

	return words[0] == seed * 0x9e3779b97f4a7c15ull &&
	       words[511] == seed * 0x9e3779b97f4a7c15ull + 511;
}

/* On whatever CPU. Of an orphan only the frames are looked at, and where its command is. */
static void on_done(struct swap_io *io)
{
	struct command *c = io->context;

	for (u32 i = 0; i < io->page_count; i++) {
		c->results[i] = io->pages[i].result;
		if (io->pages[i].result == 0 && !holds(io->pages[i].frame, c->seeds[i]))
			__atomic_fetch_add(&wrong_pages, 1, __ATOMIC_RELAXED);
		frame_free(io->pages[i].frame);
	}
	if (io->orphaned)
		__atomic_fetch_add(&orphans, 1, __ATOMIC_RELAXED);
	else if (swap_file_used(c->file) == 0)
		fail("a file with a command has no slot in use");
	swap_io_give(io);
	__atomic_store_n(&c->state, COMMAND_DONE, __ATOMIC_RELEASE);
}

/* Take note of what is over. */
static void reap(struct worker *w)
{
	for (u32 n = 0; n < COMMANDS; n++) {
		struct command *c = &w->commands[n];

		if (__atomic_load_n(&c->state, __ATOMIC_ACQUIRE) != COMMAND_DONE)
			continue;
		for (u32 i = 0; c->generation == w->abandoned && i < c->count; i++) {
			if (c->results[i] && c->results[i] != E_CORRUPT)
				fail("a command failed");
			w->corrupt += c->results[i] != 0;
			w->busy[c->slot + i]--;
		}
		__atomic_store_n(&c->state, COMMAND_IDLE, __ATOMIC_RELAXED);
	}
}

static struct command *idle_command(struct worker *w)
{
	for (u32 n = 0; n < COMMANDS; n++) {
		if (__atomic_load_n(&w->commands[n].state, __ATOMIC_ACQUIRE) == COMMAND_IDLE)
			return &w->commands[n];
	}
	return NULL;
}

static struct swap_io *make_io(struct worker *w, struct command *c, u32 count, bool write)
{
	struct swap_io *io = swap_io_take(write);

	if (!io)
		return NULL;
	io->page_count = count;
	io->done = on_done;
	io->context = c;
	c->file = w->file;
	c->generation = w->abandoned;
	for (u32 i = 0; i < count; i++) {
		pfn_t frame = frame_alloc(FRAME_PRIVATE);

		if (pfn_is_none(frame))
			fail("no frame");
		io->pages[i] =
			(struct swap_page){.gfn = GFN(i), .frame = frame, .bytes = PAGE_BYTES};
	}
	return io;
}

static void write_out(struct worker *w)
{
	struct command *c = idle_command(w);
	u32 count = 1 + (u32)rng_below(&w->rng, CLUSTER);
	struct swap_io *io = c ? make_io(w, c, count, true) : NULL;

	if (!io)
		return;
	for (u32 i = 0; i < count; i++)
		fill(io->pages[i].frame, c->seeds[i] = ++w->next_seed);
	c->count = swap_slots_take(w->file, io) == 0 ? io->page_count : 0;
	for (u32 i = c->count; i < count; i++)
		frame_free(io->pages[i].frame);
	if (c->count == 0) {
		swap_io_give(io);
		return;
	}
	c->slot = io->pages[0].slot;
	for (u32 i = 0; i < c->count; i++) {
		if (w->seeds[c->slot + i])
			fail("a slot was given out twice");
		w->seeds[c->slot + i] = c->seeds[i];
		w->busy[c->slot + i]++;
	}
	w->written += c->count;
	__atomic_store_n(&c->state, COMMAND_UNDER_WAY, __ATOMIC_RELAXED);
	if (swap_write(w->file, io))
		fail("swap_write");
}

static void read_in(struct worker *w)
{
	struct command *c = idle_command(w);
	u64 slot = rng_below(&w->rng, SLOTS);
	struct swap_run run;
	struct swap_io *io;

	if (!c || !w->seeds[slot] || w->busy[slot])
		return;
	swap_neighbours(w->file, slot, CLUSTER, &run);
	io = make_io(w, c, run.count, false);
	if (!io)
		return;
	c->slot = run.first;
	c->count = run.count;
	for (u32 i = 0; i < run.count; i++) {
		io->pages[i].slot = run.first + i;
		c->seeds[i] = w->seeds[run.first + i];
		w->busy[run.first + i]++;
	}
	w->read += run.count;
	__atomic_store_n(&c->state, COMMAND_UNDER_WAY, __ATOMIC_RELAXED);
	if (swap_read(w->file, io))
		fail("swap_read");
}

static void free_slot(struct worker *w)
{
	u64 slot = rng_below(&w->rng, SLOTS);

	if (!w->seeds[slot] || w->busy[slot])
		return;
	swap_slot_free(w->file, slot);
	w->seeds[slot] = 0;
}

/* Until there is room: the slots of files that were abandoned come back with their last command. */
static void make_file(struct worker *w)
{
	char name[16];
	err_t err;

	snprintf(name, sizeof(name), "%u.vswp", w->cpu);
	while ((err = swap_file_create(swap_volume_first(), name, SLOTS, &w->file)) == E_LIMIT)
		fake_blk_run(&disk, 1);
	if (err)
		fail("swap_file_create");
	memset(w->seeds, 0, sizeof(w->seeds));
	memset(w->busy, 0, sizeof(w->busy));
}

static void abandon(struct worker *w)
{
	swap_file_abandon(w->file);
	w->file = NULL;
	w->abandoned++;
	make_file(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	fake_cpu_set(w->cpu);
	make_file(w);
	for (u64 i = 0; i < w->steps; i++) {
		u64 dice = rng_below(&w->rng, 1000);

		reap(w);
		if (dice < 300)
			write_out(w);
		else if (dice < 600)
			read_in(w);
		else if (dice < 750)
			free_slot(w);
		else if (dice < 755)
			abandon(w);
		else
			fake_blk_run(&disk, 1 + (u32)rng_below(&w->rng, 3));
		swap_volumes_poll();
	}
	swap_file_abandon(w->file);
	return NULL;
}

int main(void)
{
	const char *steps = getenv("STEPS");
	static struct worker workers[THREADS];
	u64 written = 0, read = 0, abandoned = 0, corrupt = 0, free_frames, longest;

	fake_start_plain(THREADS, 8192);
	fake_blk_init(&disk, 512, BLOCKS);
	disk.shuffle = true;
	disk.depth = 10;
	disk.corrupt_every = 5;
	fake_log_quiet(true);
	swap_init();
	if (swap_volume_open(&disk.device, 0, BLOCKS, "threads"))
		fail("swap_volume_open");
	fake_blk_run(&disk, 3);
	free_frames = frame_free_count();
	for (u32 i = 0; i < THREADS; i++) {
		workers[i].cpu = i;
		workers[i].steps = steps ? strtoull(steps, NULL, 0) : 2000;
		workers[i].rng.state = rng_seed(1) + i;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (u32 i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		written += workers[i].written;
		read += workers[i].read;
		abandoned += workers[i].abandoned;
		corrupt += workers[i].corrupt;
	}
	while (disk.pending_count) {
		fake_blk_run(&disk, 1);
		swap_volumes_poll();
	}
	if (wrong_pages || frame_free_count() != free_frames || !frame_audit() ||
		swap_directory_room(swap_volume_first(), &longest) !=
			swap_volume_first()->slot_count)
		fail("wrong pages, or not everything came back");
	printf("%llu pages written, %llu read, %llu files abandoned, %llu commands orphaned, "
	       "%llu pages read again, %llu of them in vain\n",
		(unsigned long long)written, (unsigned long long)read,
		(unsigned long long)abandoned, (unsigned long long)orphans,
		(unsigned long long)swap_volume_first()->stats.reread, (unsigned long long)corrupt);
	fake_blk_free(&disk);
	fake_stop();
	return written && read && abandoned && orphans && corrupt ? 0 : 1;
}
