/* SRCS: hv/vdev/virtio_queue.c hv/vdev/virtio_mmio.c hv/vdev/virtio_blk.c */
/*
 * A driver that does anything to its device's registers and to the rings in its memory, while the
 * memory is now and then not to be had. The device reads and writes nothing but RAM, what it takes
 * from a ring stays within bounds, what it is asked for lies on the disk, and after a reset it
 * holds no page.
 *
 * The input is a row of operations of 16 bytes; a driver that does well is set up first, so that
 * few bytes lead deep.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hv/vdev/virtio_blk.h"
#include "hv/vdev/virtio_mmio.h"

#define MEMORY_BYTES (16u * PAGE_BYTES)
#define SIZE         16u
#define DESC_GPA     0x1000u
#define AVAIL_GPA    0x2000u
#define USED_GPA     0x3000u

struct op {
	u8 kind, waits;
	u16 at;
	u32 offset;
	u64 value;
};
_Static_assert(sizeof(struct op) == 16, "as read from the input");

static u8 *memory;
static u32 pins;
static u8 waits; /* a bit for each access to come that has to wait */
static struct virtio_mmio mmio;
static const struct virtio_blk_disk shape = {
	.block_count = 1000,
	.block_bytes = 1024,
	.blocks_most = 77,
	.has_cache = true,
	.can_discard = true,
	.can_write_zeroes = true,
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool must_wait(void)
{
	bool wait = waits & 1;

	waits >>= 1;
	return wait;
}

static err_t pin(void *context, gfn_t gfn, void **va)
{
	(void)context;
	if (gfn.v >= MEMORY_BYTES / PAGE_BYTES)
		return E_RANGE;
	if (must_wait())
		return E_WAIT;
	pins++;
	*va = memory + gfn.v * PAGE_BYTES;
	return 0;
}

static void unpin(void *context, void *va)
{
	(void)context;
	require(((u8 *)va - memory) % PAGE_BYTES == 0 && pins > 0);
	pins--;
}

static err_t check(gpa_t gpa, u32 bytes)
{
	if (gpa.v > MEMORY_BYTES || bytes > MEMORY_BYTES - gpa.v)
		return E_RANGE;
	return must_wait() ? E_WAIT : 0;
}

static err_t read_memory(void *context, gpa_t from, void *to, u32 bytes)
{
	err_t err = check(from, bytes);

	(void)context;
	if (!err)
		memcpy(to, memory + from.v, bytes);
	return err;
}

static err_t write_memory(void *context, gpa_t to, const void *from, u32 bytes)
{
	err_t err = check(to, bytes);

	(void)context;
	if (!err)
		memcpy(memory + to.v, from, bytes);
	return err;
}

static void line(void *context, bool level)
{
	(void)context;
	(void)level;
}

static void look_at(struct virtio_chain *chain)
{
	const struct virtio_memory *m = &mmio.device->memory;
	struct virtio_blk_request request;
	enum virtio_blk_status status;
	u8 some[64];
	err_t err;

	require(chain->count <= VIRTQUEUE_SIZE_MAX && chain->read_count <= chain->count);
	err = virtio_blk_begin(&shape, m, chain, &request, &status);
	if (err == E_WAIT)
		err = virtio_blk_begin(&shape, m, chain, &request, &status);
	if (err == E_CORRUPT)
		virtio_mmio_break(&mmio);
	if (err)
		return;
	if (status == VIRTIO_BLK_OK &&
		(request.op == VIRTIO_BLK_DISCARD || request.op == VIRTIO_BLK_WRITE_ZEROES)) {
		if (virtio_blk_read_range(&shape, m, &request, &status))
			return;
	}
	if (status == VIRTIO_BLK_OK && request.block_count)
		require(request.block < shape.block_count &&
			request.block_count <= shape.block_count - request.block);
	if (request.op == VIRTIO_BLK_READ || request.op == VIRTIO_BLK_WRITE)
		require(status != VIRTIO_BLK_OK ||
			request.data_bytes == request.block_count * shape.block_bytes);
	require(virtio_pieces_bytes(request.data, request.data_count) == request.data_bytes);
	(void)!virtio_pieces_read(m, request.data, request.data_count, 3, some,
		(u32)min(request.data_bytes > 3 ? request.data_bytes - 3 : 0, sizeof(some)));
}

static void serve(void *context)
{
	struct virtio_chain chain;

	(void)context;
	for (u32 i = 0; i < 8 && virtio_mmio_is_live(&mmio); i++) {
		err_t err = virtqueue_take(&mmio.queue, &mmio.device->memory, &chain);

		if (err == E_CORRUPT)
			virtio_mmio_break(&mmio);
		if (err)
			return;
		look_at(&chain);
		virtqueue_give(&mmio.queue, chain.head, 1);
		virtio_mmio_used(&mmio);
	}
}

static err_t stop(void *context)
{
	(void)context;
	return must_wait() ? E_WAIT : 0;
}

static void set(u32 offset, u32 value)
{
	u64 wide = value;

	(void)!virtio_mmio_access(&mmio, offset, 4, true, &wide);
}

static void set_up_well(void)
{
	static const u32 steps[][2] = {{0x70, 3}, {0x24, 1}, {0x20, 1}, {0x24, 0}, {0x20, 1u << 28},
		{0x70, 11}, {0x38, SIZE}, {0x80, DESC_GPA}, {0x90, AVAIL_GPA}, {0xa0, USED_GPA},
		{0x44, 1}, {0x70, 15}};

	for (u32 i = 0; i < ARRAY_COUNT(steps); i++)
		set(steps[i][0], steps[i][1]);
}

static void run(const struct op *op)
{
	u64 value = op->value;
	u16 index;

	waits = op->waits;
	switch (op->kind % 6) {
	case 0: /* any access */
		(void)!virtio_mmio_access(
			&mmio, op->at % 0x1000, 1u << (op->offset & 3), op->offset & 4, &value);
		break;
	case 1: /* a descriptor's word */
		memcpy(memory + DESC_GPA + op->at % 256 * 8, &op->value, 8);
		break;
	case 2: /* the next available */
		memcpy(&index, memory + AVAIL_GPA + 2, 2);
		memcpy(memory + AVAIL_GPA + 4 + index % SIZE * 2, &op->at, 2);
		index++;
		memcpy(memory + AVAIL_GPA + 2, &index, 2);
		break;
	case 3: /* any word of the memory */
		memcpy(memory + op->offset % (MEMORY_BYTES - 8), &op->value, 8);
		break;
	case 4:
		set(0x50, 0);
		break;
	case 5:
		set(0x70, 0);
		if (op->at & 1)
			set_up_well();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_blk_config registers;
	struct virtio_device blk = {
		.device_id = VIRTIO_BLK_DEVICE_ID,
		.features = virtio_blk_features(&shape),
		.config = (const u8 *)&registers,
		.config_bytes = VIRTIO_BLK_CONFIG_BYTES,
		.notify = serve,
		.stop = stop,
		.memory = {NULL, pin, unpin, read_memory, write_memory},
	};

	memory = calloc(1, MEMORY_BYTES);
	require(memory != NULL);
	pins = waits = 0;
	virtio_blk_config_fill(&shape, &registers);
	mmio = (struct virtio_mmio){.device = &blk, .line = line};
	set_up_well();
	for (; size >= sizeof(struct op); data += sizeof(struct op), size -= sizeof(struct op)) {
		struct op op;

		memcpy(&op, data, sizeof(op));
		run(&op);
		require(pins <= 6);
	}
	virtio_mmio_reset(&mmio);
	require(pins == 0);
	free(memory);
	return 0;
}
