/* See fake_nvme.h. What a driver must never do is asserted here. */
#include "tests/fake/fake_nvme.h"
#include "tests/fake/cmocka.h"

#include <stdlib.h>
#include <string.h>

#define STATUS_FAILED 0x2006u /* internal error, do not retry, as status bits without the phase */
#define DNR           0x4000u

static struct fake_nvme *fake_of(const struct nvme_bus *bus)
{
	return container_of((struct nvme_bus *)bus, struct fake_nvme, bus);
}

static u64 next_random(struct fake_nvme *f)
{
	f->random = f->random * 6364136223846793005ull + 1442695040888963407ull;
	return f->random >> 33;
}

static void *dma(struct fake_nvme *f, u64 at)
{
	assert_false(f->is_cut_off);
	assert_true(f->cc & NVME_CC_EN);
	return (void *)at;
}

void fake_nvme_complete(struct fake_nvme *f, u16 queue, u16 sq_id, u16 id, u16 status, u32 result)
{
	struct nvme_completion c = {.result = result, .sq_id = sq_id, .command_id = id};
	struct nvme_completion *entry =
		(struct nvme_completion *)dma(f, f->cq[queue].base) + f->cq[queue].tail;

	assert_true(f->cq[queue].exists);
	c.sq_head = (u16)f->sq[queue].head;
	c.status = (u16)(status << 1 | f->cq[queue].phase);
	memcpy(entry, &c, sizeof(c));
	if (++f->cq[queue].tail == f->cq[queue].entries) {
		f->cq[queue].tail = 0;
		f->cq[queue].phase ^= 1;
	}
}

/* --- Commands --------------------------------------------------------------------------------- */

static void move(
	struct fake_nvme *f, const struct nvme_command *c, u8 *data, u64 bytes, bool to_host)
{
	u64 at = c->prp1, done = 0, *list = NULL;
	u64 first = min(bytes, PAGE_BYTES - at % PAGE_BYTES);

	if (bytes > first + PAGE_BYTES) {
		list = dma(f, c->prp2);
		/* One list, inside one page: this driver makes no longer ones. */
		assert_true((c->prp2 & (PAGE_BYTES - 1)) / 8 +
				    (bytes - first + PAGE_BYTES - 1) / PAGE_BYTES <=
			    PAGE_BYTES / 8);
	}
	while (done < bytes) {
		u64 some = min(bytes - done, PAGE_BYTES - at % PAGE_BYTES);

		assert_true(at % 4 == 0 && (done == 0 || at % PAGE_BYTES == 0));
		if (to_host)
			memcpy(dma(f, at), data + done, some);
		else
			memcpy(data + done, dma(f, at), some);
		done += some;
		at = list ? *list++ : c->prp2;
	}
}

static u16 identify(struct fake_nvme *f, const struct nvme_command *c)
{
	u8 page[PAGE_BYTES] = {0};

	if (c->dword10 == NVME_IDENTIFY_CONTROLLER) {
		memset(page + NVME_ID_SERIAL, ' ', 60);
		memcpy(page + NVME_ID_SERIAL, f->serial, strlen(f->serial));
		memcpy(page + NVME_ID_MODEL, "Fake\x01 disk", 10);
		page[NVME_ID_MDTS] = f->mdts;
		memcpy(page + NVME_ID_NN, &f->namespace_count, 4);
		memcpy(page + NVME_ID_ONCS, &f->oncs, 2);
		page[NVME_ID_VWC] = 1;
	} else if (c->dword10 == NVME_IDENTIFY_ACTIVE) {
		if (f->no_list)
			return NVME_STATUS_INVALID_FIELD | DNR;
		for (u32 i = 0; i < f->namespace_count; i++)
			((u32 *)page)[i] = i + 1;
	} else {
		struct fake_namespace *ns;
		u32 format;

		assert_true(c->nsid >= 1);
		if (c->nsid > f->namespace_count && !f->garbage_identify)
			return NVME_STATUS_INVALID_FIELD | DNR;
		ns = &f->namespaces[(c->nsid - 1) % f->namespace_count];
		format = ns->block_shift << 16 | ns->metadata;
		memcpy(page + NVME_NS_SIZE, &ns->blocks, 8);
		page[NVME_NS_FLBAS] = 1;
		memcpy(page + NVME_NS_FORMATS + 4, &format, 4);
	}
	for (u32 i = 0; i < PAGE_BYTES && f->garbage_identify; i++)
		page[i] = (u8)next_random(f);
	move(f, c, page, PAGE_BYTES, true);
	return 0;
}

static u16 create(struct fake_nvme *f, const struct nvme_command *c)
{
	u32 queue = c->dword10 & 0xffff, entries = (c->dword10 >> 16) + 1;

	assert_true(queue >= 1 && queue < FAKE_QUEUES && c->prp1 % PAGE_BYTES == 0);
	assert_true(entries <= NVME_CAP_MQES(f->cap) + 1);
	assert_true(queue <= f->granted);
	if (c->opcode == NVME_ADMIN_CREATE_CQ) {
		assert_false(f->cq[queue].exists);
		f->cq[queue].base = c->prp1;
		f->cq[queue].entries = entries;
		f->cq[queue].phase = 1;
		f->cq[queue].vector = c->dword11 >> 16;
		f->cq[queue].exists = true;
		return 0;
	}
	assert_true(f->cq[queue].exists && !f->sq[queue].exists);
	assert_int_equal(c->dword11 >> 16, queue);
	f->sq[queue].base = c->prp1;
	f->sq[queue].entries = entries;
	f->sq[queue].exists = true;
	return 0;
}

static u16 abort_command(struct fake_nvme *f, const struct nvme_command *c, u32 *result)
{
	f->abort_count++;
	*result = 1;
	for (u32 i = 0; i < f->pending_count; i++) {
		struct fake_pending *p = &f->pending[i];

		if (p->queue != (c->dword10 & 0xffff) || p->command.id != c->dword10 >> 16)
			continue;
		fake_nvme_complete(
			f, p->queue, p->queue, p->command.id, NVME_STATUS_ABORT_REQUESTED, 0);
		f->pending[i] = f->pending[--f->pending_count];
		*result = 0;
		break;
	}
	return 0;
}

static u16 admin(struct fake_nvme *f, const struct nvme_command *c, u32 *result)
{
	if (c->opcode == f->fail_admin)
		return STATUS_FAILED;
	switch (c->opcode) {
	case NVME_ADMIN_IDENTIFY:
		return identify(f, c);
	case NVME_ADMIN_SET_FEATURES:
		*result = (f->granted - 1) << 16 | (f->granted - 1);
		return 0;
	case NVME_ADMIN_CREATE_CQ:
	case NVME_ADMIN_CREATE_SQ:
		return create(f, c);
	case NVME_ADMIN_ABORT:
		return abort_command(f, c, result);
	}
	fail_msg("admin command %02x", c->opcode);
	return 0;
}

static u16 io(struct fake_nvme *f, const struct nvme_command *c)
{
	struct fake_namespace *ns = &f->namespaces[c->nsid - 1];
	u64 block = c->dword10 | (u64)c->dword11 << 32, bytes = (c->dword12 + 1ull)
								<< ns->block_shift;
	const struct nvme_range *range;

	f->io_count++;
	assert_true(c->nsid >= 1 && c->nsid <= f->namespace_count);
	if (f->fail_count) {
		f->fail_count--;
		return (u16)f->fail_raw;
	}
	switch (c->opcode) {
	case NVME_CMD_FLUSH:
		f->flush_count++;
		return 0;
	case NVME_CMD_DATASET:
		range = dma(f, c->prp1);
		assert_true(c->dword10 == 0 && c->dword11 == NVME_DATASET_DEALLOCATE);
		block = range->block;
		bytes = (u64)range->block_count << ns->block_shift;
		memset(ns->data + (block << ns->block_shift), 0xde, bytes);
		return 0;
	case NVME_CMD_WRITE_ZEROES:
		memset(ns->data + (block << ns->block_shift), 0, bytes);
		return 0;
	case NVME_CMD_READ:
	case NVME_CMD_WRITE:
		assert_true(bytes <= PAGE_BYTES << f->mdts);
		move(f, c, ns->data + (block << ns->block_shift), bytes,
			c->opcode == NVME_CMD_READ);
		return 0;
	}
	fail_msg("command %02x", c->opcode);
	return 0;
}

static void carry_out(struct fake_nvme *f, const struct fake_pending *p)
{
	u32 result = 0, *lose = p->queue ? &f->lose : &f->lose_admin;
	u16 status = p->queue ? io(f, &p->command) : admin(f, &p->command, &result);

	for (; f->nonsense && p->queue; f->nonsense--) {
		u16 id = (u16)next_random(f);

		fake_nvme_complete(f, p->queue, (u16)(f->nonsense % 2 ? p->queue : next_random(f)),
			id == p->command.id ? (u16)~id : id, 0, 0);
	}
	if (*lose)
		--*lose;
	else
		fake_nvme_complete(f, p->queue, p->queue, p->command.id, status, result);
}

u32 fake_nvme_run(struct fake_nvme *f, u32 most)
{
	u32 done = 0;

	while (done < most && f->pending_count && !f->gone && !f->is_cut_off &&
		!(f->csts & NVME_CSTS_CFS)) {
		u32 i = f->random ? (u32)(next_random(f) % f->pending_count) : 0;
		struct fake_pending p;

		/* A controller that stalls still answers admin commands. */
		for (u32 k = 0; f->stall && k < f->pending_count && f->pending[i].queue; k++)
			i = (i + 1) % f->pending_count;
		p = f->pending[i];
		if (f->stall && p.queue)
			break;
		f->pending_count--;
		memmove(&f->pending[i], &f->pending[i + 1],
			(f->pending_count - i) * sizeof(f->pending[0]));
		carry_out(f, &p);
		done++;
	}
	return done;
}

/* --- Registers -------------------------------------------------------------------------------- */

static void fetch(struct fake_nvme *f, u32 queue)
{
	while (f->sq[queue].head != f->sq[queue].tail) {
		struct fake_pending *p = &f->pending[f->pending_count++];
		const struct nvme_command *ring = dma(f, f->sq[queue].base);

		assert_true(f->pending_count <= FAKE_PENDING);
		p->command = ring[f->sq[queue].head];
		p->queue = (u16)queue;
		f->sq[queue].head = (f->sq[queue].head + 1) % f->sq[queue].entries;
	}
	if (f->at_once)
		fake_nvme_run(f, ~0u);
}

static void doorbell(struct fake_nvme *f, u32 offset, u32 value)
{
	u32 index = (offset - NVME_DOORBELLS) >> (2 + f->stride_shift), queue = index / 2;

	assert_int_equal((offset - NVME_DOORBELLS) & ((4u << f->stride_shift) - 1), 0);
	assert_true(queue < FAKE_QUEUES && f->sq[queue].exists);
	assert_true(value < f->sq[queue].entries);
	f->doorbell_writes[queue]++;
	if (index % 2) {
		f->cq[queue].head = value;
	} else {
		f->sq[queue].tail = value;
		fetch(f, queue);
	}
}

static void configure(struct fake_nvme *f, u32 value)
{
	bool was_on = f->cc & NVME_CC_EN, is_on = value & NVME_CC_EN;

	f->cc = value;
	if (!is_on)
		f->pending_count = 0;
	if (!is_on && !f->never_stops)
		f->csts = 0;
	if (was_on || !is_on)
		return;
	assert_int_equal(value, NVME_CC_EN | NVME_CC_IOSQES | NVME_CC_IOCQES);
	memset(f->sq, 0, sizeof(f->sq));
	memset(f->cq, 0, sizeof(f->cq));
	f->enabled_count++;
	f->sq[0].base = f->asq;
	f->sq[0].entries = (f->aqa & 0xfff) + 1;
	f->cq[0].base = f->acq;
	f->cq[0].entries = (f->aqa >> 16) + 1;
	f->cq[0].phase = 1;
	f->sq[0].exists = f->cq[0].exists = true;
	f->csts = f->fatal_when_enabled ? NVME_CSTS_CFS : f->never_ready ? 0 : NVME_CSTS_RDY;
}

static u32 bus_read(const struct nvme_bus *bus, u32 offset)
{
	struct fake_nvme *f = fake_of(bus);

	if (f->gone)
		return ~0u;
	switch (offset) {
	case NVME_CAP:
		return (u32)f->cap;
	case NVME_CAP + 4:
		return (u32)(f->cap >> 32);
	case NVME_VS:
		return f->version;
	case NVME_CC:
		return f->cc;
	case NVME_CSTS:
		return f->csts;
	}
	fail_msg("register %x read", offset);
	return 0;
}

static void bus_write(const struct nvme_bus *bus, u32 offset, u32 value)
{
	struct fake_nvme *f = fake_of(bus);

	if (f->gone)
		return;
	assert_true(offset + 4 <= bus->register_bytes);
	switch (offset) {
	case NVME_INTMS:
		f->intms |= value;
		break;
	case NVME_INTMC:
		f->intms &= ~value;
		break;
	case NVME_CC:
		configure(f, value);
		break;
	case NVME_AQA:
		f->aqa = value;
		break;
	case NVME_ASQ:
	case NVME_ACQ:
		*(offset == NVME_ASQ ? &f->asq : &f->acq) = value;
		break;
	case NVME_ASQ + 4:
	case NVME_ACQ + 4:
		*(offset == NVME_ASQ + 4 ? &f->asq : &f->acq) |= (u64)value << 32;
		break;
	default:
		assert_true(offset >= NVME_DOORBELLS);
		doorbell(f, offset, value);
	}
}

static void *bus_alloc(const struct nvme_bus *bus, u32 pages, hpa_t *at)
{
	struct fake_nvme *f = fake_of(bus);
	void *memory;

	if (f->alloc_left == 0)
		return NULL;
	if (f->alloc_left != ~0u)
		f->alloc_left--;
	memory = aligned_alloc(PAGE_BYTES, pages * PAGE_BYTES);
	assert_true(memory && f->alloc_count < FAKE_ALLOCS);
	memset(memory, 0, pages * PAGE_BYTES);
	f->allocs[f->alloc_count++] = memory;
	*at = HPA((u64)memory);
	return memory;
}

static void bus_cut_off(const struct nvme_bus *bus)
{
	fake_of(bus)->is_cut_off = true;
}

/* --- Life ------------------------------------------------------------------------------------- */

void fake_nvme_init(struct fake_nvme *f)
{
	memset(f, 0, sizeof(*f));
	f->bus = (struct nvme_bus){
		.read = bus_read,
		.write = bus_write,
		.alloc = bus_alloc,
		.cut_off = bus_cut_off,
		.register_bytes = 0x4000,
		.vector_count = 5,
		.has_msix = true,
	};
	f->cap = NVME_CAP_CSS_NVM | 4u << 24 | 63;
	f->version = 0x10400;
	f->granted = 4;
	f->mdts = 7;
	f->oncs = NVME_ONCS_DEALLOCATE | NVME_ONCS_WRITE_ZEROES;
	f->serial = "F-1";
	f->fail_admin = -1;
	f->alloc_left = ~0u;
	f->at_once = true;
	fake_nvme_add_namespace(f, 4096, 9);
}

void fake_nvme_add_namespace(struct fake_nvme *f, u64 blocks, u32 block_shift)
{
	assert_true(f->namespace_count < FAKE_NAMESPACES);
	f->namespaces[f->namespace_count++] = (struct fake_namespace){
		.blocks = blocks,
		.block_shift = block_shift,
		.data = calloc(blocks, 1u << block_shift),
	};
}

void fake_nvme_free(struct fake_nvme *f)
{
	for (u32 i = 0; i < f->alloc_count; i++)
		free(f->allocs[i]);
	for (u32 i = 0; i < f->namespace_count; i++)
		free(f->namespaces[i].data);
}
