/*
 * Records, checksums, and what becomes of a command.
 *
 * A record moves: free -> filled in by its taker -> under way (in its file's list) -> done() ->
 * free or filled in again. A read whose pages are not all right goes on, one page at a time, before
 * its done().
 */
#include "mm/swap/swap_io.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/share/share_hash.h"
#include "mm/stats.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

#define RECORDS_LEAST     64u
#define RECORDS_MOST      512u
#define FRAMES_PER_RECORD 8192u /* one more for each 32 MiB of RAM */

#define COUNT(file, counter, n)                                                                    \
	do {                                                                                       \
		stats_add(&(file)->stats.counter, (n));                                            \
		stats_add(&(file)->volume->stats.counter, (n));                                    \
	} while (0)

static struct {
	struct spinlock lock;
	struct swap_io *all;  /* [I] */
	u32 count;            /* [I] */
	struct swap_io *free; /* [lock] */
	u32 free_count;       /* [lock] */
	struct share_key key; /* [I] */
} records;

/* Without random numbers the sum still finds what went wrong, though not what was made to. */
static void draw_key(void)
{
	if (share_key_draw(&records.key) == 0)
		return;
	log_warn("swap: no random numbers; a disk that lies on purpose could pass");
	for (u32 i = 0; i < SHARE_HASH_WORDS; i++)
		records.key.words[i] = (i + 1) * 0x9e3779b97f4a7c15ull;
	records.key.fold[0] = 0xbf58476d1ce4e5b9ull;
	records.key.fold[1] = 0x94d049bb133111ebull;
}

err_t swap_io_init(void)
{
	u64 count = min(max(frame_total_count() / FRAMES_PER_RECORD, (u64)RECORDS_LEAST),
		(u64)RECORDS_MOST);
	u64 frames = (count * sizeof(struct swap_io) + PAGE_BYTES - 1) / PAGE_BYTES;
	pfn_t run = frame_alloc_run(FRAME_HV, frames);

	if (pfn_is_none(run))
		return E_NOMEM;
	draw_key();
	spin_init(&records.lock, LOCK_RANK_SWAP);
	records.all = platform_frame_va(run);
	records.count = (u32)count;
	records.free = NULL;
	records.free_count = 0;
	for (u32 i = records.count; i-- > 0;)
		swap_io_give(&records.all[i]);
	return 0;
}

struct swap_io *swap_io_take(bool to_write)
{
	struct swap_io *io = NULL;

	spin_lock(&records.lock);
	if (records.free_count > (to_write ? records.count / 4 : 0)) {
		io = records.free;
		records.free = io->next;
		records.free_count--;
	}
	spin_unlock(&records.lock);
	return io;
}

void swap_io_give(struct swap_io *io)
{
	spin_lock(&records.lock);
	io->next = records.free;
	records.free = io;
	records.free_count++;
	spin_unlock(&records.lock);
}

u32 swap_io_count(void)
{
	return records.count;
}

u32 swap_io_number(const struct swap_io *io)
{
	return (u32)(io - records.all);
}

struct swap_io *swap_io_find(u32 number)
{
	CHECK(number < records.count);
	return &records.all[number];
}

/* --- Checksums -------------------------------------------------------------------------------- */

static u32 *object_length(pfn_t frame)
{
	return (u32 *)((char *)platform_frame_va(frame) + PAGE_BYTES - sizeof(u32));
}

/* Also of a page that its guest writes meanwhile, and that is void then: share_hash_page() reads
 * each word once. */
static u32 sum_of(pfn_t frame)
{
	bool zero;

	return (u32)share_hash_page(&records.key, platform_frame_va(frame), &zero);
}

/* A page that was read: is it what was written? */
static err_t check_page(struct swap_io *io, u32 index)
{
	struct swap_page *page = &io->pages[index];
	u32 bytes;

	if (sum_of(page->frame) != io->sums[index])
		return E_CORRUPT;
	if (page->bytes == PAGE_BYTES)
		return 0;
	bytes = *object_length(page->frame);
	if (bytes > SWAP_OBJECT_BYTES_MAX)
		return E_CORRUPT;
	page->bytes = bytes;
	return 0;
}

/* --- The end of a command --------------------------------------------------------------------- */

/* A volume's first failure of each kind is told; after that its counts tell. */
static void tell(const struct swap_volume *volume, const u64 *counter, const char *what)
{
	if (stats_get(counter) == 1)
		log_error("swap: %s: a page %s", volume->name, what);
}

static void count_failure(struct swap_file *file, bool write, err_t result)
{
	const struct swap_volume *volume = file->volume;

	if (write) {
		COUNT(file, write_errors, 1);
		tell(volume, &volume->stats.write_errors,
			"could not be written; it stays in memory");
	} else if (result == E_CORRUPT) {
		COUNT(file, corrupt, 1);
		tell(volume, &volume->stats.corrupt, "is not what was written");
	} else {
		COUNT(file, read_errors, 1);
		tell(volume, &volume->stats.read_errors, "could not be read");
	}
}

static void count_results(struct swap_io *io)
{
	for (u32 i = 0; i < io->page_count; i++) {
		if (io->pages[i].result)
			count_failure(io->file, io->request.op == BLK_WRITE, io->pages[i].result);
	}
}

/* Its caller may use the record again, so nothing of it is looked at after done(). */
static void finish(struct swap_io *io)
{
	struct swap_file *file = io->file;
	bool orphaned;

	count_results(io);
	swap_file_end(file, io);
	orphaned = io->orphaned;
	io->done(io);
	swap_file_delivered(file, orphaned);
}

/* A page that was wrong, or that shared its command's failure, has one more chance. */
static bool deserves_reread(const struct swap_io *io, u32 index)
{
	err_t result = io->pages[index].result;

	return result == E_CORRUPT || (result == E_IO && io->page_count > 1);
}

static err_t submit(struct swap_io *io, u32 first, u32 count)
{
	u64 slot = swap_file_volume_slot(io->file, io->pages[first].slot);

	io->request.segments = &io->segments[first];
	io->request.segment_count = count;
	return swap_volume_submit(io->file->volume, &io->request, slot, count);
}

/*
 * Start to read the next such page from @index on alone; false if there is none. Where one is
 * started, the record may be over with before this returns.
 */
static bool read_next_alone(struct swap_io *io, u32 index)
{
	while (index < io->page_count && !deserves_reread(io, index))
		index++;
	io->alone = index;
	if (index == io->page_count)
		return false;
	COUNT(io->file, reread, 1);
	return submit(io, index, 1) == 0;
}

static void read_done(struct blk_request *request)
{
	struct swap_io *io = request->context;
	bool again = io->alone < io->page_count;
	u32 first = again ? io->alone : 0, end = again ? io->alone + 1 : io->page_count;

	for (u32 i = first; i < end; i++)
		io->pages[i].result = request->result ? E_IO : check_page(io, i);
	if (!read_next_alone(io, again ? end : 0))
		finish(io);
}

static void write_done(struct blk_request *request)
{
	struct swap_io *io = request->context;

	for (u32 i = 0; i < io->page_count; i++)
		io->pages[i].result = request->result ? E_IO : 0;
	finish(io);
}

/* --- The beginning ---------------------------------------------------------------------------- */

static void prepare(struct swap_io *io, struct swap_file *file, enum blk_op op)
{
	CHECK(io->page_count > 0 && io->page_count <= file->volume->cluster_pages);
	io->file = file;
	io->alone = io->page_count;
	for (u32 i = 0; i < io->page_count; i++) {
		CHECK(io->pages[i].slot == io->pages[0].slot + i);
		io->segments[i] =
			(struct blk_segment){pfn_to_hpa(io->pages[i].frame), (u32)PAGE_BYTES};
	}
	io->request = (struct blk_request){
		.op = op,
		.done = op == BLK_WRITE ? write_done : read_done,
		.context = io,
	};
}

/* Nothing was started: as if it had ended, without a done(). */
static err_t take_back(struct swap_io *io)
{
	for (u32 i = 0; i < io->page_count; i++)
		io->pages[i].result = E_IO;
	swap_file_end(io->file, io);
	swap_file_delivered(io->file, io->orphaned);
	return E_IO;
}

err_t swap_write(struct swap_file *file, struct swap_io *io)
{
	u32 pages = io->page_count;

	prepare(io, file, BLK_WRITE);
	for (u32 i = 0; i < pages; i++) {
		struct swap_page *page = &io->pages[i];

		if (page->bytes != PAGE_BYTES)
			*object_length(page->frame) = page->bytes;
		io->sums[i] = sum_of(page->frame);
	}
	swap_file_begin(file, io, true);
	if (submit(io, 0, pages))
		return take_back(io);
	COUNT(file, writes, 1);
	COUNT(file, pages_written, pages);
	return 0;
}

err_t swap_read(struct swap_file *file, struct swap_io *io)
{
	u32 pages = io->page_count;

	prepare(io, file, BLK_READ);
	swap_file_begin(file, io, false);
	if (submit(io, 0, pages))
		return take_back(io);
	COUNT(file, reads, 1);
	COUNT(file, pages_read, pages);
	return 0;
}
