/* The rings of a split virtqueue, and the walk along a chain. */
#include "hv/vdev/virtio_queue.h"
#include "mm/base/str.h"

enum { AREA_DESCRIPTORS, AREA_AVAILABLE, AREA_USED };

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define AVAILABLE_NO_INTERRUPT 1u

struct descriptor {
	u64 gpa;
	u32 bytes;
	u16 flags, next;
};
_Static_assert(sizeof(struct descriptor) == 16, "as in the ring");

#define USED_BYTES 8u /* an entry: head, bytes written */

/* Offsets in the available and the used ring. */
enum { RING_FLAGS = 0, RING_INDEX = 2, RING_ENTRIES = 4 };

static u32 area_bytes(u32 area, u32 size)
{
	switch (area) {
	case AREA_DESCRIPTORS:
		return size * (u32)sizeof(struct descriptor);
	case AREA_AVAILABLE:
		return RING_ENTRIES + size * 2;
	default:
		return RING_ENTRIES + size * USED_BYTES;
	}
}

static const u8 area_alignment[VIRTQUEUE_AREAS] = {16, 2, 4};

/* @offset lies inside; what is read there is aligned to its size, so it lies in one page. */
static u8 *area_at(const struct virtqueue *queue, u32 area, u32 offset)
{
	const struct virtqueue_area *a = &queue->areas[area];
	u64 at = (a->gpa & (PAGE_BYTES - 1)) + offset;

	return a->pages[at >> PAGE_SHIFT] + (at & (PAGE_BYTES - 1));
}

static u16 load16(const struct virtqueue *queue, u32 area, u32 offset)
{
	return __atomic_load_n((const u16 *)area_at(queue, area, offset), __ATOMIC_ACQUIRE);
}

/* --- Life ------------------------------------------------------------------------------------ */

static void area_unpin(struct virtqueue_area *area, const struct virtio_memory *memory)
{
	for (u32 i = 0; i < ARRAY_COUNT(area->pages); i++) {
		if (area->pages[i])
			memory->unpin(memory->context, area->pages[i]);
		area->pages[i] = NULL;
	}
}

static err_t area_pin(struct virtqueue_area *area, u32 bytes, const struct virtio_memory *memory)
{
	u64 first = area->gpa >> PAGE_SHIFT, last = (area->gpa + bytes - 1) >> PAGE_SHIFT;

	if (area->gpa + bytes < area->gpa)
		return E_RANGE;
	for (u64 gfn = first; gfn <= last; gfn++) {
		void *va;
		err_t err = memory->pin(memory->context, GFN(gfn), &va);

		if (err)
			return err;
		area->pages[gfn - first] = va;
	}
	return 0;
}

err_t virtqueue_start(struct virtqueue *queue, const struct virtio_memory *memory)
{
	if (queue->size == 0 || queue->size > VIRTQUEUE_SIZE_MAX ||
		(queue->size & (queue->size - 1)))
		return E_INVAL;
	for (u32 i = 0; i < VIRTQUEUE_AREAS; i++) {
		if (queue->areas[i].gpa % area_alignment[i])
			return E_INVAL;
	}
	for (u32 i = 0; i < VIRTQUEUE_AREAS; i++) {
		err_t err = area_pin(&queue->areas[i], area_bytes(i, queue->size), memory);

		if (!err)
			continue;
		do
			area_unpin(&queue->areas[i], memory);
		while (i--);
		return err;
	}
	queue->available = queue->used = 0;
	queue->broken = false;
	queue->live = true;
	return 0;
}

void virtqueue_stop(struct virtqueue *queue, const struct virtio_memory *memory)
{
	if (!queue->live)
		return;
	for (u32 i = 0; i < VIRTQUEUE_AREAS; i++)
		area_unpin(&queue->areas[i], memory);
	queue->live = false;
}

/* --- Taking a chain -------------------------------------------------------------------------- */

/* Follows one table of descriptors; @table: of @count entries, nobody else's to change. */
static err_t walk(const struct descriptor *table, u32 count, u32 at, struct virtio_chain *chain)
{
	bool writable = false;

	for (u32 steps = 0; steps < count; steps++) {
		struct descriptor d = table[at];

		if (d.flags & DESC_INDIRECT)
			return E_CORRUPT;
		/* What the device may read comes first. */
		if (writable && !(d.flags & DESC_WRITE))
			return E_CORRUPT;
		writable = d.flags & DESC_WRITE;
		chain->read_count += !writable;
		chain->pieces[chain->count++] = (struct virtio_piece){d.gpa, d.bytes};
		if (!(d.flags & DESC_NEXT))
			return 0;
		at = d.next;
		if (at >= count)
			return E_CORRUPT;
	}
	return E_CORRUPT; /* a loop */
}

static err_t take_indirect(const struct virtqueue *queue, const struct virtio_memory *memory,
	const struct descriptor *head, struct virtio_chain *chain)
{
	struct descriptor table[VIRTQUEUE_SIZE_MAX];
	u32 count = head->bytes / (u32)sizeof(table[0]);
	err_t err;

	if (!queue->indirect || (head->flags & DESC_NEXT) || head->bytes % sizeof(table[0]) ||
		count == 0 || count > VIRTQUEUE_SIZE_MAX)
		return E_CORRUPT;
	err = memory->read(memory->context, GPA(head->gpa), table, head->bytes);
	if (err)
		return err == E_RANGE ? E_CORRUPT : err;
	return walk(table, count, 0, chain);
}

static err_t take_direct(const struct virtqueue *queue, struct virtio_chain *chain)
{
	struct descriptor table[VIRTQUEUE_SIZE_MAX];

	/* The guest may go on writing there: one copy is what counts. */
	for (u32 i = 0; i < queue->size; i++)
		memcpy(&table[i], area_at(queue, AREA_DESCRIPTORS, i * sizeof(table[0])),
			sizeof(table[0]));
	return walk(table, queue->size, chain->head, chain);
}

static err_t take(
	struct virtqueue *queue, const struct virtio_memory *memory, struct virtio_chain *chain)
{
	u16 waiting = (u16)(load16(queue, AREA_AVAILABLE, RING_INDEX) - queue->available);
	u32 entry = queue->available & (queue->size - 1);
	struct descriptor head;
	err_t err;

	if (waiting == 0)
		return E_NOTFOUND;
	chain->head = load16(queue, AREA_AVAILABLE, RING_ENTRIES + entry * 2);
	chain->count = chain->read_count = 0;
	if (waiting > queue->size || chain->head >= queue->size)
		return E_CORRUPT;
	memcpy(&head, area_at(queue, AREA_DESCRIPTORS, chain->head * (u32)sizeof(head)),
		sizeof(head));
	err = head.flags & DESC_INDIRECT ? take_indirect(queue, memory, &head, chain)
					 : take_direct(queue, chain);
	if (!err)
		queue->available++;
	return err;
}

err_t virtqueue_take(
	struct virtqueue *queue, const struct virtio_memory *memory, struct virtio_chain *chain)
{
	err_t err;

	if (!queue->live || queue->broken)
		return E_NOTFOUND;
	err = take(queue, memory, chain);
	queue->broken = err == E_CORRUPT;
	return err;
}

/* --- Giving it back -------------------------------------------------------------------------- */

void virtqueue_give(struct virtqueue *queue, u16 head, u32 written)
{
	u32 at = RING_ENTRIES + (queue->used & (queue->size - 1)) * USED_BYTES;

	*(u32 *)area_at(queue, AREA_USED, at) = head;
	*(u32 *)area_at(queue, AREA_USED, at + 4) = written;
	queue->used++;
	__atomic_store_n(
		(u16 *)area_at(queue, AREA_USED, RING_INDEX), queue->used, __ATOMIC_SEQ_CST);
}

bool virtqueue_wants_interrupt(const struct virtqueue *queue)
{
	return !(load16(queue, AREA_AVAILABLE, RING_FLAGS) & AVAILABLE_NO_INTERRUPT);
}

/* --- Pieces ---------------------------------------------------------------------------------- */

u64 virtio_pieces_bytes(const struct virtio_piece *pieces, u32 count)
{
	u64 bytes = 0;

	for (u32 i = 0; i < count; i++)
		bytes += pieces[i].bytes;
	return bytes;
}

/* One of @to and @from is given, and is where the bytes go to or come from. */
static err_t copy(const struct virtio_memory *memory, const struct virtio_piece *pieces, u32 count,
	u64 offset, u8 *to, const u8 *from, u32 bytes)
{
	for (u32 i = 0; i < count && bytes; i++) {
		u32 some = pieces[i].bytes;
		u64 gpa = pieces[i].gpa + offset;
		err_t err;

		if (offset >= some) {
			offset -= some;
			continue;
		}
		some = min(some - (u32)offset, bytes);
		err = to ? memory->read(memory->context, GPA(gpa), to, some)
			 : memory->write(memory->context, GPA(gpa), from, some);
		if (err)
			return err;
		offset = 0;
		bytes -= some;
		to = to ? to + some : NULL;
		from = from ? from + some : NULL;
	}
	return 0;
}

err_t virtio_pieces_read(const struct virtio_memory *memory, const struct virtio_piece *pieces,
	u32 count, u64 offset, void *buffer, u32 bytes)
{
	return copy(memory, pieces, count, offset, buffer, NULL, bytes);
}

err_t virtio_pieces_write(const struct virtio_memory *memory, const struct virtio_piece *pieces,
	u32 count, u64 offset, const void *buffer, u32 bytes)
{
	return copy(memory, pieces, count, offset, NULL, buffer, bytes);
}
