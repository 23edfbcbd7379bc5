/*
 * What the parts of the NVMe driver share: nvme_queue.c (rings, slots), nvme_admin.c (bringing a
 * controller up, again and again), nvme.c (completions, time limits, death), nvme_request.c (what
 * is asked for), nvme_facts.c (what can be seen of it).
 *
 * Locks: the controller's guards its state and the admin queue; each queue's guards its rings and
 * slots. Controller before queue, one queue at a time. done() is called with neither.
 */
#ifndef DRIVERS_NVME_PRIVATE_H
#define DRIVERS_NVME_PRIVATE_H

#include "drivers/nvme.h"
#include "drivers/nvme_regs.h"
#include "mm/base/lock.h"
#include "mm/platform.h"

#define NVME_DEPTH          64u /* entries of a queue: one page of commands */
#define NVME_LIST_ENTRIES   64u /* of each slot's page list */
#define NVME_LIST_BYTES     (NVME_LIST_ENTRIES * 8u)
#define NVME_TRANSFER_BYTES ((u32)KIB(256)) /* fills a list, whatever it begins at */
#define NVME_NAMESPACES     32u             /* of a controller, more are not listed */
#define NVME_QUEUES         128u
#define NVME_QUEUE_PAGES    12u
#define NVME_ATTEMPTS       3u /* of a command */
#define NVME_RESETS         3u /* in a row, with no request done between them */

#define NVME_FOREVER (~0ull)

enum nvme_use { NVME_SLOT_REQUEST, NVME_SLOT_SETUP, NVME_SLOT_ABORT };

/* A command under way. Its id is its index and, above, the tag of this life. */
struct nvme_slot {
	struct nvme_command command; /* kept to be given again */
	struct blk_request *request; /* NVME_SLOT_REQUEST */
	u64 deadline_ns;
	u8 use;
	u8 tag;
	u8 attempts;
	bool abort_sent;
};

struct nvme_queue {
	struct spinlock lock;
	u16 id;    /* [I] 0: admin */
	u16 depth; /* entries; one stays empty */
	u16 sq_tail, cq_head;
	u16 phase;
	bool live;                    /* the controller knows it */
	bool cq_untold;               /* entries were taken since the controller was told */
	u64 busy;                     /* slots, one bit each */
	u64 slot_mask;                /* [I] the slots there are */
	u32 bad_in_row;               /* entries that fit no command */
	u8 tag;                       /* of the next life of a slot */
	struct nvme_pair_stats stats; /* [a] */
	volatile struct nvme_command *sq;
	volatile struct nvme_completion *cq;
	u8 *lists; /* NVME_LIST_BYTES for each slot */
	hpa_t sq_at, cq_at, lists_at;
	struct nvme_slot slots[NVME_DEPTH];
};

struct nvme_namespace {
	struct blk_device blk;
	struct nvme *nvme;
	u32 nsid;
};

/* Requests that are over, to be handed back when no lock is held. */
struct nvme_done {
	struct blk_request *first, **end;
};

/* What brings a controller up, in this order. */
enum nvme_step {
	NVME_STEP_CONTROLLER,
	NVME_STEP_QUEUE_COUNT,
	NVME_STEP_CREATE_CQ,
	NVME_STEP_CREATE_SQ,
	NVME_STEP_NAMESPACES,
	NVME_STEP_NAMESPACE,
	NVME_STEP_READY,
};

struct nvme {
	const struct nvme_bus *bus;
	struct spinlock lock;
	char name[12];
	u32 state; /* [a] enum nvme_state, written under the lock */
	enum nvme_step step;
	u32 step_queue, step_namespace;
	u64 state_deadline_ns, next_scan_ns;
	u64 ready_limit_ns, request_limit_ns, abort_limit_ns;
	u32 resets_in_row;      /* [a] */
	u32 broken;             /* [a] a queue holds too much nonsense: reset */
	bool abort_busy;        /* one at a time */
	struct nvme_done *done; /* while poll_controller() holds the lock */
	u64 cap;
	u32 version, doorbell_stride;
	u32 mdts_bytes;
	u16 oncs;
	bool has_cache, known; /* known: identified once, a reset keeps the namespaces */
	err_t error;           /* why it is dead */
	char why[80], model[41], serial[21];
	u32 cpu_count, queue_count; /* of I/O queues: wanted at most, and made */
	u32 depth;
	struct nvme_queue *queues[NVME_QUEUES + 1];
	u8 *data; /* one page for identify */
	hpa_t data_at;
	u32 nsids[NVME_NAMESPACES], nsid_count, namespace_count;
	struct nvme_namespace namespaces[NVME_NAMESPACES];
	struct nvme_stats stats; /* [a] */
};

static inline u32 nvme_read(const struct nvme *n, u32 offset)
{
	return n->bus->read(n->bus, offset);
}

static inline void nvme_write(const struct nvme *n, u32 offset, u32 value)
{
	n->bus->write(n->bus, offset, value);
}

/* The pair that this CPU uses; also of a controller that has not come up. */
static inline struct nvme_queue *nvme_queue_here(const struct nvme *n)
{
	return n->queues[1 + platform_cpu_id() % max(n->queue_count, 1u)];
}

static inline void nvme_count(u64 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/*
 * Has a completion come? A look without the lock, which may take one for news that another CPU is
 * just taking, never the other way round: who moves the head goes on to look at what is there.
 */
static inline bool nvme_queue_has_news(const struct nvme_queue *q)
{
	u32 head = __atomic_load_n(&q->cq_head, __ATOMIC_RELAXED);

	return (q->cq[head].status & NVME_PHASE) == __atomic_load_n(&q->phase, __ATOMIC_RELAXED);
}

static inline void nvme_done_init(struct nvme_done *done)
{
	done->first = NULL;
	done->end = &done->first;
}

/* --- nvme_queue.c: all with the queue's lock (the admin queue: the controller's) held --------- */

/* In NVME_QUEUE_PAGES zeroed pages. */
struct nvme_queue *nvme_queue_create(u16 id, u8 *memory, hpa_t at);
/* Empty rings, as a controller that was just enabled expects them. */
void nvme_queue_rewind(struct nvme_queue *q, u32 depth);
/* A free slot, or NULL. */
struct nvme_slot *nvme_slot_take(struct nvme_queue *q, enum nvme_use use);
void nvme_slot_free(struct nvme_queue *q, struct nvme_slot *slot);
/* Hand the slot's command to the controller, or keep it until there is one that is ready. */
void nvme_slot_send(struct nvme *n, struct nvme_queue *q, struct nvme_slot *slot, u64 deadline_ns);
/* Where the slot's list lies. */
void *nvme_slot_list(struct nvme_queue *q, struct nvme_slot *slot, hpa_t *at);
/* Fill in the pages of the buffers: the segments are sound, and not longer than a list takes. */
void nvme_slot_map(struct nvme_queue *q, struct nvme_slot *slot, const struct blk_request *request);
/* The next completion that belongs to a slot, which it returns, still taken; or NULL. At most
 * *budget entries. When it returned NULL, what was taken has been told to the controller. */
struct nvme_slot *nvme_queue_reap(
	struct nvme *n, struct nvme_queue *q, u32 *budget, struct nvme_completion *out);
/* The request is over. */
void nvme_slot_finish(struct nvme *n, struct nvme_queue *q, struct nvme_slot *slot, err_t result,
	struct nvme_done *done);

/* --- nvme_admin.c: with the controller's lock held -------------------------------------------- */

/* Begin to bring it up, or up again. */
void nvme_begin(struct nvme *n, u64 now);
/* One look at how that goes. */
void nvme_advance(struct nvme *n, u64 now);
/* An admin command of the set-up is answered. */
void nvme_setup_answered(struct nvme *n, const struct nvme_completion *answer, u64 now);

/* --- nvme.c ----------------------------------------------------------------------------------- */

/* Reset, or give up. The controller's lock is held. */
void nvme_fail(struct nvme *n, u64 now, const char *why);
/* It will never work. The controller's lock is held. */
void nvme_die(struct nvme *n, err_t error, const char *why);
/* After a reset: what was under way is given to the controller again. */
void nvme_resume(struct nvme *n, u64 now);

/* --- nvme_request.c --------------------------------------------------------------------------- */

extern const struct blk_ops nvme_blk_ops;

#endif
