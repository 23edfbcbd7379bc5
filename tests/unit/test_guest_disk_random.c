/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c hv/disk/guest_disk.c
   hv/disk/guest_disk_slot.c hv/disk/guest_disk_data.c hv/memory/guest_mem.c
   hv/vdev/virtio_queue.c hv/vdev/virtio_mmio.c hv/vdev/virtio_blk.c mm LIBS:
   -Wl,--wrap=space_peek -Wl,--wrap=space_page_state -Wl,--wrap=space_pin_overwrite */
/*
 * Random requests while pins are short, pages come and go, and the disk beneath is busy: what lies
 * on the disk and in the guest's memory afterwards is what a naive model says.
 */
#include "tests/unit/guest_disk_rig.h"
#include "tests/fake/rng.h"

#define MODEL_HEADS 14u
#define STRETCH     160u /* sectors of the disk that each head has for itself */
#define AREA        KIB(256)

static struct {
	bool busy;
	u32 type, count, bytes;
	u64 sector;
	struct virtio_piece pieces[VIRTQUEUE_SIZE_MAX];
} heads[MODEL_HEADS];
static u8 model[DISK_BYTES], scratch[KIB(128)];

/* Cut @bytes into pieces at odd places of the head's own area, one after the other. */
static void cut(struct rng *rng, u16 head, u32 bytes, bool odd)
{
	u64 at = DATA_GPA + head * (AREA / 2);

	heads[head].count = 0;
	while (bytes && heads[head].count < 50) {
		u32 some = odd && heads[head].count < 49 ? 1 + (u32)rng_below(rng, 3000) : bytes;

		if (odd && rng_below(rng, 2))
			some = (some + 511) & ~511u;
		some = min(some, bytes);
		at += odd ? rng_below(rng, 3) * (rng_below(rng, 2) ? 512 : 13) : 0;
		heads[head].pieces[heads[head].count++] = (struct virtio_piece){at, some};
		at += some;
		bytes -= some;
	}
}

static void move_pieces(u16 head, u8 *buffer, bool to_guest)
{
	for (u32 i = 0; i < heads[head].count; i++) {
		struct virtio_piece *p = &heads[head].pieces[i];

		if (to_guest)
			put(p->gpa, buffer, p->bytes);
		else
			get(p->gpa, buffer, p->bytes);
		buffer += p->bytes;
	}
}

static void model_submit(struct rng *rng, u16 head, u32 block_bytes)
{
	u32 scale = block_bytes / 512;
	u32 sectors = (1 + (u32)rng_below(rng, STRETCH / scale - 1)) * scale;
	u64 first = head * STRETCH;

	heads[head].busy = true;
	heads[head].type = rng_below(rng, 2) ? IN : OUT;
	heads[head].sector = first + rng_below(rng, (STRETCH - sectors) / scale + 1) * scale;
	heads[head].bytes = sectors * 512;
	cut(rng, head, heads[head].bytes, rng_below(rng, 3));
	for (u32 i = 0; i < heads[head].bytes; i += 4)
		*(u32 *)(scratch + i) = (u32)rng_next(rng);
	if (heads[head].type == OUT) {
		move_pieces(head, scratch, true);
		memcpy(model + FIRST_BLOCK * (u64)block_bytes + heads[head].sector * 512, scratch,
			heads[head].bytes);
	}
	submit(head, heads[head].type, heads[head].sector, heads[head].pieces, heads[head].count);
}

static void model_check(u16 head, u32 written, u32 block_bytes)
{
	u64 at = FIRST_BLOCK * (u64)block_bytes + heads[head].sector * 512;

	assert_in_range(head, 0, MODEL_HEADS - 1);
	assert_true(heads[head].busy);
	assert_int_equal(status_of(head), 0);
	assert_int_equal(written, heads[head].type == IN ? heads[head].bytes + 1 : 1);
	if (heads[head].type == IN) {
		move_pieces(head, scratch, false);
		assert_memory_equal(scratch, model + at, heads[head].bytes);
	}
	heads[head].busy = false;
}

static void run_model(u32 block_bytes, u64 seed)
{
	struct rng rng;
	u64 ended = 0;

	rng.state = rng_seed(seed);
	begin_with(block_bytes);
	memset(heads, 0, sizeof(heads));
	for (u32 i = 0; i < DISK_BYTES; i++)
		model[i] = blocks[i] = (u8)rng_next(&rng);
	driver_start(FEATURES_ALL);
	while (ended < 3000) {
		u16 head = (u16)rng_below(&rng, MODEL_HEADS);
		u32 written;
		u64 taken = rng_below(&rng, 4) ? 0 : SPACE_PINS_MAX - 8 - rng_below(&rng, 20);

		beneath.most = rng_below(&rng, 4) ? UNDER_WAY : (u32)rng_below(&rng, 4);
		take_pins(taken);
		if (!heads[head].busy && taken == 0)
			model_submit(&rng, head, block_bytes);
		if (beneath.count && rng_below(&rng, 3))
			complete((u32)rng_below(&rng, beneath.count));
		if (rng_below(&rng, 3) == 0)
			space_hide_all(space);
		for (u32 i = 0; i < 8; i++)
			absent.where[rng_below(&rng, PAGES)] = (enum where)rng_below(&rng, 4);
		if (absent.count && rng_below(&rng, 3))
			complete_peek((u32)rng_below(&rng, absent.count), 0);
		work();
		take_pins(0);
		while (next_used(&head, &written)) {
			model_check(head, written, block_bytes);
			ended++;
		}
	}
	beneath.most = UNDER_WAY;
	memset(absent.where, 0, sizeof(absent.where));
	while (absent.count)
		complete_peek(0, 0);
	work();
	complete_all();
	assert_memory_equal(blocks, model, DISK_BYTES);
	assert_true(guest_disk_stats(disk)->bounced_bytes > 0);
	assert_true(guest_disk_stats(disk)->waits > 0);
	assert_true(absent.peeks > 0);
	assert_true(absent.overwrites > 0);
	assert_true(latency_below_us(&guest_disk_stats(disk)->latency, 99) > 0);
	end();
}

static void random_requests_move_what_the_model_says(void **state)
{
	(void)state;
	run_model(512, 1);
	run_model(512, 2);
}

static void random_requests_on_large_blocks_do_too(void **state)
{
	(void)state;
	run_model(4096, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(random_requests_move_what_the_model_says),
		UNIT(random_requests_on_large_blocks_do_too),
	};
	return cmocka_run_group_tests_name("unit/guest_disk_random", tests, NULL, NULL);
}
