/*
 * Rings and slots. A queue has one slot fewer than its rings have entries, so neither ring can ever
 * be full, whatever the controller does or does not do; each slot has a list of pages of its own,
 * so a request needs no memory. "Queue Model", "Physical Region Page Entry and List".
 */
#include "drivers/nvme_private.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define LIST_PAGES   (NVME_DEPTH * NVME_LIST_BYTES / PAGE_BYTES)
#define STRUCT_PAGES (ALIGN_UP(sizeof(struct nvme_queue), PAGE_BYTES) / PAGE_BYTES)
_Static_assert(STRUCT_PAGES + 2 + LIST_PAGES <= NVME_QUEUE_PAGES, "a queue's memory");

struct nvme_queue *nvme_queue_create(u16 id, u8 *memory, hpa_t at)
{
	struct nvme_queue *q = (struct nvme_queue *)memory;
	u64 sq = STRUCT_PAGES * PAGE_BYTES, cq = sq + PAGE_BYTES, lists = cq + PAGE_BYTES;

	spin_init(&q->lock, LOCK_RANK_DISK_QUEUE);
	q->id = id;
	q->sq = (volatile struct nvme_command *)(memory + sq);
	q->sq_at = HPA(at.v + sq);
	q->cq = (volatile struct nvme_completion *)(memory + cq);
	q->cq_at = HPA(at.v + cq);
	q->lists = memory + lists;
	q->lists_at = HPA(at.v + lists);
	return q;
}

void nvme_queue_rewind(struct nvme_queue *q, u32 depth)
{
	q->depth = (u16)depth;
	q->slot_mask = BITS(depth - 2, 0);
	q->sq_tail = q->cq_head = 0;
	q->phase = 1;
	q->bad_in_row = 0;
	memset((void *)q->cq, 0, PAGE_BYTES);
}

struct nvme_slot *nvme_slot_take(struct nvme_queue *q, enum nvme_use use)
{
	u64 free = q->slot_mask & ~q->busy;
	struct nvme_slot *slot;

	if (!free)
		return NULL;
	q->busy |= free & -free;
	slot = &q->slots[__builtin_ctzll(free)];
	memset(slot, 0, sizeof(*slot));
	slot->use = (u8)use;
	slot->deadline_ns = NVME_FOREVER;
	return slot;
}

static u32 slot_index(const struct nvme_queue *q, const struct nvme_slot *slot)
{
	return (u32)(slot - q->slots);
}

void nvme_slot_free(struct nvme_queue *q, struct nvme_slot *slot)
{
	q->busy &= ~BIT(slot_index(q, slot));
}

static u32 doorbell(const struct nvme *n, const struct nvme_queue *q, u32 is_cq)
{
	return NVME_DOORBELLS + (2u * q->id + is_cq) * n->doorbell_stride;
}

void nvme_slot_send(struct nvme *n, struct nvme_queue *q, struct nvme_slot *slot, u64 deadline_ns)
{
	if (!q->live)
		return;
	slot->attempts++;
	slot->abort_sent = false;
	slot->deadline_ns = deadline_ns;
	slot->tag = ++q->tag;
	slot->command.id = (u16)(slot->tag << 8 | slot_index(q, slot));
	memcpy((void *)&q->sq[q->sq_tail], &slot->command, sizeof(slot->command));
	q->sq_tail = (u16)((q->sq_tail + 1) % q->depth);
	/* x86 keeps the order of the entry's stores and the doorbell's; the compiler must, too. */
	__asm__ volatile("" : : : "memory");
	nvme_write(n, doorbell(n, q, 0), q->sq_tail);
}

void *nvme_slot_list(struct nvme_queue *q, struct nvme_slot *slot, hpa_t *at)
{
	u64 offset = (u64)slot_index(q, slot) * NVME_LIST_BYTES;

	*at = HPA(q->lists_at.v + offset);
	return q->lists + offset;
}

void nvme_slot_map(struct nvme_queue *q, struct nvme_slot *slot, const struct blk_request *request)
{
	u32 entries = 0; /* pages after the first */
	bool first = true;
	hpa_t list_at;
	u64 *list = nvme_slot_list(q, slot, &list_at);

	for (u32 i = 0; i < request->segment_count; i++) {
		u64 at = request->segments[i].at.v, end = at + request->segments[i].bytes;

		for (; at < end; at = ALIGN_DOWN(at, PAGE_BYTES) + PAGE_BYTES) {
			if (first)
				slot->command.prp1 = at;
			else
				list[entries++] = at;
			first = false;
		}
	}
	slot->command.prp2 = entries > 1 ? list_at.v : entries == 1 ? list[0] : 0;
}

/* The slot that a completion names, if it is under way; all that the controller says is checked. */
static struct nvme_slot *named_slot(struct nvme_queue *q, const struct nvme_completion *c)
{
	u32 index = c->command_id & 0xff;
	struct nvme_slot *slot = &q->slots[index % NVME_DEPTH];

	if (index >= NVME_DEPTH || !(q->busy >> index & 1) || c->sq_id != q->id ||
		slot->command.id != c->command_id || slot->deadline_ns == NVME_FOREVER)
		return NULL;
	return slot;
}

static void note_nonsense(struct nvme *n, struct nvme_queue *q, const struct nvme_completion *c)
{
	if (n->stats.bad_completions == 0)
		log_warn("%s: queue %u completes command %04x of queue %u, which is not under way",
			n->name, q->id, c->command_id, c->sq_id);
	nvme_count(&n->stats.bad_completions);
	if (++q->bad_in_row >= q->depth)
		__atomic_store_n(&n->broken, 1, __ATOMIC_RELAXED);
}

static bool take_entry(struct nvme_queue *q, struct nvme_completion *out)
{
	volatile struct nvme_completion *entry = &q->cq[q->cq_head];

	out->status = entry->status;
	if ((out->status & NVME_PHASE) != q->phase)
		return false;
	/* The phase tag is the last that the controller writes: read the rest after it. */
	__asm__ volatile("" : : : "memory");
	out->result = entry->result;
	out->sq_head = entry->sq_head;
	out->sq_id = entry->sq_id;
	out->command_id = entry->command_id;
	if (++q->cq_head == q->depth) {
		q->cq_head = 0;
		q->phase ^= 1;
	}
	return true;
}

struct nvme_slot *nvme_queue_reap(
	struct nvme *n, struct nvme_queue *q, u32 *budget, struct nvme_completion *out)
{
	while (q->live && *budget && take_entry(q, out)) {
		struct nvme_slot *slot = named_slot(q, out);

		--*budget;
		q->cq_untold = true;
		if (slot) {
			q->bad_in_row = 0;
			slot->deadline_ns = NVME_FOREVER;
			return slot;
		}
		note_nonsense(n, q, out);
	}
	if (q->live && q->cq_untold)
		nvme_write(n, doorbell(n, q, 1), q->cq_head);
	q->cq_untold = false;
	return NULL;
}

void nvme_slot_finish(struct nvme *n, struct nvme_queue *q, struct nvme_slot *slot, err_t result,
	struct nvme_done *done)
{
	struct blk_request *request = slot->request;

	nvme_slot_free(q, slot);
	if (!request)
		return;
	nvme_count(result ? &n->stats.failed : &n->stats.completed);
	request->result = result;
	request->next = NULL;
	*done->end = request;
	done->end = &request->next;
}
