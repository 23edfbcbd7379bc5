/*
 * Opening a volume, and the one way to its disk.
 *
 * Opening is a chain of three requests: the header is read, judged, written back (with one boot
 * more, or anew) and flushed; each one's done() starts the next. A power cut anywhere leaves the
 * old header, the new one, or a torn one, which the next boot formats.
 */
#include "mm/swap/swap_volume.h"
#include "mm/swap/swap_header.h"
#include "mm/swap/swap_io.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/base/check.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

static struct swap_volume *volumes, **volumes_end; /* [I] after boot */

void swap_init(void)
{
	volumes = NULL;
	volumes_end = &volumes;
}

struct swap_volume *swap_volume_first(void)
{
	return volumes;
}

bool swap_volume_is_usable(const struct swap_volume *volume)
{
	return swap_volume_state(volume) == SWAP_READY &&
	       !__atomic_load_n(&volume->blk->is_dead, __ATOMIC_RELAXED);
}

/* --- The way to the disk ---------------------------------------------------------------------- */

/*
 * Every request of a volume comes through here. It may not reach beyond its partition, whatever
 * went wrong elsewhere: what lies there is somebody's data.
 */
static err_t hand_over(struct swap_volume *volume, struct blk_request *request)
{
	u64 from = request->block - volume->first_block;

	CHECK(request->op == BLK_READ || request->op == BLK_WRITE || request->op == BLK_FLUSH ||
		request->op == BLK_DEALLOCATE);
	CHECK(request->op == BLK_FLUSH ||
		(request->block >= volume->first_block && request->block_count > 0 &&
			from < volume->block_count &&
			request->block_count <= volume->block_count - from));
	return blk_submit(volume->blk, request);
}

/* Whether any wait is looked at without the lock, too. */
static void wait_at_end(struct swap_volume *volume, struct blk_request *request)
{
	spin_lock(&volume->lock);
	request->next = NULL;
	__atomic_store_n(volume->waiting_end, request, __ATOMIC_RELAXED);
	volume->waiting_end = &request->next;
	spin_unlock(&volume->lock);
}

static void wait_at_head(struct swap_volume *volume, struct blk_request *request)
{
	spin_lock(&volume->lock);
	request->next = volume->waiting;
	__atomic_store_n(&volume->waiting, request, __ATOMIC_RELAXED);
	if (!request->next)
		volume->waiting_end = &request->next;
	spin_unlock(&volume->lock);
}

static struct blk_request *take_waiting(struct swap_volume *volume)
{
	struct blk_request *request;

	spin_lock(&volume->lock);
	request = volume->waiting;
	if (request) {
		__atomic_store_n(&volume->waiting, request->next, __ATOMIC_RELAXED);
		if (!volume->waiting)
			volume->waiting_end = &volume->waiting;
	}
	spin_unlock(&volume->lock);
	return request;
}

/* Returns 0 or E_IO: a disk that is merely full gets it later. */
static err_t start(struct swap_volume *volume, struct blk_request *request)
{
	err_t err = hand_over(volume, request);

	if (err == E_BUSY) {
		wait_at_end(volume, request);
		return 0;
	}
	return err ? E_IO : 0;
}

static void start_waiting(struct swap_volume *volume)
{
	struct blk_request *request;

	while ((request = take_waiting(volume)) != NULL) {
		err_t err = hand_over(volume, request);

		if (err == E_BUSY) {
			wait_at_head(volume, request);
			return;
		}
		if (err) {
			request->result = E_IO;
			request->done(request);
		}
	}
}

void swap_volumes_poll(void)
{
	for (struct swap_volume *v = volumes; v; v = v->next) {
		if (__atomic_load_n(&v->waiting, __ATOMIC_RELAXED))
			start_waiting(v);
	}
}

static u32 blocks_per_slot(const struct swap_volume *volume)
{
	return (u32)(PAGE_BYTES / volume->blk->block_bytes);
}

err_t swap_volume_submit(
	struct swap_volume *volume, struct blk_request *request, u64 slot, u32 count)
{
	CHECK(slot < volume->slot_count && count <= volume->slot_count - slot);
	if (!swap_volume_is_usable(volume))
		return E_IO;
	request->block = volume->slots_block + slot * blocks_per_slot(volume);
	request->block_count = count * blocks_per_slot(volume);
	return start(volume, request);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static void settle(struct swap_volume *volume, enum swap_volume_state state)
{
	if (volume->header)
		frame_free(platform_va_frame(volume->header));
	volume->header = NULL;
	__atomic_store_n(&volume->state, state, __ATOMIC_RELEASE);
}

printf_like(2, 3) static void refuse(struct swap_volume *volume, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fmt_vsnprintf(volume->why, sizeof(volume->why), fmt, args);
	va_end(args);
	log_error("swap: %s: not used: %s", volume->name, volume->why);
	settle(volume, SWAP_REFUSED);
}

static void ready(struct swap_volume *volume)
{
	log_info("swap: %s: %llu.%llu MiB in %llu slots, opened %llu time%s", volume->name,
		(unsigned long long)(volume->slot_count >> 8),
		(unsigned long long)((volume->slot_count & 0xff) * 10 >> 8),
		(unsigned long long)volume->slot_count, (unsigned long long)volume->boots,
		volume->boots == 1 ? "" : "s");
	settle(volume, SWAP_READY);
}

static void start_header(struct swap_volume *volume, enum blk_op op)
{
	volume->header_request.op = op;
	if (start(volume, &volume->header_request))
		refuse(volume, "the disk takes no requests");
}

static void draw_id(u8 id[16])
{
	for (u32 i = 0; i < 2; i++) {
		u64 word;

		/* It is there to tell volumes apart, no secret. */
		if (!platform_random(&word))
			word = platform_now_ns() + i;
		memcpy(id + 8 * i, &word, 8);
	}
}

static void format(struct swap_volume *volume, struct swap_header *header, enum swap_found found)
{
	static const char *const what[] = {
		[SWAP_FOUND_BLANK] = "it had no swap header",
		[SWAP_FOUND_DAMAGED] = "its header was damaged",
		[SWAP_FOUND_RESIZED] = "it was formatted for another size",
	};

	log_info("swap: %s: %s; formatting it", volume->name, what[found]);
	volume->found = found;
	*header = (struct swap_header){
		.block_bytes = volume->blk->block_bytes,
		.block_count = volume->block_count,
	};
	draw_id(header->id);
}

/* What stands in the partition decides what is written there. */
static void judge(struct swap_volume *volume)
{
	struct swap_header header;
	err_t err = swap_header_read(volume->header, &header);

	if (err == E_UNSUPPORTED) {
		refuse(volume, "a newer version of Bellows formatted it");
		return;
	}
	if (err)
		format(volume, &header, err == E_CORRUPT ? SWAP_FOUND_DAMAGED : SWAP_FOUND_BLANK);
	else if (header.block_bytes != volume->blk->block_bytes ||
		 header.block_count != volume->block_count)
		format(volume, &header, SWAP_FOUND_RESIZED);
	volume->boots = ++header.boots;
	memset(volume->header, 0, PAGE_BYTES);
	swap_header_write(&header, volume->header);
	start_header(volume, BLK_WRITE);
}

static void header_done(struct blk_request *request)
{
	struct swap_volume *volume = request->context;

	if (request->result) {
		refuse(volume, "its header could not be %s",
			request->op == BLK_READ ? "read" : "written");
		return;
	}
	if (request->op == BLK_READ) {
		judge(volume);
	} else if (request->op == BLK_WRITE && volume->blk->has_cache) {
		request->block = request->block_count = request->segment_count = 0;
		start_header(volume, BLK_FLUSH);
	} else {
		ready(volume);
	}
}

/* The area of slots begins at a page's boundary of the disk, behind a page for the header. */
static void lay_out(struct swap_volume *volume)
{
	u32 blocks = blocks_per_slot(volume);
	u64 start = ALIGN_UP(volume->first_block, (u64)blocks) + blocks;
	u64 end = volume->first_block + volume->block_count;

	volume->slots_block = start;
	volume->slot_count = end > start ? (end - start) / blocks : 0;
	volume->cluster_pages =
		(u32)min((u64)SWAP_CLUSTER_PAGES, volume->blk->transfer_bytes / PAGE_BYTES);
}

static bool is_on_disk(const struct swap_volume *volume)
{
	const struct blk_device *blk = volume->blk;

	return volume->first_block < blk->block_count &&
	       volume->block_count <= blk->block_count - volume->first_block;
}

static void open(struct swap_volume *volume)
{
	struct blk_device *blk = volume->blk;

	if (!is_on_disk(volume)) {
		refuse(volume, "it does not lie on the disk");
		return;
	}
	lay_out(volume);
	if (volume->slot_count == 0 || volume->cluster_pages == 0) {
		refuse(volume, volume->slot_count ? "the disk does not move a page at once"
						  : "it is too small to hold a page");
		return;
	}
	volume->header_segment = (struct blk_segment){
		pfn_to_hpa(platform_va_frame(volume->header)), blk->block_bytes};
	volume->header_request = (struct blk_request){
		.block = volume->first_block,
		.block_count = 1,
		.segments = &volume->header_segment,
		.segment_count = 1,
		.done = header_done,
		.context = volume,
	};
	start_header(volume, BLK_READ);
}

_Static_assert(sizeof(struct swap_volume) <= PAGE_BYTES, "a volume lies in one frame");

err_t swap_volume_open(struct blk_device *blk, u64 first_block, u64 block_count, const char *name)
{
	pfn_t frame = frame_alloc_zeroed(FRAME_HV), header = frame_alloc_zeroed(FRAME_HV);
	struct swap_volume *volume;

	if (pfn_is_none(frame) || pfn_is_none(header))
		goto no_memory;
	if (!volumes && swap_io_init())
		goto no_memory;
	volume = platform_frame_va(frame);
	fmt_snprintf(volume->name, sizeof(volume->name), "%s", name);
	volume->blk = blk;
	volume->first_block = first_block;
	volume->block_count = block_count;
	volume->header = platform_frame_va(header);
	volume->waiting_end = &volume->waiting;
	spin_init(&volume->lock, LOCK_RANK_SWAP);
	list_init(&volume->files);
	*volumes_end = volume;
	volumes_end = &volume->next;
	open(volume);
	return 0;

no_memory:
	if (!pfn_is_none(header))
		frame_free(header);
	if (!pfn_is_none(frame))
		frame_free(frame);
	return E_NOMEM;
}
