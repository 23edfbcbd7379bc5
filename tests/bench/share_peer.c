/* See share_peer.h. */
#include "tests/bench/share_peer.h"
#include "tests/bench/timing.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS       5
#define UNTIL_MOST_S  300.0 /* of a busy machine */
#define SAVING_PASSES 3u    /* until it has saved what it can */
#define SLAB          "/sys/kernel/slab/"
/* Of a 64-bit kernel's, where it does not tell. */
#define ITEM_BYTES 64u
#define PFN_MASK   BITS(54, 0) /* "pagemap, from the userspace perspective" */

static const struct corpus *corpus;
static unsigned char *guests[CORPUS_GUESTS_MOST];
static u64 *entries;      /* of /proc/self/pagemap, one for each page of the corpus */
static double others_s;   /* ksmd's pass over other processes' pages */
static double others_pct; /* of the last measurement */

static u64 items_of_all(void)
{
	return timing_ksm_count("pages_shared") + timing_ksm_count("pages_sharing") +
	       timing_ksm_count("pages_unshared") + timing_ksm_count("pages_volatile");
}

/* Pages of this process that it has an item for. */
static u64 own_items(void)
{
	FILE *file = fopen("/proc/self/ksm_stat", "re");
	unsigned long long items = 0;

	if (!file || fscanf(file, "ksm_rmap_items %llu", &items) != 1)
		timing_cannot_run("this kernel does not tell a process' pages that KSM knows");
	fclose(file);
	return items;
}

static void look_later(double started)
{
	const struct timespec pause = {0, LOOK_MS * 1000000};

	if (timing_wall_s() - started > UNTIL_MOST_S)
		timing_cannot_run("KSM makes no progress");
	nanosleep(&pause, NULL);
}

/* Until the end of a pass over all there is. With nothing to scan ksmd sleeps: false. */
static bool pass_ends(void)
{
	u64 scans = timing_ksm_count("full_scans");
	double started = timing_wall_s();

	while (timing_ksm_count("full_scans") == scans) {
		if (items_of_all() == 0)
			return false;
		look_later(started);
	}
	return true;
}

static double others_measure(void)
{
	double before;

	/* The first one forgets what has ended. */
	if (!pass_ends())
		return 0;
	before = timing_ksm_cpu_s();
	return pass_ends() ? timing_ksm_cpu_s() - before : 0;
}

/* What is ksmd's time for our pages, of what it has had since. */
struct interval {
	double cpu_s;
	u64 scans;
};

static struct interval interval_start(void)
{
	return (struct interval){timing_ksm_cpu_s(), timing_ksm_count("full_scans")};
}

static double interval_own_s(const struct interval *since, u64 passes)
{
	double spent = timing_ksm_cpu_s() - since->cpu_s, others = others_s * (double)passes;

	others_pct = spent > 0 ? 100 * others / spent : 0;
	return spent - others;
}

static u64 passes_since(const struct interval *since)
{
	return timing_ksm_count("full_scans") - since->scans;
}

static struct interval made; /* when KSM was given our pages */

void peer_make(const struct corpus *of)
{
	u64 bytes = of->guest_pages * PAGE_BYTES;

	corpus = of;
	entries = malloc(corpus->count * sizeof(*entries));
	for (u32 i = 0; i < corpus->guest_count; i++) {
		guests[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (guests[i] == MAP_FAILED || !entries)
			timing_cannot_run("no memory for KSM's copy");
		madvise(guests[i], bytes, MADV_NOHUGEPAGE);
	}
	for (u64 i = 0; i < corpus->count; i++) {
		const struct corpus_page *p = &corpus->pages[i];

		memcpy(guests[p->guest] + p->page * PAGE_BYTES, p->bytes, PAGE_BYTES);
	}
	others_s = others_measure();
	made = interval_start();
	for (u32 i = 0; i < corpus->guest_count; i++) {
		if (madvise(guests[i], bytes, MADV_MERGEABLE))
			timing_cannot_run("this kernel has no KSM");
	}
}

void peer_end(void)
{
	for (u32 i = 0; i < corpus->guest_count; i++)
		munmap(guests[i], corpus->guest_pages * PAGE_BYTES);
	free(entries);
}

double peer_first_s(void)
{
	double started = timing_wall_s();
	u64 ended = made.scans, now;

	/* The last page is seen right before its pass ends, so by now that may have ended: in KSM's
	 * favour. */
	while (now = timing_ksm_count("full_scans"), own_items() < corpus->count) {
		ended = now;
		look_later(started);
	}
	/* The pass in which it was seen; and the next. */
	while (timing_ksm_count("full_scans") < ended + 2)
		look_later(started);
	return interval_own_s(&made, passes_since(&made));
}

double peer_pass_s(void)
{
	struct interval since;

	pass_ends();
	since = interval_start();
	pass_ends();
	return interval_own_s(&since, 1);
}

double peer_others_pct(void)
{
	return others_pct;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

/* The frames behind the corpus' pages; *@shared: those behind more than one. */
static u64 frames_in_use(u64 *shared)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	u64 frames = 0;

	for (u64 i = 0; i < corpus->count; i++) {
		const struct corpus_page *p = &corpus->pages[i];
		u64 page = (u64)guests[p->guest] / PAGE_BYTES + p->page;
		u64 run = 1;

		while (i + run < corpus->count && corpus->pages[i + run].guest == p->guest &&
			corpus->pages[i + run].page == p->page + run)
			run++;
		if (pread(fd, &entries[i], run * sizeof(*entries), (off_t)(page * sizeof(u64))) !=
			(ssize_t)(run * sizeof(*entries)))
			timing_cannot_run("/proc/self/pagemap cannot be read");
		i += run - 1;
	}
	close(fd);
	for (u64 i = 0; i < corpus->count; i++)
		entries[i] &= PFN_MASK;
	qsort(entries, corpus->count, sizeof(*entries), by_value);
	if (entries[corpus->count - 1] == 0)
		timing_cannot_run("the kernel does not tell us frame numbers");
	*shared = 0;
	for (u64 i = 0, end; i < corpus->count; i = end) {
		for (end = i + 1; end < corpus->count && entries[end] == entries[i]; end++)
			;
		frames++;
		*shared += end - i > 1;
	}
	return frames;
}

double peer_until(u64 saved_frames)
{
	double started = timing_wall_s();
	u64 shared;

	do {
		look_later(started);
	} while (corpus->count - frames_in_use(&shared) < saved_frames);
	/* The pass under way counts as one: in KSM's favour. */
	return interval_own_s(&made, passes_since(&made) + 1);
}

static u64 slab_object_bytes(const char *path)
{
	uint64_t bytes;

	return timing_setting_read(path, &bytes) ? bytes : ITEM_BYTES;
}

struct peer_figures peer_figures(void)
{
	u64 shared, frames;

	for (u32 i = 0; i < SAVING_PASSES; i++)
		pass_ends();
	frames = frames_in_use(&shared);
	return (struct peer_figures){
		.saved_frames = corpus->count - frames,
		.metadata_bytes = own_items() * slab_object_bytes(SLAB "ksm_rmap_item/slab_size") +
				  shared * slab_object_bytes(SLAB "ksm_stable_node/slab_size"),
	};
}
