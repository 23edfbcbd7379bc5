/* SRCS: tests/fake/fake_platform.c tests/fake/fake_blk.c mm */
/*
 * Random operations on swap files and their slots against a naive model: for each file an array
 * that says what each slot holds. Commands complete late and in any order, fail, bring wrong bits,
 * find the disk full or dead; slots are freed and files abandoned with commands under
 * way. After each step the counts agree, and what a read calls right is right. In the end all
 * frames are back, and nothing outside the partition was written.
 */
#include "tests/unit/swap_rig.h"

#define FILES        3u
#define SLOTS_MOST   150u
#define COMMANDS     24u
#define STEPS        10000u
#define NTH_STEPS    400u
#define RUNS         20u
#define ROUNDS_DEATH 40u

struct model_slot {
	bool used, busy, doomed;
	u64 what; /* its contents' seed, and the page number it was written for */
	u32 bytes;
};

struct model_file {
	struct swap_file *file; /* NULL: there is none */
	u32 generation;         /* tells a command's file from a later one in the same place */
	u64 slot_count;
	struct model_slot slots[SLOTS_MOST];
};

/* A command under way, as the model knows it. */
struct command {
	struct swap_io *io;
	struct model_file *file;
	u32 generation; /* of the file, 0: orphaned */
	bool write;
	u32 count;
	u64 first;
	u64 what[SWAP_CLUSTER_PAGES];
	u32 bytes[SWAP_CLUSTER_PAGES];
};

static struct {
	struct rng rng;
	struct model_file files[FILES];
	struct command commands[COMMANDS];
	u64 next_what;
	u64 started, ended, failed_pages, right_pages, wrong_pages, orphans;
	bool faulty;        /* commands may fail, */
	bool other_trouble; /* and steps see to it that they do */
} m;

static u64 word_of(u64 what, u32 i)
{
	return (what + 1) * 0x9e3779b97f4a7c15ull + i * 0x100000001ull;
}

static void fill(pfn_t frame, u64 what)
{
	u64 *words = platform_frame_va(frame);

	for (u32 i = 0; i < PAGE_BYTES / 8; i++)
		words[i] = word_of(what, i);
}

static bool holds(pfn_t frame, u64 what, u32 bytes)
{
	const u64 *words = platform_frame_va(frame);

	for (u32 i = 0; i < bytes / 8; i++) {
		if (words[i] != word_of(what, i))
			return false;
	}
	return true;
}

static void settle(struct model_slot *slot, bool is_free)
{
	if (is_free || slot->doomed)
		*slot = (struct model_slot){0};
	slot->busy = false;
}

static void end_page(struct command *c, u32 i)
{
	const struct swap_page *page = &c->io->pages[i];
	err_t result = page->result;

	assert_true(result == 0 || m.faulty);
	assert_true(result == 0 || result == E_IO || (result == E_CORRUPT && !c->write));
	if (result) {
		m.failed_pages++;
	} else if (!c->write) {
		m.right_pages++;
		assert_int_equal(page->bytes, c->bytes[i]);
		if (!holds(page->frame, c->what[i], c->bytes[i]))
			m.wrong_pages++;
	} else {
		assert_true(holds(page->frame, c->what[i], c->bytes[i]));
	}
	frame_free(page->frame);
	if (c->generation)
		settle(&c->file->slots[c->first + i], c->write && result);
}

static void on_done(struct swap_io *io)
{
	struct command *c = io->context;

	assert_ptr_equal(c->io, io);
	assert_int_equal(io->orphaned, c->generation == 0);
	assert_int_equal(io->page_count, c->count);
	for (u32 i = 0; i < c->count; i++)
		end_page(c, i);
	c->io = NULL;
	m.ended++;
	m.orphans += c->generation == 0;
	swap_io_give(io);
}

/* --- What is done ----------------------------------------------------------------------------- */

static struct model_file *any_file(void)
{
	struct model_file *f = &m.files[rng_below(&m.rng, FILES)];

	return f->file ? f : NULL;
}

static struct command *free_command(void)
{
	for (u32 i = 0; i < COMMANDS; i++) {
		if (!m.commands[i].io)
			return &m.commands[i];
	}
	return NULL;
}

/* A record with @count frames, or NULL. */
static struct swap_io *make_io(u32 count, bool write)
{
	struct swap_io *io = swap_io_take(write);

	if (!io)
		return NULL;
	io->page_count = count;
	io->done = on_done;
	for (u32 i = 0; i < count; i++) {
		io->pages[i].frame = frame_alloc(FRAME_PRIVATE);
		assert_false(pfn_is_none(io->pages[i].frame));
	}
	return io;
}

static void drop_io(struct swap_io *io, u32 first, u32 end)
{
	for (u32 i = first; i < end; i++)
		frame_free(io->pages[i].frame);
	if (first == 0)
		swap_io_give(io);
}

static void create(void)
{
	struct model_file *f = &m.files[rng_below(&m.rng, FILES)];
	u64 slots = 1 + rng_below(&m.rng, SLOTS_MOST), longest, coming;
	char name[16] = "0.vswp";
	u64 room = swap_directory_room(rig.volume, &longest);
	err_t asked = swap_directory_ask(rig.volume, slots, &coming), err;

	name[0] += (char)(f - m.files);
	if (f->file)
		return;
	err = swap_file_create(rig.volume, name, slots, &f->file);
	if (err) {
		assert_true(err == E_NOMEM || err == E_IO || room < slots ||
			    longest * SWAP_EXTENTS < slots);
		assert_true(err != E_LIMIT || asked);
		assert_true(asked != E_WAIT || (coming && room + coming >= slots));
		f->file = NULL;
		return;
	}
	assert_int_equal(asked, 0);
	assert_true(room >= slots);
	f->generation++;
	f->slot_count = slots;
	memset(f->slots, 0, sizeof(f->slots));
}

static void start(struct command *c, struct model_file *f, bool write)
{
	c->file = f;
	c->generation = f->generation;
	c->write = write;
	c->count = c->io->page_count;
	c->first = c->io->pages[0].slot;
	c->io->context = c;
	for (u32 i = 0; i < c->count; i++) {
		struct model_slot *slot = &f->slots[c->first + i];

		slot->busy = true;
		c->what[i] = slot->what;
		c->bytes[i] = slot->bytes;
	}
	m.started++;
}

static void not_started(struct command *c, bool write)
{
	for (u32 i = 0; i < c->count; i++)
		settle(&c->file->slots[c->first + i], write);
	drop_io(c->io, 0, c->count);
	c->io = NULL;
	m.started--;
}

static void write_out(void)
{
	struct model_file *f = any_file();
	struct command *c = free_command();
	u32 count = 1 + (u32)rng_below(&m.rng, SWAP_CLUSTER_PAGES);
	struct swap_io *io = f && c ? make_io(count, true) : NULL;
	err_t err;

	if (!io)
		return;
	for (u32 i = 0; i < count; i++) {
		io->pages[i].gfn = GFN(m.next_what);
		io->pages[i].bytes =
			rng_chance(&m.rng, 30) ? 8 * (u32)rng_below(&m.rng, 256) : PAGE_BYTES;
		fill(io->pages[i].frame, m.next_what++);
	}
	err = swap_slots_take(f->file, io);
	if (err) {
		for (u64 i = 0; err == E_LIMIT && i < f->slot_count; i++)
			assert_true(f->slots[i].used);
		drop_io(io, 0, count);
		return;
	}
	drop_io(io, io->page_count, count);
	for (u32 i = 0; i < io->page_count; i++) {
		struct model_slot *slot = &f->slots[io->pages[i].slot];

		assert_false(slot->used);
		*slot = (struct model_slot){
			.used = true, .what = io->pages[i].gfn.v, .bytes = io->pages[i].bytes};
	}
	c->io = io;
	start(c, f, true);
	if (swap_write(f->file, io))
		not_started(c, true);
}

static u64 any_slot(const struct model_file *f, bool idle)
{
	for (u32 i = 0; i < 20; i++) {
		u64 slot = rng_below(&m.rng, f->slot_count);

		if (f->slots[slot].used && !f->slots[slot].doomed && !(idle && f->slots[slot].busy))
			return slot;
	}
	return ~0ull;
}

static void check_neighbours(const struct model_file *f, u64 slot, const struct swap_run *run)
{
	assert_true(run->first <= slot && slot < run->first + run->count);
	for (u32 i = 0; i < run->count; i++) {
		const struct model_slot *s = &f->slots[run->first + i];

		assert_true(s->used && !s->busy);
		assert_int_equal(run->gfns[i].v, s->what);
		assert_int_equal(
			swap_slot_is_object(f->file, run->first + i), s->bytes != PAGE_BYTES);
	}
}

static void read_in(void)
{
	struct model_file *f = any_file();
	struct command *c = free_command();
	u64 slot = f ? any_slot(f, true) : ~0ull;
	struct swap_run run;
	struct swap_io *io;

	if (slot == ~0ull || !c)
		return;
	swap_neighbours(f->file, slot, 1 + (u32)rng_below(&m.rng, SWAP_CLUSTER_PAGES), &run);
	check_neighbours(f, slot, &run);
	io = make_io(run.count, false);
	if (!io)
		return;
	for (u32 i = 0; i < run.count; i++)
		io->pages[i].slot = run.first + i;
	c->io = io;
	start(c, f, false);
	if (swap_read(f->file, io))
		not_started(c, false);
}

static void free_slot(void)
{
	struct model_file *f = any_file();
	u64 slot = f ? any_slot(f, false) : ~0ull;

	if (slot == ~0ull)
		return;
	swap_slot_free(f->file, slot);
	if (f->slots[slot].busy)
		f->slots[slot].doomed = true;
	else
		f->slots[slot] = (struct model_slot){0};
}

static void orphan(const struct model_file *f)
{
	for (u32 i = 0; i < COMMANDS; i++) {
		if (m.commands[i].io && m.commands[i].file == f)
			m.commands[i].generation = 0;
	}
}

static void abandon(struct model_file *f)
{
	if (!f || !f->file)
		return;
	orphan(f);
	swap_file_abandon(f->file);
	f->file = NULL;
}

static void complete(void)
{
	fake_blk_run(&rig.disk, (u32)rng_below(&m.rng, 4));
	swap_volumes_poll();
}

static void make_trouble(void)
{
	if (!m.other_trouble)
		return;
	if (rng_chance(&m.rng, 50))
		rig.disk.fail_nth = 1 + rng_below(&m.rng, 10);
	else
		rig.disk.corrupt_nth = 1 + rng_below(&m.rng, 10);
	rig.disk.depth = 1 + (u32)rng_below(&m.rng, 12);
}

static void check_counts(void)
{
	u64 longest, room, slots = 0;

	for (u32 i = 0; i < FILES; i++) {
		const struct model_file *f = &m.files[i];
		u64 used = 0;

		for (u64 slot = 0; f->file && slot < f->slot_count; slot++)
			used += f->slots[slot].used;
		if (f->file)
			assert_int_equal(swap_file_used(f->file), used);
		slots += f->file ? f->slot_count : 0;
	}
	/* Those of abandoned files come back when their last command is done. */
	room = swap_directory_room(rig.volume, &longest);
	assert_true(room + slots <= RIG_SLOTS && longest <= room);
}

static void step(void)
{
	u64 dice = rng_below(&m.rng, 1000);

	if (dice < 250)
		write_out();
	else if (dice < 500)
		read_in();
	else if (dice < 650)
		free_slot();
	else if (dice < 960)
		complete();
	else if (dice < 980)
		create();
	else if (dice < 985)
		abandon(any_file());
	else
		make_trouble();
	check_counts();
}

static void begin(u64 seed, bool faulty)
{
	memset(&m, 0, sizeof(m));
	m.rng.state = seed;
	m.faulty = m.other_trouble = faulty;
	rig_setup(NULL);
	fake_log_quiet(true);
	rig.disk.shuffle = true;
	rig.disk.rng.state = seed;
}

static void end(void)
{
	u64 longest;

	for (u32 i = 0; i < FILES; i++)
		abandon(&m.files[i]);
	while (rig.disk.pending_count) {
		fake_blk_run(&rig.disk, 1);
		swap_volumes_poll();
	}
	assert_int_equal(m.ended, m.started);
	assert_int_equal(m.wrong_pages, 0);
	assert_int_equal(frame_free_count(), rig.free_frames);
	assert_int_equal(swap_directory_room(rig.volume, &longest), RIG_SLOTS);
	assert_true(rig_is_outside_untouched());
	rig_stop();
}

/* --- Runs ------------------------------------------------------------------------------------- */

static void test_random_steps_on_a_sound_disk(void **state)
{
	(void)state;
	begin(rng_seed(1), false);
	for (u32 i = 0; i < STEPS; i++)
		step();
	assert_true(m.right_pages > STEPS);
	end();
}

static void test_random_steps_on_a_failing_disk(void **state)
{
	u64 failed = 0, right = 0, orphans = 0;

	(void)state;
	for (u32 run = 0; run < RUNS; run++) {
		begin(rng_seed(100) + run, true);
		for (u32 i = 0; i < STEPS / RUNS; i++)
			step();
		end();
		failed += m.failed_pages;
		right += m.right_pages;
		orphans += m.orphans;
	}
	assert_true(failed > 100 && right > failed && orphans > 10);
}

static void test_every_nth_command_fails(void **state)
{
	u64 failed = 0;

	(void)state;
	for (u64 nth = 1, left = 0; left == 0; nth++) {
		begin(rng_seed(7), true);
		m.other_trouble = false;
		rig.disk.fail_nth = nth;
		for (u32 i = 0; i < NTH_STEPS; i++)
			step();
		left = rig.disk.fail_nth;
		failed += m.failed_pages > 0;
		end();
	}
	assert_true(failed > 20);
}

static void test_the_disk_may_die_at_any_moment(void **state)
{
	(void)state;
	for (u32 round = 0; round < ROUNDS_DEATH; round++) {
		begin(rng_seed(200) + round, true);
		for (u32 i = 0; i < 20 * round; i++)
			step();
		fake_blk_kill(&rig.disk);
		swap_volumes_poll();
		for (u32 i = 0; i < 200; i++)
			step();
		assert_int_equal(m.ended, m.started);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_steps_on_a_sound_disk),
		cmocka_unit_test(test_random_steps_on_a_failing_disk),
		cmocka_unit_test(test_every_nth_command_fails),
		cmocka_unit_test(test_the_disk_may_die_at_any_moment),
	};

	return cmocka_run_group_tests_name("model/swap", tests, NULL, NULL);
}
