/*
 * A namespace as a block device: requests checked, and turned into commands of the NVM command set.
 */
#include "drivers/nvme_private.h"
#include "mm/platform.h"

static err_t check_request(const struct blk_device *blk, const struct blk_request *request)
{
	bool moves = request->op == BLK_READ || request->op == BLK_WRITE;
	u64 bytes = (u64)request->block_count * blk->block_bytes;

	if (request->op == BLK_FLUSH)
		return request->block_count || request->segment_count ? E_INVAL : 0;
	if (request->op >= BLK_OP_COUNT || request->block_count == 0)
		return E_INVAL;
	if ((request->op == BLK_DEALLOCATE && !blk->can_deallocate) ||
		(request->op == BLK_WRITE_ZEROES && !blk->can_write_zeroes))
		return E_UNSUPPORTED;
	if (request->block >= blk->block_count ||
		request->block_count > blk->block_count - request->block)
		return E_RANGE;
	if (!moves)
		return request->segment_count || request->block_count > blk->blocks_most ? E_INVAL
											 : 0;
	return bytes > blk->transfer_bytes || !blk_segments_are_sound(request, bytes) ? E_INVAL : 0;
}

static void fill_dataset(
	struct nvme_queue *q, struct nvme_slot *slot, const struct blk_request *request)
{
	hpa_t at;
	struct nvme_range *range = nvme_slot_list(q, slot, &at);

	*range = (struct nvme_range){.block_count = request->block_count, .block = request->block};
	slot->command.prp1 = at.v;
	slot->command.dword10 = 0; /* one range */
	slot->command.dword11 = NVME_DATASET_DEALLOCATE;
}

static void fill_command(
	struct nvme_queue *q, struct nvme_slot *slot, const struct blk_request *request)
{
	static const u8 opcodes[BLK_OP_COUNT] = {
		[BLK_READ] = NVME_CMD_READ,
		[BLK_WRITE] = NVME_CMD_WRITE,
		[BLK_FLUSH] = NVME_CMD_FLUSH,
		[BLK_DEALLOCATE] = NVME_CMD_DATASET,
		[BLK_WRITE_ZEROES] = NVME_CMD_WRITE_ZEROES,
	};

	slot->command.opcode = opcodes[request->op];
	if (request->op == BLK_FLUSH)
		return;
	if (request->op == BLK_DEALLOCATE) {
		fill_dataset(q, slot, request);
		return;
	}
	slot->command.dword10 = (u32)request->block;
	slot->command.dword11 = (u32)(request->block >> 32);
	slot->command.dword12 = request->block_count - 1;
	if (request->segment_count)
		nvme_slot_map(q, slot, request);
}

static err_t submit(struct blk_device *blk, struct blk_request *request)
{
	struct nvme_namespace *ns = container_of(blk, struct nvme_namespace, blk);
	struct nvme *n = ns->nvme;
	struct nvme_queue *q = nvme_queue_here(n);
	err_t err = check_request(blk, request);
	struct nvme_slot *slot;

	if (err)
		return err;
	spin_lock(&q->lock);
	/* Under the lock: whoever declares it dead takes it later, and fails what is there then. */
	if (nvme_state(n) == NVME_DEAD) {
		err = E_IO;
	} else if ((slot = nvme_slot_take(q, NVME_SLOT_REQUEST)) == NULL) {
		err = E_BUSY;
	} else {
		slot->request = request;
		slot->command.nsid = ns->nsid;
		fill_command(q, slot, request);
		nvme_slot_send(n, q, slot, platform_now_ns() + n->request_limit_ns);
	}
	spin_unlock(&q->lock);
	return err;
}

static void poll(struct blk_device *blk, u64 now_ns)
{
	nvme_poll(container_of(blk, struct nvme_namespace, blk)->nvme, now_ns);
}

static bool must_poll(const struct blk_device *blk)
{
	return nvme_must_poll(container_of(blk, struct nvme_namespace, blk)->nvme);
}

const struct blk_ops nvme_blk_ops = {.submit = submit, .poll = poll, .must_poll = must_poll};
