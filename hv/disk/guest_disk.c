/* A guest's disk: its life, and how its queue is served. */
#include "hv/disk/guest_disk_private.h"
#include "hv/memory/guest_mem.h"
#include "mm/base/check.h"
#include "mm/base/str.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"

/* Requests begun and pages pinned in one call, with the VM's lock held; COSTLY_WORK. */
#define TURN_WORK 256u

/* --- The guest's memory, for the device model ------------------------------------------------ */

static err_t memory_pin(void *context, gfn_t gfn, void **va)
{
	struct guest_disk *d = context;
	pfn_t pfn;
	err_t err = space_pin(d->space, gfn, true, &pfn);

	if (!err)
		*va = platform_frame_va(pfn);
	return guest_disk_as_wait(err);
}

static void memory_unpin(void *context, void *va)
{
	struct guest_disk *d = context;

	space_unpin(d->space, platform_va_frame(va));
}

static err_t memory_read(void *context, gpa_t from, void *to, u32 bytes)
{
	struct guest_disk *d = context;

	return guest_disk_as_wait(guest_mem_read(d->space, from, to, bytes));
}

static err_t memory_write(void *context, gpa_t to, const void *from, u32 bytes)
{
	struct guest_disk *d = context;

	return guest_disk_as_wait(guest_mem_write(d->space, to, from, bytes));
}

/* --- Serving the queue ----------------------------------------------------------------------- */

void guest_disk_want(struct guest_disk *d, u32 wants)
{
	__atomic_fetch_or(d->config.wants, wants, __ATOMIC_RELAXED);
}

void guest_disk_note_wait(struct guest_disk *d, err_t err)
{
	if (err == E_WAIT || err == E_BUSY) {
		d->stats.waits++;
		guest_disk_want(d, GUEST_DISK_HAS_WORK);
	} else {
		d->config.fail(d->config.context, err);
	}
}

/* Fill a free slot from the queue. */
static bool take(struct slot *s)
{
	struct guest_disk *d = s->disk;
	err_t err = virtqueue_take(&d->mmio.queue, &d->device.memory, &s->chain);

	if (err == E_CORRUPT)
		virtio_mmio_break(&d->mmio);
	else if (err && err != E_NOTFOUND)
		guest_disk_note_wait(d, err);
	if (err)
		return false;
	slot_begin(s);
	return true;
}

static void serve(struct guest_disk *d)
{
	bool going = true;

	if (d->orphan_count || !virtio_mmio_is_live(&d->mmio))
		return;
	/* Older requests first: they may hold what the others wait for. */
	for (u32 i = 0; i < GUEST_DISK_SLOTS; i++)
		slot_advance(&d->slots[i]);
	for (u32 i = 0; i < GUEST_DISK_SLOTS && going; i++) {
		while (going && d->slots[i].state == SLOT_FREE) {
			going = d->turn_work && take(&d->slots[i]);
			if (going) {
				d->turn_work--;
				slot_advance(&d->slots[i]);
			}
		}
	}
	if (d->has_given)
		virtio_mmio_used(&d->mmio);
	d->has_given = false;
}

void guest_disk_work(struct guest_disk *d)
{
	/* Before it looks for pages: whoever brings one then reads this. */
	__atomic_store_n(d->config.wants, GUEST_DISK_AT_WORK, __ATOMIC_SEQ_CST);
	d->turn_work = TURN_WORK;
	serve(d);
	if (d->turn_work == 0)
		guest_disk_want(d, GUEST_DISK_HAS_WORK | GUEST_DISK_IS_URGENT);
	__atomic_fetch_and(d->config.wants, ~GUEST_DISK_AT_WORK, __ATOMIC_RELAXED);
}

/* --- Life ------------------------------------------------------------------------------------ */

/* Nobody waits any more for what was taken from the queue. */
static void abandon(struct guest_disk *d)
{
	for (u32 i = 0; i < GUEST_DISK_SLOTS; i++) {
		struct slot *s = &d->slots[i];

		if (!slot_is_lent(s)) {
			slot_free(s);
		} else if (!s->is_orphan) {
			s->is_orphan = true;
			d->orphan_count++;
			d->stats.orphans++;
		}
	}
}

static void device_notify(void *context)
{
	guest_disk_work(context);
}

static err_t device_stop(void *context)
{
	struct guest_disk *d = context;

	abandon(d);
	return d->orphan_count ? E_WAIT : 0;
}

static u64 struct_frames(void)
{
	return ALIGN_UP(sizeof(struct guest_disk), PAGE_BYTES) >> PAGE_SHIFT;
}

u64 guest_disk_frames(void)
{
	return struct_frames() + GUEST_DISK_BOUNCES;
}

static void set_up(struct guest_disk *d, const struct guest_disk_config *config)
{
	const struct blk_device *blk = config->blk;

	d->config = *config;
	d->shape = (struct virtio_blk_disk){
		.block_count = config->block_count,
		.block_bytes = blk->block_bytes,
		.blocks_most = blk->blocks_most,
		.has_cache = blk->has_cache,
		.can_discard = blk->can_deallocate,
		.can_write_zeroes = blk->can_write_zeroes,
	};
	virtio_blk_config_fill(&d->shape, &d->registers);
	d->device = (struct virtio_device){
		.device_id = VIRTIO_BLK_DEVICE_ID,
		.features = virtio_blk_features(&d->shape),
		.config = (const u8 *)&d->registers,
		.config_bytes = VIRTIO_BLK_CONFIG_BYTES,
		.context = d,
		.notify = device_notify,
		.stop = device_stop,
		.memory = {d, memory_pin, memory_unpin, memory_read, memory_write},
	};
	d->mmio.device = &d->device;
	for (u32 i = 0; i < GUEST_DISK_SLOTS; i++) {
		d->slots[i].disk = d;
		d->slots[i].bounce = SLOT_NO_BOUNCE;
	}
}

err_t guest_disk_create(struct guest_disk **out, const struct guest_disk_config *config)
{
	pfn_t first = frame_alloc_run(FRAME_HV, guest_disk_frames());
	struct guest_disk *d;

	if (pfn_is_none(first))
		return E_NOMEM;
	d = platform_frame_va(first);
	d->bounces = (u8 *)d + struct_frames() * PAGE_BYTES;
	set_up(d, config);
	*out = d;
	return 0;
}

void guest_disk_destroy(struct guest_disk *d)
{
	CHECK(d->orphan_count == 0 && !d->space);
	frame_free_run(platform_va_frame(d), guest_disk_frames());
}

void guest_disk_open(struct guest_disk *d, struct space *space)
{
	d->space = space;
	memset(&d->stats, 0, sizeof(d->stats));
}

void guest_disk_reset(struct guest_disk *d)
{
	abandon(d);
	virtio_mmio_reset(&d->mmio);
}

void guest_disk_close(struct guest_disk *d)
{
	if (!d->space)
		return;
	guest_disk_reset(d);
	for (u32 i = 0; i < GUEST_DISK_SLOTS; i++)
		d->slots[i].space_gone = slot_is_lent(&d->slots[i]);
	d->space = NULL;
}

struct virtio_mmio *guest_disk_mmio(struct guest_disk *d)
{
	return &d->mmio;
}

u32 guest_disk_orphan_count(const struct guest_disk *d)
{
	return d->orphan_count;
}

/* --- Figures --------------------------------------------------------------------------------- */

const struct guest_disk_stats *guest_disk_stats(const struct guest_disk *d)
{
	return &d->stats;
}
