/* What others may know of a controller. No lock: each figure is right, not all of one moment. */
#include "drivers/nvme_private.h"

enum nvme_state nvme_state(const struct nvme *n)
{
	return __atomic_load_n(&n->state, __ATOMIC_ACQUIRE);
}

const char *nvme_state_name(enum nvme_state state)
{
	static const char *const names[] = {
		[NVME_DISABLING] = "resetting",
		[NVME_ENABLING] = "starting",
		[NVME_SETTING_UP] = "setting up",
		[NVME_READY] = "ready",
		[NVME_DEAD] = "dead",
	};

	return names[state];
}

const char *nvme_why(const struct nvme *n)
{
	return n->why;
}

const char *nvme_name(const struct nvme *n)
{
	return n->name;
}

const char *nvme_model(const struct nvme *n)
{
	return n->model;
}

const char *nvme_serial(const struct nvme *n)
{
	return n->serial;
}

u32 nvme_version(const struct nvme *n)
{
	return n->version;
}

u32 nvme_queue_count(const struct nvme *n)
{
	return n->queue_count;
}

u32 nvme_queue_depth(const struct nvme *n)
{
	return n->depth;
}

struct nvme_pair_stats nvme_pair_stats(const struct nvme *n, u32 pair)
{
	return n->queues[1 + pair]->stats;
}

u64 nvme_interrupt_count(const struct nvme *n)
{
	u64 count = 0;

	for (u32 i = 0; i < n->queue_count; i++)
		count += nvme_pair_stats(n, i).interrupts;
	return count;
}

struct nvme_stats nvme_stats(const struct nvme *n)
{
	return n->stats;
}

u32 nvme_namespace_count(const struct nvme *n)
{
	return n->namespace_count;
}

struct blk_device *nvme_namespace(struct nvme *n, u32 index)
{
	return index < n->namespace_count ? &n->namespaces[index].blk : NULL;
}
