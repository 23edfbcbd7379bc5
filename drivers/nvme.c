/*
 * Completions, time limits, and what follows when they are missed: abort, reset, death. See
 * drivers/nvme.h for the whole.
 */
#include "drivers/nvme_private.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/platform.h"

#define REQUEST_LIMIT_NS 10000000000ull
#define ABORT_LIMIT_NS   5000000000ull
#define FAILURES_LOGGED  16u
#define SCAN_NS          10000000ull /* how often time limits and the status are looked at */

/* --- Ends ------------------------------------------------------------------------------------- */

static void silence_queues(struct nvme *n)
{
	n->queues[0]->live = false;
	n->queues[0]->busy = 0; /* nobody waits for these but the controller's own state */
	for (u32 i = 1; i <= n->cpu_count; i++) {
		struct nvme_queue *q = n->queues[i];

		spin_lock(&q->lock);
		q->live = false;
		for (u64 busy = q->busy; busy; busy &= busy - 1)
			q->slots[__builtin_ctzll(busy)].deadline_ns = NVME_FOREVER;
		spin_unlock(&q->lock);
	}
}

void nvme_die(struct nvme *n, err_t error, const char *why)
{
	if (n->state == NVME_DEAD)
		return;
	if (why != n->why)
		fmt_snprintf(n->why, sizeof(n->why), "%s", why);
	log_error("%s: dead: %s", n->name, n->why);
	n->error = error;
	__atomic_store_n(&n->state, NVME_DEAD, __ATOMIC_RELEASE);
	for (u32 i = 0; i < n->namespace_count; i++)
		__atomic_store_n(&n->namespaces[i].blk.is_dead, true, __ATOMIC_RELAXED);
	silence_queues(n);
	/* Before any buffer goes back to its owner. */
	n->bus->cut_off(n->bus);
}

void nvme_fail(struct nvme *n, u64 now, const char *why)
{
	if (n->state == NVME_DEAD)
		return;
	fmt_snprintf(n->why, sizeof(n->why), "%s", why);
	if (__atomic_add_fetch(&n->resets_in_row, 1, __ATOMIC_RELAXED) > NVME_RESETS) {
		nvme_die(n, E_IO, n->why);
		return;
	}
	log_warn("%s: reset: %s", n->name, why);
	nvme_count(&n->stats.resets);
	__atomic_store_n(&n->broken, 0, __ATOMIC_RELAXED);
	silence_queues(n);
	nvme_begin(n, now);
}

void nvme_resume(struct nvme *n, u64 now)
{
	for (u32 i = 1; i <= n->queue_count; i++) {
		struct nvme_queue *q = n->queues[i];

		spin_lock(&q->lock);
		q->live = true;
		for (u64 busy = q->busy; busy; busy &= busy - 1) {
			struct nvme_slot *slot = &q->slots[__builtin_ctzll(busy)];

			if (slot->attempts >= NVME_ATTEMPTS) {
				nvme_slot_finish(n, q, slot, E_IO, n->done);
				continue;
			}
			if (slot->attempts)
				nvme_count(&n->stats.retried);
			nvme_slot_send(n, q, slot, now + n->request_limit_ns);
		}
		spin_unlock(&q->lock);
	}
}

static void fail_all(struct nvme *n, struct nvme_done *done)
{
	for (u32 i = 1; i <= n->cpu_count; i++) {
		struct nvme_queue *q = n->queues[i];

		spin_lock(&q->lock);
		for (u64 busy = q->busy; busy; busy &= busy - 1)
			nvme_slot_finish(n, q, &q->slots[__builtin_ctzll(busy)], E_IO, done);
		spin_unlock(&q->lock);
	}
}

/* --- Completions ------------------------------------------------------------------------------ */

/* A disk that fails everything must not fill the log as well. */
static void log_failure(const struct nvme *n, const struct nvme_slot *slot, u32 status)
{
	u64 failed = __atomic_load_n(&n->stats.failed, __ATOMIC_RELAXED);

	if (failed < FAILURES_LOGGED)
		log_warn("%s: command %02x of block %llu failed with status %03x", n->name,
			slot->command.opcode, (unsigned long long)slot->request->block, status);
	else if (failed == FAILURES_LOGGED)
		log_warn("%s: further failures are counted only", n->name);
}

static void request_answered(struct nvme *n, struct nvme_queue *q, struct nvme_slot *slot,
	const struct nvme_completion *c, u64 now, struct nvme_done *done)
{
	u32 status = NVME_STATUS(c->status);

	if (slot->abort_sent && status == NVME_STATUS_ABORT_REQUESTED)
		nvme_count(&n->stats.aborted);
	if (status == 0) {
		__atomic_store_n(&n->resets_in_row, 0, __ATOMIC_RELAXED);
		nvme_slot_finish(n, q, slot, 0, done);
	} else if (!(c->status & NVME_DO_NOT_RETRY) && slot->attempts < NVME_ATTEMPTS) {
		nvme_count(&n->stats.retried);
		nvme_slot_send(n, q, slot, now + n->request_limit_ns);
	} else {
		log_failure(n, slot, status);
		nvme_slot_finish(
			n, q, slot, status == NVME_STATUS_LBA_OUT_OF_RANGE ? E_RANGE : E_IO, done);
	}
}

static void reap_requests(struct nvme *n, struct nvme_queue *q, u64 now, struct nvme_done *done)
{
	struct nvme_completion c;
	u32 budget = NVME_DEPTH;
	struct nvme_slot *slot;

	if (!nvme_queue_has_news(q))
		return;
	spin_lock(&q->lock);
	while ((slot = nvme_queue_reap(n, q, &budget, &c)) != NULL) {
		nvme_count(&q->stats.completions);
		request_answered(n, q, slot, &c, now, done);
	}
	spin_unlock(&q->lock);
}

static void reap_admin(struct nvme *n, u64 now)
{
	struct nvme_queue *q = n->queues[0];
	struct nvme_completion c;
	u32 budget = NVME_DEPTH;
	struct nvme_slot *slot;

	while ((slot = nvme_queue_reap(n, q, &budget, &c)) != NULL) {
		u32 use = slot->use;

		nvme_slot_free(q, slot);
		if (use == NVME_SLOT_ABORT)
			n->abort_busy = false;
		else
			nvme_setup_answered(n, &c, now);
	}
}

/* --- Time limits ------------------------------------------------------------------------------ */

/* Returns whether it could be sent. */
static bool send_abort(
	struct nvme *n, const struct nvme_queue *q, const struct nvme_slot *late, u64 now)
{
	struct nvme_slot *slot;

	if (n->abort_busy || n->state != NVME_READY)
		return false;
	slot = nvme_slot_take(n->queues[0], NVME_SLOT_ABORT);
	if (!slot)
		return false;
	n->abort_busy = true;
	slot->command.opcode = NVME_ADMIN_ABORT;
	slot->command.dword10 = (u32)late->command.id << 16 | q->id;
	nvme_slot_send(n, n->queues[0], slot, now + n->abort_limit_ns);
	return true;
}

/* Returns false if something is so late that only a reset helps. */
static bool look_after(struct nvme *n, struct nvme_queue *q, u64 now)
{
	for (u64 busy = q->busy; busy; busy &= busy - 1) {
		struct nvme_slot *slot = &q->slots[__builtin_ctzll(busy)];

		if (slot->deadline_ns == NVME_FOREVER || now <= slot->deadline_ns)
			continue;
		if (slot->use != NVME_SLOT_REQUEST || slot->abort_sent)
			return false;
		if (!send_abort(n, q, slot, now))
			continue;
		log_warn("%s: command %02x of queue %u is late: aborting it", n->name,
			slot->command.opcode, q->id);
		nvme_count(&n->stats.timed_out);
		slot->abort_sent = true;
		slot->deadline_ns = now + n->abort_limit_ns;
	}
	return true;
}

static void scan(struct nvme *n, u64 now)
{
	bool in_time = look_after(n, n->queues[0], now);

	if (!in_time) {
		nvme_fail(n, now, "an admin command is not answered");
		return;
	}
	for (u32 i = 1; i <= n->queue_count && in_time; i++) {
		spin_lock(&n->queues[i]->lock);
		in_time = look_after(n, n->queues[i], now);
		spin_unlock(&n->queues[i]->lock);
	}
	if (!in_time)
		nvme_fail(n, now, "a request is not answered, and cannot be aborted");
	else if (__atomic_load_n(&n->broken, __ATOMIC_RELAXED))
		nvme_fail(n, now, "its completions make no sense");
	else
		nvme_advance(n, now);
}

/* The part of a poll for which one CPU at a time is enough. */
static void poll_controller(struct nvme *n, u64 now, struct nvme_done *done)
{
	/* Once it runs, a turn finds nothing to do here more often than not. */
	if (nvme_state(n) == NVME_READY &&
		now < __atomic_load_n(&n->next_scan_ns, __ATOMIC_RELAXED) &&
		!nvme_queue_has_news(n->queues[0]))
		return;
	if (!spin_trylock(&n->lock))
		return;
	n->done = done;
	if (n->state != NVME_DEAD) {
		if (n->queues[0]->busy)
			reap_admin(n, now);
		/* While it comes up, time is short and its status is what is waited for. */
		if (n->state != NVME_DEAD && (n->state != NVME_READY || now >= n->next_scan_ns)) {
			__atomic_store_n(&n->next_scan_ns, now + SCAN_NS, __ATOMIC_RELAXED);
			scan(n, now);
		}
	}
	if (n->state == NVME_DEAD)
		fail_all(n, done);
	n->done = NULL;
	spin_unlock(&n->lock);
}

static void reap_all(struct nvme *n, u64 now, struct nvme_done *done)
{
	for (u32 i = 1; i <= n->queue_count; i++)
		reap_requests(n, n->queues[i], now, done);
}

static u32 hand_back(struct nvme_done *done)
{
	struct blk_request *request;
	u32 count = 0;

	for (; (request = done->first) != NULL; count++) {
		done->first = request->next;
		request->next = NULL;
		request->done(request);
	}
	return count;
}

void nvme_poll(struct nvme *n, u64 now)
{
	struct nvme_done done;

	nvme_done_init(&done);
	if (nvme_state(n) == NVME_READY)
		reap_all(n, now, &done);
	poll_controller(n, now, &done);
	hand_back(&done);
}

u32 nvme_turn(struct nvme *n, u64 now, bool leads)
{
	struct nvme_done done;

	nvme_done_init(&done);
	if (nvme_state(n) == NVME_READY) {
		if (n->bus->is_steered)
			reap_requests(n, nvme_queue_here(n), now, &done);
		else if (leads)
			reap_all(n, now, &done);
	}
	if (leads)
		poll_controller(n, now, &done);
	return hand_back(&done);
}

bool nvme_must_poll(const struct nvme *n)
{
	if (n->state == NVME_DEAD)
		return false;
	if (n->state != NVME_READY)
		return true;
	for (u32 i = 1; i <= n->queue_count && !n->bus->vector_count; i++) {
		if (__atomic_load_n(&n->queues[i]->busy, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

void nvme_interrupted(struct nvme *n)
{
	nvme_count(&nvme_queue_here(n)->stats.interrupts);
}

/* --- Birth ------------------------------------------------------------------------------------ */

/* All of its memory at once: looking for contiguous frames takes time. */
struct nvme *nvme_create(const struct nvme_bus *bus, const char *name, u32 cpu_count)
{
	u32 own = (u32)(ALIGN_UP(sizeof(struct nvme), PAGE_BYTES) / PAGE_BYTES);
	u32 cpus = min(max(cpu_count, 1u), NVME_QUEUES);
	hpa_t at;
	u8 *memory = bus->alloc(bus, own + 1 + (cpus + 1) * NVME_QUEUE_PAGES, &at);
	struct nvme *n = (struct nvme *)memory;

	if (!n)
		return NULL;
	spin_init(&n->lock, LOCK_RANK_DISK);
	n->bus = bus;
	fmt_snprintf(n->name, sizeof(n->name), "%s", name);
	n->cpu_count = cpus;
	nvme_set_limits(n, REQUEST_LIMIT_NS, ABORT_LIMIT_NS);
	n->data = memory + own * PAGE_BYTES;
	n->data_at = HPA(at.v + own * PAGE_BYTES);
	for (u32 i = 0; i <= cpus; i++) {
		u64 offset = (own + 1 + (u64)i * NVME_QUEUE_PAGES) * PAGE_BYTES;

		n->queues[i] = nvme_queue_create((u16)i, memory + offset, HPA(at.v + offset));
	}
	return n;
}

void nvme_set_limits(struct nvme *n, u64 request_ns, u64 abort_ns)
{
	n->request_limit_ns = request_ns;
	n->abort_limit_ns = abort_ns;
}

err_t nvme_start(struct nvme *n, u64 (*now)(void))
{
	spin_lock(&n->lock);
	nvme_begin(n, now());
	spin_unlock(&n->lock);
	/* Every state has its time limit, and resets are counted: this ends. */
	while (nvme_state(n) != NVME_READY && nvme_state(n) != NVME_DEAD)
		nvme_poll(n, now());
	return nvme_state(n) == NVME_READY ? 0 : n->error;
}
