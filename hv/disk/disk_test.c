/*
 * A test of one partition: write a pattern that tells each 8 bytes' place, flush, read all back and
 * verify, then zeroes and deallocation where the disk has them. Several requests are under way at a
 * time, of odd lengths and offsets; each done() starts the next, so that guests run on meanwhile.
 *
 * Only partitions of the test type are touched. Any CPU may be the one that polls: one lock.
 */
#include "hv/disk/disk_test.h"
#include "drivers/nvme_pci.h"
#include "hv/console/console.h"
#include "hv/disk/disks.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/ini.h"
#include "mm/base/lock.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/platform.h"

#define LANES      8u /* requests under way */
#define LANE_BYTES KIB(256)
#define TEST_BYTES MIB(8) /* of the partition, at most */
#define NS_PER_MS  1000000ull

typedef unsigned long long ull;

enum phase { WRITING, FLUSHING, READING, ZEROING, READING_ZEROES, DEALLOCATING, FINISHED };

struct lane {
	struct blk_request request;
	struct blk_segment segment;
	u8 *buffer;
	u64 block; /* of the partition */
	bool busy;
};

static struct spinlock lock = SPINLOCK(LOCK_RANK_DISK_TEST);

static struct { /* all under the lock */
	bool running;
	const struct disk_partition *partition;
	enum phase phase;
	u64 blocks, next; /* of the partition: how many are tested, from where to go on */
	u32 busy;
	u64 failed, wrong, requests;
	u64 seed, start_ns;
	struct lane lanes[LANES];
} test;

/* Lengths that differ, so that requests begin and end anywhere. */
static u32 length_at(u64 block)
{
	const struct blk_device *blk = test.partition->blk;
	u64 most = min(LANE_BYTES, (u64)blk->transfer_bytes) / blk->block_bytes;

	return (u32)min(test.blocks - block, 1 + (block * 2654435761ull >> 7) % most);
}

static u64 pattern(u64 block, u64 word)
{
	return (test.seed + block) * 0x9e3779b97f4a7c15ull + word;
}

static void fill(struct lane *lane, u32 count)
{
	u64 words = test.partition->blk->block_bytes / 8;
	u64 *to = (u64 *)lane->buffer;

	for (u64 block = lane->block; block < lane->block + count; block++) {
		for (u64 word = 0; word < words; word++)
			*to++ = pattern(block, word);
	}
}

static void verify(const struct lane *lane)
{
	u64 words = test.partition->blk->block_bytes / 8;
	const u64 *from = (const u64 *)lane->buffer;

	for (u64 block = lane->block; block < lane->block + lane->request.block_count; block++) {
		bool right = true;

		for (u64 word = 0; word < words; word++, from++)
			right &= *from == (test.phase == READING ? pattern(block, word) : 0);
		test.wrong += !right;
	}
}

static void go_on(void);

static void lane_done(struct blk_request *request)
{
	struct lane *lane = container_of(request, struct lane, request);

	spin_lock(&lock);
	lane->busy = false;
	test.busy--;
	if (request->result)
		test.failed++;
	else if (test.phase == READING || test.phase == READING_ZEROES)
		verify(lane);
	go_on();
	spin_unlock(&lock);
}

/* Returns false if the disk takes no more now. */
static bool submit(struct lane *lane, enum blk_op op, u64 block, u32 count)
{
	const struct disk_partition *p = test.partition;
	bool moves = op == BLK_READ || op == BLK_WRITE;
	err_t err;

	lane->block = block;
	lane->segment = (struct blk_segment){
		pfn_to_hpa(platform_va_frame(lane->buffer)), count * p->blk->block_bytes};
	lane->request = (struct blk_request){
		.op = op,
		.block = op == BLK_FLUSH ? 0 : p->gpt.first_block + block,
		.block_count = count,
		.segments = moves ? &lane->segment : NULL,
		.segment_count = moves,
		.done = lane_done,
	};
	if (op == BLK_WRITE)
		fill(lane, count);
	if (op == BLK_READ)
		memset(lane->buffer, 0xaa, lane->segment.bytes);
	err = blk_submit(p->blk, &lane->request);
	if (err == E_BUSY && test.busy)
		return false;
	test.requests++;
	if (err) {
		test.failed++;
		return true;
	}
	lane->busy = true;
	test.busy++;
	return true;
}

static enum blk_op op_of(enum phase phase)
{
	static const enum blk_op ops[] = {
		[WRITING] = BLK_WRITE,
		[FLUSHING] = BLK_FLUSH,
		[READING] = BLK_READ,
		[ZEROING] = BLK_WRITE_ZEROES,
		[READING_ZEROES] = BLK_READ,
		[DEALLOCATING] = BLK_DEALLOCATE,
	};

	return ops[phase];
}

static bool is_offered(enum phase phase)
{
	const struct blk_device *blk = test.partition->blk;

	return phase == ZEROING || phase == READING_ZEROES ? blk->can_write_zeroes
	       : phase == DEALLOCATING                     ? blk->can_deallocate
							   : true;
}

static void report(void)
{
	const struct disk_partition *p = test.partition;

	/* Whichever CPU the last request came back to. */
	log_info("disk test %s: %s: %llu blocks of %u bytes, %llu requests, %llu failed, "
		 "%llu blocks wrong, %llu ms",
		p->gpt.name, test.failed || test.wrong ? "FAILED" : "ok", (ull)test.blocks,
		p->blk->block_bytes, (ull)test.requests, (ull)test.failed, (ull)test.wrong,
		(ull)((time_now_ns() - test.start_ns) / NS_PER_MS));
	for (u32 i = 0; i < LANES; i++)
		kmem_free(test.lanes[i].buffer, LANE_BYTES);
	test.running = false;
}

static struct lane *idle_lane(void)
{
	for (u32 i = 0; i < LANES; i++) {
		if (!test.lanes[i].busy)
			return &test.lanes[i];
	}
	return NULL;
}

/* Start what can be started in this phase, or the next phase when all of it is done. */
static void go_on(void)
{
	struct lane *lane;

	while (test.phase != FINISHED) {
		while (test.next < test.blocks && (lane = idle_lane()) != NULL) {
			bool flush = test.phase == FLUSHING;
			u32 count = flush ? 0 : length_at(test.next);

			if (!submit(lane, op_of(test.phase), flush ? 0 : test.next, count))
				return;
			test.next = flush ? test.blocks : test.next + count;
		}
		if (test.busy)
			return;
		do
			test.phase++;
		while (test.phase != FINISHED && !is_offered(test.phase));
		test.next = 0;
	}
	report();
}

static bool prepare(void)
{
	memset(test.lanes, 0, sizeof(test.lanes));
	for (u32 i = 0; i < LANES; i++) {
		test.lanes[i].buffer = kmem_alloc(LANE_BYTES);
		if (test.lanes[i].buffer)
			continue;
		while (i--)
			kmem_free(test.lanes[i].buffer, LANE_BYTES);
		return false;
	}
	return true;
}

static void run_test(const char *name)
{
	const char *why = NULL;
	const struct disk_partition *p = disks_find(name, &why);

	if (p && !guid_equal(&p->gpt.type, &gpt_type_test))
		why = "not a partition of the test type; nothing is written there";
	else if (p && test.running)
		why = "a test is running";
	else if (p && !prepare())
		why = "no memory for buffers";
	if (why) {
		console_printf("disk test %s: %s\n", name, why);
		return;
	}
	test.running = true;
	test.partition = p;
	test.phase = WRITING;
	test.blocks = min(p->gpt.block_count, TEST_BYTES / p->blk->block_bytes);
	test.next = test.busy = 0;
	test.failed = test.wrong = test.requests = 0;
	test.start_ns = time_now_ns();
	test.seed = test.start_ns;
	go_on();
}

static void set_limits(const char *request, const char *abort)
{
	u64 request_ms, abort_ms;

	if (ini_parse_u64((struct ini_str){request, strlen(request)}, &request_ms) ||
		ini_parse_u64((struct ini_str){abort, strlen(abort)}, &abort_ms) || !request_ms ||
		!abort_ms || request_ms > 600000 || abort_ms > 600000) {
		console_printf("disk limits REQUEST ABORT, in ms, 1 to 600000\n");
		return;
	}
	for (struct nvme_controller *c = nvme_pci_first(); c; c = c->next)
		nvme_set_limits(c->nvme, request_ms * NS_PER_MS, abort_ms * NS_PER_MS);
	console_printf(
		"a request may take %llu ms, its abort %llu ms\n", (ull)request_ms, (ull)abort_ms);
}

void command_disk(u32 count, char **words)
{
	if (count == 3 && strcmp(words[1], "test") == 0) {
		spin_lock(&lock);
		run_test(words[2]);
		spin_unlock(&lock);
	} else if (count == 4 && strcmp(words[1], "limits") == 0) {
		set_limits(words[2], words[3]);
	} else {
		console_printf("disk test NAME, or disk limits REQUEST_MS ABORT_MS\n");
	}
}
