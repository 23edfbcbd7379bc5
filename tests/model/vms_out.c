/*
 * Pages go out of memory and come back, by every way and at any moment: batches that stand half
 * done over other steps, a disk that completes in any order and fails now and then. See vms.h.
 */
#include "tests/model/vms_private.h"
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evict_objects.h"
#include "mm/reclaim/evicted.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/reclaim_choice.h"
#include "mm/reclaim/reclaim_shared.h"
#include "mm/space/space_peek.h"
#include "mm/space/space_registry.h"
#include "mm/swap/swap.h"
#include "mm/zcache/zcache.h"
#include "tests/fake/fake_blk.h"

#define BLOCK_BYTES 512u
#define DISK_SLOTS  8000u
#define PEEKS       3u
#define RECORDS_MAX 513u /* and NULL */

static struct fake_blk disk;
static struct evict_batch batch;
static bool has_batch;
static pfn_t scratch[2]; /* where a page is looked at that is not in memory */

/* Looks at absent pages, maybe under way, and what they must see. */
static struct peek {
	struct space_peek peek;
	bool under_way;
	u8 expected[PAGE_BYTES];
} peeks[PEEKS];

static void peek_done(struct space_peek *peek, err_t result)
{
	struct peek *p = container_of(peek, struct peek, peek);

	if (result == E_OK && memcmp(platform_frame_va(peek->to), p->expected, PAGE_BYTES) != 0)
		wrong("a look at an absent page saw wrong bytes");
	if (result != E_OK && result != E_NOTFOUND && !options->disk_faults)
		wrong("an absent page could not be looked at");
	p->under_way = false;
	world.peeks += result == E_OK;
}

void out_start(void)
{
	fake_blk_init(&disk, BLOCK_BYTES, (DISK_SLOTS + 1) * (PAGE_BYTES / BLOCK_BYTES));
	disk.rng.state = options->seed;
	swap_init();
	if (swap_volume_open(&disk.device, 0, disk.device.block_count, "model"))
		wrong("swap_volume_open");
	while (swap_volume_state(swap_volume_first()) == SWAP_OPENING)
		fake_blk_run(&disk, 1);
	if (reclaim_init())
		wrong("reclaim_init");
	disk.shuffle = true;
	reclaim_choose_randomly(false);
	has_batch = false;
	for (u32 i = 0; i < ARRAY_COUNT(scratch); i++)
		scratch[i] = frame_alloc(FRAME_HV);
	for (u32 i = 0; i < PEEKS; i++)
		peeks[i] = (struct peek){.peek = {.to = frame_alloc(FRAME_HV), .done = peek_done}};
}

void out_stop(void)
{
	fake_blk_free(&disk);
}

void step_disk(u32 most)
{
	fake_guest_leave();
	if (options->disk_faults && chance(10))
		disk.fail_nth = 1 + below(4);
	if (options->disk_faults && chance(10))
		disk.corrupt_nth = 1 + below(4);
	while (most && fake_blk_run(&disk, 1))
		most--;
}

void out_waited(void)
{
	world.waits++;
}

void out_lost(struct vm *vm)
{
	world.lost++;
	if (!options->disk_faults)
		wrong("a page was lost");
	if (vm == world.scanned)
		vm_clear(vm);
	else
		vm_destroy(vm);
}

/* --- Out ------------------------------------------------------------------------------------- */

static void batch_go_on(u64 end_ns)
{
	struct space *space = space_hold(batch.number, batch.serial);

	has_batch = !evict_some(&batch, space, end_ns);
	if (space)
		space_release(space);
}

void out_finish(void)
{
	fake_guest_leave();
	if (has_batch)
		batch_go_on(~0ull);
	/* What waits in the background's own batch. */
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (world.vms[i].space)
			reclaim_from(world.vms[i].space, 1, ~0ull >> 1);
	}
}

/* Shared pages are otherwise evicted only when nothing else is left. */
static void shared_begin(void)
{
	struct space *space;

	if (reclaim_choose_shared(&batch, &space) != RECLAIM_SWEPT_SOME)
		return;
	has_batch = true;
	world.shared_out += batch.io->page_count;
	space_release(space);
}

void step_evict(struct vm *vm)
{
	u64 dice = below(100);

	fake_guest_leave();
	if (dice < 5)
		reclaim_choose_randomly(chance(50));
	if (has_batch && dice < 70)
		batch_go_on(chance(70) ? 0 : ~0ull);
	else if (options->share && !has_batch && dice < 40)
		shared_begin();
	else if (dice < 75)
		reclaim_work(chance(50) ? 0 : 1000000);
	else if (!vm)
		return;
	else if (dice < 85)
		reclaim_from(vm->space, 1 + below(100), chance(50) ? 0 : 1000000);
	else if (dice < 88 && vm->space->zcache && vm->space->swap)
		evict_objects_write(vm->space);
	else if (dice < 90)
		reclaim_everything(vm->space);
	else if (!has_batch) {
		reclaim_choose(vm->space, &batch, 1 + (u32)below(EVICT_BATCH_PAGES),
			(enum reclaim_effort)below(RECLAIM_ANY + 1));
		has_batch = true;
	}
}

/*
 * A record that cannot be taken is a command's under way, or a batch's: the model's own, or the
 * background's. It holds each shared frame in it by one reference. Records are given back in the
 * order that leaves them as they were.
 */
void out_references(u32 *references)
{
	static struct swap_io *free_ones[RECORDS_MAX];
	bool is_free[RECORDS_MAX] = {false};
	u32 free_count = 0;

	while ((free_ones[free_count] = swap_io_take(false)) != NULL)
		is_free[swap_io_number(free_ones[free_count++])] = true;
	for (u32 number = 0; number < swap_io_count(); number++) {
		const struct swap_io *io = swap_io_find(number);

		for (u32 i = 0; !is_free[number] && i < io->page_count; i++)
			references[io->pages[i].frame.v]++;
	}
	while (free_count)
		swap_io_give(free_ones[--free_count]);
}

/* --- Peeks ----------------------------------------------------------------------------------- */

/* Any page, mostly one that is not in memory. */
static u64 absent_page(struct space *space)
{
	u64 index = any_page(space), first = index;
	bool absent = chance(5);

	while (!absent) {
		enum page_state state = space_page_state(space, space_page_gfn(space, index));

		absent = state == PAGE_ZIPPED || state == PAGE_SWAPPED ||
			 state == PAGE_ZIPPED_WRITING;
		if (!absent)
			index = (index + 1) % space->page_count;
		absent = absent || index == first;
	}
	return index;
}

void step_peek(struct vm *vm)
{
	struct peek *p = &peeks[below(PEEKS)];
	u64 index = absent_page(vm->space);
	const u8 *model = model_page(vm, index, false);

	fake_guest_leave();
	if (p->under_way)
		return;
	memset(p->expected, 0, PAGE_BYTES);
	if (model)
		memcpy(p->expected, model, PAGE_BYTES);
	p->under_way = true;
	err_t err = space_peek(vm->space, space_page_gfn(vm->space, index), &p->peek);

	if (err == E_EXIST || err == E_BUSY)
		p->under_way = false;
	else if (err != E_WAIT)
		peek_done(&p->peek, err);
}

/* --- Looking --------------------------------------------------------------------------------- */

static const u8 *object_look(struct space *space, u64 handle)
{
	if (zcache_load(space->zcache, handle, scratch[0]))
		wrong("an object cannot be loaded");
	return platform_frame_va(scratch[0]);
}

static const u8 *slot_look(struct space *space, u64 slot)
{
	const struct swap_volume *volume = space->swap->volume;
	u64 at = volume->slots_block * BLOCK_BYTES +
		 swap_file_volume_slot(space->swap, slot) * PAGE_BYTES;
	u8 *page = platform_frame_va(scratch[0]);
	u32 bytes;

	memcpy(page, disk.data + at, PAGE_BYTES);
	if (!swap_slot_is_object(space->swap, slot))
		return page;
	memcpy(&bytes, page + PAGE_BYTES - sizeof(bytes), sizeof(bytes));
	if (zcache_decode(scratch[0], bytes, scratch[1]))
		wrong("an object on the disk cannot be decompressed");
	return platform_frame_va(scratch[1]);
}

static const u8 *zipped_look(struct space *space, u64 payload)
{
	u32 *words = platform_frame_va(scratch[0]);

	if (!(payload & ZIPPED_FILL))
		return object_look(space, payload);
	for (u32 i = 0; i < PAGE_BYTES / sizeof(*words); i++)
		words[i] = (u32)payload;
	return platform_frame_va(scratch[0]);
}

const u8 *out_look(struct space *space, gfn_t gfn, bool *lost)
{
	pfn_t frame;
	u64 leaf = space_leaf(space, gfn, &frame), payload = slat_payload(leaf);

	switch (slat_state(space->format, leaf)) {
	case PAGE_ZIPPED:
		return zipped_look(space, payload);
	case PAGE_ZIPPED_WRITING:
		return object_look(space, evict_io_handle(payload));
	case PAGE_SWAPPED:
		*lost = payload & SWAPPED_LOST;
		return *lost ? NULL : slot_look(space, payload);
	case PAGE_LOADING:
		return slot_look(space, swap_io_find((u32)(payload / SWAP_CLUSTER_PAGES))
						->pages[payload % SWAP_CLUSTER_PAGES]
						.slot);
	default:
		return fake_guest_look(space, gfn);
	}
}
