/* The block device in memory: see fake_blk.h. */
#include "tests/fake/fake_blk.h"
#include "mm/platform.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_blk *of(struct blk_device *device)
{
	return container_of(device, struct fake_blk, device);
}

static void check_request(const struct blk_device *device, const struct blk_request *r)
{
	bool moves = r->op == BLK_READ || r->op == BLK_WRITE;
	u64 bytes = (u64)r->block_count * device->block_bytes;

	if (r->op == BLK_FLUSH)
		return;
	if (r->block >= device->block_count || r->block_count > device->block_count - r->block ||
		(moves ? bytes > device->transfer_bytes || r->segment_count > 64 ||
					!blk_segments_are_sound(r, bytes)
		       : !device->can_deallocate || r->op != BLK_DEALLOCATE ||
					r->block_count > device->blocks_most)) {
		fprintf(stderr, "block device: an unsound request\n");
		abort();
	}
}

static err_t submit(struct blk_device *device, struct blk_request *r)
{
	struct fake_blk *fake = of(device);
	u32 n;

	check_request(device, r);
	pthread_mutex_lock(&fake->lock);
	n = fake->pending_count;
	if (device->is_dead || n >= fake->depth) {
		pthread_mutex_unlock(&fake->lock);
		return device->is_dead ? E_IO : E_BUSY;
	}
	fake->pending[n] = r;
	/* A caller may reuse its own at once: a bad one would show. */
	for (u32 i = 0; i < r->segment_count; i++)
		fake->segments[n][i] = r->segments[i];
	fake->pending_count++;
	pthread_mutex_unlock(&fake->lock);
	return 0;
}

static bool counts_down(u64 *nth)
{
	return *nth && --*nth == 0;
}

static bool fails(struct fake_blk *fake, const struct blk_request *r)
{
	if (fake->device.is_dead)
		return true;
	if (r->op != BLK_FLUSH && fake->bad_block - r->block < r->block_count)
		return true;
	if (fake->fail_nth == 1 && fake->fail_all_after)
		return true;
	if (fake->fail_every && ++fake->requests % fake->fail_every == 0)
		return true;
	return counts_down(&fake->fail_nth);
}

static void read(struct fake_blk *fake, const struct blk_request *r, const struct blk_segment *s)
{
	const u8 *from = fake->data + r->block * fake->device.block_bytes;
	bool wrong = counts_down(&fake->corrupt_nth) ||
		     (fake->corrupt_every && fake->reads % fake->corrupt_every == 0);

	for (u32 i = 0; i < r->segment_count; i++) {
		u8 *to = (u8 *)platform_frame_va(hpa_to_pfn(s[i].at)) + s[i].at.v % PAGE_BYTES;

		memcpy(to, from, s[i].bytes);
		from += s[i].bytes;
		if (i + 1 == r->segment_count && wrong)
			to[rng_below(&fake->rng, s[i].bytes)] ^= 1u << rng_below(&fake->rng, 8);
	}
	fake->reads++;
}

/*
 * Memory as a device reads it: word by word, whatever CPUs do to it meanwhile. A guest may write a
 * page that is being written out; what reaches the disk is void then (mm/swap/swap_io.h).
 */
static void dma_from_memory(u8 *to, const u8 *from, u64 bytes)
{
	for (u64 at = 0; at < bytes; at += 4) {
		u32 word =
			__atomic_load_n((const u32 *)(const void *)(from + at), __ATOMIC_RELAXED);

		memcpy(to + at, &word, min(bytes - at, (u64)sizeof(word)));
	}
}

static void write(struct fake_blk *fake, const struct blk_request *r, const struct blk_segment *s)
{
	u8 *to = fake->data + r->block * fake->device.block_bytes;

	for (u32 i = 0; i < r->segment_count; i++) {
		const u8 *from =
			(u8 *)platform_frame_va(hpa_to_pfn(s[i].at)) + s[i].at.v % PAGE_BYTES;
		u64 some = min((u64)s[i].bytes, fake->power_bytes);

		dma_from_memory(to, from, some);
		if (fake->power_bytes != ~0ull)
			fake->power_bytes -= some;
		to += s[i].bytes;
	}
	fake->writes++;
	fake->lowest_written = min(fake->lowest_written, r->block);
	fake->highest_written = max(fake->highest_written, r->block + r->block_count - 1);
}

static void deallocate(struct fake_blk *fake, const struct blk_request *r)
{
	u32 size = fake->device.block_bytes;

	memset(fake->data + r->block * size, FAKE_BLK_GONE, (size_t)r->block_count * size);
	fake->deallocates++;
}

/* One of those under way, carried out; NULL: there is none. The lock is held. */
static struct blk_request *carry_out(struct fake_blk *fake)
{
	u32 n = fake->shuffle && fake->pending_count
			? (u32)rng_below(&fake->rng, fake->pending_count)
			: 0;
	struct blk_segment segments[64];
	struct blk_request *r = fake->pending[n];

	if (!fake->pending_count)
		return NULL;
	memcpy(segments, fake->segments[n], sizeof(segments));
	fake->pending_count--;
	memmove(&fake->pending[n], &fake->pending[n + 1],
		(fake->pending_count - n) * sizeof(fake->pending[0]));
	memmove(&fake->segments[n], &fake->segments[n + 1],
		(fake->pending_count - n) * sizeof(fake->segments[0]));
	r->result = fails(fake, r) ? E_IO : 0;
	if (!r->result && r->op == BLK_READ)
		read(fake, r, segments);
	if (!r->result && r->op == BLK_WRITE)
		write(fake, r, segments);
	if (!r->result && r->op == BLK_DEALLOCATE)
		deallocate(fake, r);
	fake->flushes += !r->result && r->op == BLK_FLUSH;
	return r;
}

static bool complete_one(struct fake_blk *fake)
{
	struct blk_request *r;

	pthread_mutex_lock(&fake->lock);
	r = carry_out(fake);
	pthread_mutex_unlock(&fake->lock);
	if (r)
		r->done(r);
	return r != NULL;
}

u32 fake_blk_run(struct fake_blk *fake, u32 most)
{
	u32 done = 0;

	while (done < most && complete_one(fake))
		done++;
	return done;
}

void fake_blk_kill(struct fake_blk *fake)
{
	fake->device.is_dead = true;
	fake_blk_run(fake, fake->pending_count);
}

static void poll(struct blk_device *device, u64 now_ns)
{
	(void)now_ns;
	fake_blk_run(of(device), of(device)->pending_count);
}

static bool must_poll(const struct blk_device *device)
{
	return container_of(device, const struct fake_blk, device)->pending_count > 0;
}

static const struct blk_ops ops = {.submit = submit, .poll = poll, .must_poll = must_poll};

void fake_blk_init(struct fake_blk *fake, u32 block_bytes, u64 block_count)
{
	memset(fake, 0, sizeof(*fake));
	fake->device = (struct blk_device){
		.ops = &ops,
		.name = "fake0",
		.block_bytes = block_bytes,
		.block_count = block_count,
		.transfer_bytes = KIB(128),
		.has_cache = true,
	};
	pthread_mutex_init(&fake->lock, NULL);
	fake->data = calloc(block_count, block_bytes);
	fake->depth = FAKE_BLK_PENDING;
	fake->bad_block = fake->power_bytes = fake->lowest_written = ~0ull;
	fake->rng.state = rng_seed(1);
}

void fake_blk_free(struct fake_blk *fake)
{
	free(fake->data);
}
