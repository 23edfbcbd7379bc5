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

#define LOOK_MS      5
#define UNTIL_MOST_S 120.0
#define SLAB         "/sys/kernel/slab/"
/* Of a 64-bit kernel's, where it does not tell. */
#define ITEM_BYTES   64u
#define PFN_MASK     BITS(54, 0) /* "pagemap, from the userspace perspective" */

static const struct corpus *corpus;
static unsigned char *guests[CORPUS_GUESTS_MOST];
static u64 *entries; /* of /proc/self/pagemap, one for each page of the corpus */

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

static u64 pages_scanned(bool with_skipped)
{
	u64 skipped = 0;

	if (with_skipped)
		timing_setting_read("/sys/kernel/mm/ksm/pages_skipped", &skipped);
	return timing_ksm_count("pages_scanned") + skipped;
}

double peer_page_s(u32 passes, bool with_skipped)
{
	u64 before = pages_scanned(with_skipped);
	double spent = timing_ksm_wait(passes);
	u64 more = pages_scanned(with_skipped) - before;

	return spent / (double)(more ? more : 1);
}

/* Pages that it has an item for: of this process. */
static u64 own_items(void)
{
	FILE *file = fopen("/proc/self/ksm_stat", "re");
	unsigned long long items = 0;

	if (!file || fscanf(file, "ksm_rmap_items %llu", &items) != 1)
		timing_cannot_run("this kernel does not tell a process' pages that KSM knows");
	fclose(file);
	return items;
}

double peer_own_part(void)
{
	u64 own = own_items();
	u64 all = timing_ksm_count("pages_shared") + timing_ksm_count("pages_sharing") +
		  timing_ksm_count("pages_unshared") + timing_ksm_count("pages_volatile");

	return all > own ? (double)own / (double)all : 1;
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
	const struct timespec pause = {0, LOOK_MS * 1000000};
	double start = timing_wall_s(), before = timing_ksm_cpu_s(), spent = 0;
	u64 shared;

	do {
		double now;

		nanosleep(&pause, NULL);
		now = timing_ksm_cpu_s();
		spent += (now - before) * peer_own_part();
		before = now;
		if (timing_wall_s() - start > UNTIL_MOST_S)
			timing_cannot_run("KSM saves too little");
	} while (corpus->count - frames_in_use(&shared) < saved_frames);
	return spent;
}

static u64 slab_object_bytes(const char *path)
{
	uint64_t bytes;

	return timing_setting_read(path, &bytes) ? bytes : ITEM_BYTES;
}

struct peer_figures peer_figures(u32 passes)
{
	u64 shared, frames;

	timing_ksm_wait(passes);
	frames = frames_in_use(&shared);
	return (struct peer_figures){
		.saved_frames = corpus->count - frames,
		.metadata_bytes =
			own_items() * slab_object_bytes(SLAB "ksm_rmap_item/slab_size") +
			shared * slab_object_bytes(SLAB "ksm_stable_node/slab_size"),
	};
}
