/*
 * Bringing a controller up: off, on, identify, queues, namespaces; one admin command at a time,
 * each answer starting the next step. The same after each reset, except that the namespaces are
 * kept: a disk does not change its size under its users. "Controller Initialization", "Identify
 * Command".
 */
#include "drivers/nvme_private.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define READY_LEAST_NS   1000000000ull /* more than some controllers say of themselves */
#define READY_UNIT_NS    500000000ull
#define DEPTH_LEAST      2u
#define BLOCK_SHIFT_MIN  9u
#define BLOCK_SHIFT_MAX  12u
#define REGISTERS_LEAST  (NVME_DOORBELLS + 8u)
#define NAMESPACE_BLOCKS BIT(55) /* more blocks than that is nonsense: bytes must fit 64 bits */
#define ALL_ONES         0xffffffffu

/* --- Off and on ------------------------------------------------------------------------------- */

static void write64(struct nvme *n, u32 offset, u64 value)
{
	nvme_write(n, offset, (u32)value);
	nvme_write(n, offset + 4, (u32)(value >> 32));
}

/* What must be so for this driver to work at all. */
static const char *unsuitable(const struct nvme *n)
{
	if (n->bus->register_bytes < REGISTERS_LEAST)
		return "its registers cannot be reached";
	if (NVME_CAP_MQES(n->cap) + 1 < DEPTH_LEAST)
		return "its queues have no room";
	if (NVME_CAP_MPSMIN(n->cap) > 0)
		return "its smallest page is larger than 4 KiB";
	if (!(n->cap & NVME_CAP_CSS_NVM))
		return "it does not take the NVM command set";
	return NULL;
}

static void enter(struct nvme *n, enum nvme_state state, u64 deadline_ns)
{
	n->state_deadline_ns = deadline_ns;
	__atomic_store_n(&n->state, state, __ATOMIC_RELEASE);
}

void nvme_begin(struct nvme *n, u64 now)
{
	const char *why;

	n->cap = nvme_read(n, NVME_CAP) | (u64)nvme_read(n, NVME_CAP + 4) << 32;
	n->version = nvme_read(n, NVME_VS);
	if (n->version == ALL_ONES) {
		nvme_die(n, E_IO, "it no longer answers");
		return;
	}
	why = unsuitable(n);
	if (why) {
		nvme_die(n, E_UNSUPPORTED, why);
		return;
	}
	n->doorbell_stride = 4u << NVME_CAP_DSTRD(n->cap);
	n->ready_limit_ns = max(NVME_CAP_TO(n->cap) * READY_UNIT_NS, READY_LEAST_NS);
	n->depth = min(NVME_CAP_MQES(n->cap) + 1, NVME_DEPTH);
	nvme_write(n, NVME_CC, nvme_read(n, NVME_CC) & ~(u32)NVME_CC_EN);
	enter(n, NVME_DISABLING, now + n->ready_limit_ns);
}

static void enable(struct nvme *n, u64 now)
{
	struct nvme_queue *q = n->queues[0];

	nvme_queue_rewind(q, n->depth);
	q->busy = 0;
	q->live = true;
	n->abort_busy = false;
	nvme_write(n, NVME_AQA, (n->depth - 1) << 16 | (n->depth - 1));
	write64(n, NVME_ASQ, q->sq_at.v);
	write64(n, NVME_ACQ, q->cq_at.v);
	nvme_write(n, NVME_CC, (u32)(NVME_CC_EN | NVME_CC_IOSQES | NVME_CC_IOCQES));
	enter(n, NVME_ENABLING, now + n->ready_limit_ns);
}

/* --- Steps ------------------------------------------------------------------------------------ */

static void send(struct nvme *n, u64 now, const struct nvme_command *command)
{
	/* There is room: during the set-up nothing else uses the admin queue. */
	struct nvme_slot *slot = nvme_slot_take(n->queues[0], NVME_SLOT_SETUP);

	if (!slot) {
		nvme_fail(n, now, "the admin queue is full");
		return;
	}
	slot->command = *command;
	nvme_slot_send(n, n->queues[0], slot, now + n->request_limit_ns);
}

static void send_identify(struct nvme *n, u64 now, u32 nsid, u32 what)
{
	memset(n->data, 0, PAGE_BYTES);
	send(n, now,
		&(struct nvme_command){
			.opcode = NVME_ADMIN_IDENTIFY,
			.nsid = nsid,
			.prp1 = n->data_at.v,
			.dword10 = what,
		});
}

/* The interrupt message of a queue. */
static u32 vector_of(const struct nvme *n, u32 queue)
{
	return n->bus->vector_count ? queue % n->bus->vector_count : 0;
}

static void send_create(struct nvme *n, u64 now, bool is_cq)
{
	struct nvme_queue *q = n->queues[n->step_queue];
	u32 interrupts =
		n->bus->vector_count ? vector_of(n, q->id) << 16 | NVME_QUEUE_INTERRUPTS : 0;

	if (is_cq) {
		spin_lock(&q->lock);
		nvme_queue_rewind(q, n->depth);
		spin_unlock(&q->lock);
	}
	send(n, now,
		&(struct nvme_command){
			.opcode = is_cq ? NVME_ADMIN_CREATE_CQ : NVME_ADMIN_CREATE_SQ,
			.prp1 = is_cq ? q->cq_at.v : q->sq_at.v,
			.dword10 = (n->depth - 1) << 16 | q->id,
			.dword11 = NVME_QUEUE_CONTIGUOUS | (is_cq ? interrupts : (u32)q->id << 16),
		});
}

static void take_step(struct nvme *n, u64 now)
{
	switch (n->step) {
	case NVME_STEP_CONTROLLER:
		send_identify(n, now, 0, NVME_IDENTIFY_CONTROLLER);
		break;
	case NVME_STEP_QUEUE_COUNT:
		send(n, now,
			&(struct nvme_command){
				.opcode = NVME_ADMIN_SET_FEATURES,
				.dword10 = NVME_FEATURE_QUEUE_COUNT,
				.dword11 = (n->queue_count - 1) << 16 | (n->queue_count - 1),
			});
		break;
	case NVME_STEP_CREATE_CQ:
	case NVME_STEP_CREATE_SQ:
		send_create(n, now, n->step == NVME_STEP_CREATE_CQ);
		break;
	case NVME_STEP_NAMESPACES:
		send_identify(n, now, 0, NVME_IDENTIFY_ACTIVE);
		break;
	case NVME_STEP_NAMESPACE:
		send_identify(n, now, n->nsids[n->step_namespace], NVME_IDENTIFY_NAMESPACE);
		break;
	case NVME_STEP_READY:
		n->known = true;
		enter(n, NVME_READY, NVME_FOREVER);
		nvme_resume(n, now);
		break;
	}
}

/* --- Answers ---------------------------------------------------------------------------------- */

static u32 get32(const u8 *at)
{
	u32 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* A device's text: printable characters, blanks at the end cut off. */
static void copy_text(char *to, const u8 *from, u32 bytes)
{
	while (bytes && (from[bytes - 1] == ' ' || from[bytes - 1] == '\0'))
		bytes--;
	for (u32 i = 0; i < bytes; i++)
		to[i] = from[i] > ' ' && from[i] < 0x7f ? (char)from[i]
			: from[i] == ' '                ? ' '
							: '?';
	to[bytes] = '\0';
}

static bool take_controller(struct nvme *n)
{
	char model[sizeof(n->model)], serial[sizeof(n->serial)];
	u32 mdts = n->data[NVME_ID_MDTS];
	u32 namespaces = get32(n->data + NVME_ID_NN);

	copy_text(model, n->data + NVME_ID_MODEL, sizeof(model) - 1);
	copy_text(serial, n->data + NVME_ID_SERIAL, sizeof(serial) - 1);
	if (n->known)
		return strcmp(model, n->model) == 0 && strcmp(serial, n->serial) == 0;
	memcpy(n->model, model, sizeof(model));
	memcpy(n->serial, serial, sizeof(serial));
	n->mdts_bytes = mdts && mdts < 8 ? (u32)PAGE_BYTES << mdts : NVME_TRANSFER_BYTES;
	n->mdts_bytes = min(n->mdts_bytes, NVME_TRANSFER_BYTES);
	memcpy(&n->oncs, n->data + NVME_ID_ONCS, sizeof(n->oncs));
	n->has_cache = n->data[NVME_ID_VWC] & 1;
	/* Before 1.1 there is no list of namespaces: they are numbered from 1. */
	n->nsid_count = min(namespaces, NVME_NAMESPACES);
	for (u32 i = 0; i < n->nsid_count; i++)
		n->nsids[i] = i + 1;
	return true;
}

static bool take_queue_count(struct nvme *n, u32 granted)
{
	u32 most = min(granted & 0xffff, granted >> 16) + 1;

	if (n->known)
		return most >= n->queue_count;
	n->queue_count = min(n->queue_count, most);
	return true;
}

static void take_namespaces(struct nvme *n)
{
	u32 last = 0;

	n->nsid_count = 0;
	for (u32 i = 0; i < PAGE_BYTES / 4; i++) {
		u32 nsid = get32(n->data + 4 * i);

		if (nsid <= last || nsid == ALL_ONES)
			break; /* they ascend, and 0 ends the list */
		last = nsid;
		if (n->nsid_count == NVME_NAMESPACES) {
			log_warn("%s: only the first %u namespaces are used", n->name,
				n->nsid_count);
			break;
		}
		n->nsids[n->nsid_count++] = nsid;
	}
}

static void take_namespace(struct nvme *n)
{
	struct nvme_namespace *ns = &n->namespaces[n->namespace_count];
	u32 nsid = n->nsids[n->step_namespace];
	u32 index = n->data[NVME_NS_FLBAS] & 15,
	    format = get32(n->data + NVME_NS_FORMATS + 4 * index);
	u32 shift = format >> 16 & 0xff;
	u64 blocks;

	memcpy(&blocks, n->data + NVME_NS_SIZE, sizeof(blocks));
	if (blocks == 0)
		return; /* not there */
	if (shift < BLOCK_SHIFT_MIN || shift > BLOCK_SHIFT_MAX || (format & 0xffff) ||
		blocks >= NAMESPACE_BLOCKS) {
		log_warn(
			"%s: namespace %u is not used: blocks of 2^%u bytes, %u bytes of metadata, "
			"%llu blocks",
			n->name, nsid, shift, format & 0xffff, (unsigned long long)blocks);
		return;
	}
	ns->nvme = n;
	ns->nsid = nsid;
	ns->blk = (struct blk_device){
		.ops = &nvme_blk_ops,
		.block_bytes = 1u << shift,
		.block_count = blocks,
		.transfer_bytes = n->mdts_bytes,
		.blocks_most = 65536,
		.can_deallocate = n->oncs & NVME_ONCS_DEALLOCATE,
		.can_write_zeroes = n->oncs & NVME_ONCS_WRITE_ZEROES,
		.has_cache = n->has_cache,
	};
	fmt_snprintf(ns->blk.name, sizeof(ns->blk.name), "%sn%u", n->name, nsid);
	memcpy(ns->blk.model, n->model, sizeof(n->model));
	memcpy(ns->blk.serial, n->serial, sizeof(n->serial));
	n->namespace_count++;
}

static enum nvme_step after_queues(const struct nvme *n)
{
	if (n->known)
		return NVME_STEP_READY;
	return n->version >= NVME_VERSION_1_1 ? NVME_STEP_NAMESPACES : NVME_STEP_NAMESPACE;
}

/* Make use of the answer to a step that went well. Returns the step to go on with. */
static enum nvme_step take_answer(struct nvme *n, u32 result, const char **problem)
{
	switch (n->step) {
	case NVME_STEP_CONTROLLER:
		if (!take_controller(n))
			*problem = "it came back as another device";
		return NVME_STEP_QUEUE_COUNT;
	case NVME_STEP_QUEUE_COUNT:
		if (!take_queue_count(n, result))
			*problem = "it came back with fewer queues";
		n->step_queue = 1;
		return NVME_STEP_CREATE_CQ;
	case NVME_STEP_CREATE_CQ:
		return NVME_STEP_CREATE_SQ;
	case NVME_STEP_CREATE_SQ:
		return ++n->step_queue <= n->queue_count ? NVME_STEP_CREATE_CQ : after_queues(n);
	case NVME_STEP_NAMESPACES:
		take_namespaces(n);
		return NVME_STEP_NAMESPACE;
	case NVME_STEP_NAMESPACE:
		take_namespace(n);
		n->step_namespace++;
		return NVME_STEP_NAMESPACE;
	default:
		return n->step;
	}
}

void nvme_setup_answered(struct nvme *n, const struct nvme_completion *answer, u64 now)
{
	u32 status = NVME_STATUS(answer->status);
	const char *problem = NULL;

	if (n->state != NVME_SETTING_UP)
		return;
	if (status && n->step == NVME_STEP_NAMESPACES) {
		n->step = NVME_STEP_NAMESPACE; /* no list: then they are numbered from 1 */
	} else if (status && n->step == NVME_STEP_NAMESPACE) {
		n->step_namespace++; /* not this one */
	} else if (status) {
		char why[sizeof(n->why)];

		fmt_snprintf(why, sizeof(why), "set-up step %u failed with status %03x", n->step,
			status);
		nvme_fail(n, now, why);
		return;
	} else {
		n->step = take_answer(n, answer->result, &problem);
	}
	if (problem) {
		nvme_die(n, E_IO, problem);
		return;
	}
	if (n->step == NVME_STEP_NAMESPACE && n->step_namespace >= n->nsid_count)
		n->step = NVME_STEP_READY;
	take_step(n, now);
}

/* --- Driving it ------------------------------------------------------------------------------- */

static void start_steps(struct nvme *n, u64 now)
{
	u32 reachable = (n->bus->register_bytes - NVME_DOORBELLS) / (2 * n->doorbell_stride);

	if (!n->known) {
		n->queue_count = min(n->cpu_count, max(reachable, 1u) - 1);
		/* One message is the admin queue's; where there is but one, it is all queues'. */
		if (n->bus->vector_count > 1)
			n->queue_count = min(n->queue_count, n->bus->vector_count - 1);
		n->namespace_count = n->step_namespace = 0;
	}
	if (n->queue_count == 0) {
		nvme_die(n, E_UNSUPPORTED, "its doorbells cannot be reached");
		return;
	}
	/* Pins and MSI: masked where nobody listens, and unmasked where somebody does. */
	if (!n->bus->has_msix)
		nvme_write(n, n->bus->vector_count ? NVME_INTMC : NVME_INTMS, ALL_ONES);
	n->step = NVME_STEP_CONTROLLER;
	enter(n, NVME_SETTING_UP, NVME_FOREVER);
	take_step(n, now);
}

void nvme_advance(struct nvme *n, u64 now)
{
	u32 status = nvme_read(n, NVME_CSTS);

	if (status == ALL_ONES)
		nvme_die(n, E_IO, "it no longer answers");
	else if (n->state == NVME_DISABLING && !(status & NVME_CSTS_RDY))
		enable(n, now);
	else if (n->state == NVME_ENABLING && (status & NVME_CSTS_CFS))
		nvme_fail(n, now, "fatal status while it starts");
	else if (n->state == NVME_ENABLING && (status & NVME_CSTS_RDY))
		start_steps(n, now);
	else if (now > n->state_deadline_ns)
		nvme_fail(n, now,
			n->state == NVME_DISABLING ? "it does not stop"
						   : "it does not become ready");
	else if (n->state >= NVME_SETTING_UP && (status & NVME_CSTS_CFS))
		nvme_fail(n, now, "fatal status");
}
