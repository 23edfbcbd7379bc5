/* What must hold after each step. See vms.h. */
#include "tests/model/vms_private.h"
#include "mm/balloon/balloon.h"
#include "mm/zcache/zcache.h"

#define COMPARE_EVERY 512u /* steps between comparisons of every byte */
#define FRAMES_BELOW  48u  /* numbers below those that are free at first: fake_start_plain() */

/* How often each frame is referenced, as far as it is a shared one. */
static u32 references[1 << 16];

/* By pages of @space, also those on their way out. */
static void references_of_pages(struct space *space)
{
	u64 left = space_shared_pages(space);

	for (u64 index = 0; left && index < space->page_count; index++) {
		pfn_t frame;
		u64 leaf = space_leaf(space, space_page_gfn(space, index), &frame);

		if (!page_state_is_shared(slat_state(space->format, leaf)))
			continue;
		left--;
		references[frame.v]++;
	}
}

static void references_check(u64 end)
{
	for (u64 pfn = 0; pfn < end; pfn++) {
		if (frame_is_ram(PFN(pfn)) && frame_kind(PFN(pfn)) == FRAME_SHARED &&
			frame_ref_count(PFN(pfn)) != references[pfn])
			wrong("references to a shared frame are not those of pages and commands");
	}
}

static void account_check(void)
{
	struct frame_account account;
	u64 sum = 0, private_pages = 0, end = options->ram_frames + FRAMES_BELOW;

	frame_account_get(&account);
	for (u32 kind = FRAME_FREE; kind < FRAME_KIND_COUNT; kind++)
		sum += account.frames[kind];
	if (sum != account.total)
		wrong("the account does not sum to all frames");
	memset(references, 0, end * sizeof(*references));
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (!world.vms[i].space)
			continue;
		private_pages += space_consumed_pages(world.vms[i].space);
		references_of_pages(world.vms[i].space);
	}
	if (options->reclaim)
		out_references(references);
	if (account.frames[FRAME_SHARED])
		references_check(end);
	if (account.frames[FRAME_PRIVATE] != private_pages)
		wrong("private frames are not those of the VMs");
}

/* Only under the salt of the space, or the one from before a change that is not through yet. */
static void shared_check(const struct space *space, pfn_t pfn)
{
	if (share_index_salt(pfn) != space->share.salt && space->share.phase != SHARE_PHASE_UNSHARE)
		wrong("a page is shared under another salt");
}

void compare_all(void)
{
	static u8 zeros[PAGE_BYTES];
	static u8 mapped[1 << 20];

	memset(mapped, 0, sizeof(mapped));
	for (u32 i = 0; i < VMS_MAX; i++) {
		struct vm *vm = &world.vms[i];

		for (u64 index = 0; vm->space && index < vm->space->page_count; index++) {
			gfn_t gfn = space_page_gfn(vm->space, index);
			bool lost = false;
			const void *page = out_look(vm->space, gfn, &lost);
			const void *model = vm->pages[index] ? vm->pages[index] : zeros;

			if (!lost && memcmp(page ? page : zeros, model, PAGE_BYTES) != 0)
				wrong("a page differs from the model");
			if ((space_page_state(vm->space, gfn) == PAGE_BALLOONED) !=
				vm->ballooned[index])
				wrong("a page is ballooned and should not be, or the reverse");
			const void *here = fake_guest_look(vm->space, gfn);
			pfn_t pfn = here ? platform_va_frame(here) : PFN_NONE;

			if (!here || pfn.v == frame_zero().v)
				continue;
			if (frame_kind(pfn) == FRAME_SHARED)
				shared_check(vm->space, pfn);
			else if (mapped[pfn.v]++)
				wrong("a frame is mapped twice");
		}
	}
}

void check(void)
{
	for (u32 i = 0; i < VMS_MAX; i++) {
		struct space *space = world.vms[i].space;

		if (space && !space_audit(space))
			wrong("space_audit");
		if (space && balloon_pages(space) != world.vms[i].ballooned_count)
			wrong("the balloon's size is not the model's");
		if (space && space->zcache && world.steps % COMPARE_EVERY == 0 &&
			!zcache_audit(space->zcache))
			wrong("zcache_audit");
	}
	if (!frame_audit())
		wrong("frame_audit");
	if (!share_index_audit())
		wrong("share_index_audit");
	account_check();
	for (u32 i = 0; i < PINS_MAX; i++) {
		if (world.pins[i].used)
			pin_check(&world.pins[i]);
	}
	if (world.steps % COMPARE_EVERY == 0)
		compare_all();
	if (fake_guest_violations() && !options->stop_on_violation)
		wrong("a stale translation was used");
}

static void trace_add(const void *bytes, u64 count)
{
	for (const u8 *at = bytes; count--; at++)
		world.trace = (world.trace ^ *at) * 0x100000001b3;
}

/* What each page's entry is: its frame, slot or object, its A and D. */
static void trace_entries(const struct space *space)
{
	for (u64 index = 0; index < space->page_count; index++) {
		pfn_t frame;
		u64 leaf = space_leaf(space, space_page_gfn(space, index), &frame);

		trace_add(&leaf, sizeof(leaf));
	}
}

void trace_step(void)
{
	struct frame_account account;

	frame_account_get(&account);
	trace_add(&world.rng, sizeof(world.rng));
	trace_add(&account, sizeof(account));
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (!world.vms[i].space)
			continue;
		struct space_stats stats = space_stats(world.vms[i].space);

		/* The clock's own: another clock is to be seen by what mm does then. */
		stats.share_ns = 0;
		trace_add(&stats, sizeof(stats));
		if (world.steps % COMPARE_EVERY == 0)
			trace_entries(world.vms[i].space);
	}
	if (options->trace)
		options->trace[world.steps - 1] = world.trace;
}
