/* Random operations on several VMs, on several CPUs, against the naive model: see vms.h. */
#include "tests/model/vms.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/balloon.h"
#include "mm/share.h"
#include "mm/share_index.h"
#include "mm/space_entry.h"
#include "mm/space_join.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPARE_EVERY   512u /* steps between comparisons of every byte */
#define HOARD_MAX       4096u
#define LIST_MAX        100u
#define SPACE_PAGES_MAX 4096u

static struct world world;
static const struct world_options *options;
static pfn_t hoard[HOARD_MAX]; /* frames that the test itself holds, to make memory scarce */
static u32 hoard_count;

static void wrong(const char *what)
{
	fprintf(stderr, "seed %llu, step %llu: %s\n", (unsigned long long)options->seed,
		(unsigned long long)world.steps, what);
	abort();
}

static u64 below(u64 end)
{
	return rng_below(&world.rng, end);
}

static bool chance(u32 pct)
{
	return rng_chance(&world.rng, pct);
}

/* Mostly the one that this CPU runs already, so that its cache is of use. */
static struct vm *any_vm(void)
{
	struct vm *vm = &world.vms[below(VMS_MAX)];
	struct space *running = fake_guest_running(platform_cpu_id());

	for (u32 i = 0; running && chance(80) && i < VMS_MAX; i++) {
		if (world.vms[i].space == running)
			return &world.vms[i];
	}

	return vm->space ? vm : NULL;
}

/* Any page of RAM: mostly one of a few, often near the edges of what there is. */
static u64 any_page(const struct space *space)
{
	u64 count = space->page_count, low = space->low_page_count;

	switch (below(12)) {
	case 0:
		return count - 1 - below(min(count, (u64)6));
	case 1:
		return low - 1 - below(min(low, (u64)600));
	case 2:
		return count - 1 - below(min(count, (u64)1200));
	case 3:
	case 4:
		return below(min(count, (u64)1600));
	default:
		return (world.steps >> 8 & 7) * 100 % count + below(10);
	}
}

static u8 *model_page(struct vm *vm, u64 index, bool make)
{
	if (!vm->pages[index] && make)
		vm->pages[index] = calloc(1, PAGE_BYTES);
	return vm->pages[index];
}

/* --- Pins --- */

/* The page under a pin was taken away: from now on only the pin writes there. */
static void pin_orphan(struct pin *pin)
{
	const u8 *page =
		world.vms[pin->vm].pages[space_page_index(world.vms[pin->vm].space, pin->gfn)];

	if (pin->orphan)
		return;
	pin->orphan = calloc(1, PAGE_BYTES);
	/* What was pinned for reading may have been shared, and the page another one since. */
	if (options->share && !pin->write)
		page = platform_frame_va(pin->pfn);
	if (page)
		memcpy(pin->orphan, page, PAGE_BYTES);
}

static void pins_orphan(u32 vm)
{
	for (u32 i = 0; i < PINS_MAX; i++) {
		struct pin *pin = &world.pins[i];

		if (!pin->used || pin->vm != vm)
			continue;
		pin_orphan(pin);
		pin->vm = VMS_MAX;
	}
}

static void pin_check(const struct pin *pin)
{
	if (pin->pfn.v == frame_zero().v)
		return;
	if (fake_frame_serial(pin->pfn) != pin->serial)
		wrong("a pinned frame was freed");
	if (!pin->orphan && pin->kind == FRAME_PRIVATE && frame_kind(pin->pfn) != FRAME_PRIVATE)
		wrong("a pinned page was taken for sharing");
	if (pin->frozen && memcmp(pin->frozen, platform_frame_va(pin->pfn), PAGE_BYTES) != 0)
		wrong("a shared frame was written while it was pinned");
	if (pin->orphan && frame_kind(pin->pfn) != FRAME_ORPHAN &&
		frame_kind(pin->pfn) != FRAME_SHARED)
		wrong("a pinned frame without its page is no orphan");
	if (pin->orphan && memcmp(pin->orphan, platform_frame_va(pin->pfn), PAGE_BYTES) != 0)
		wrong("a pinned frame was written by somebody else");
}

static void pin_write(struct pin *pin)
{
	u64 at = below(PAGE_BYTES / 8) * 8, value = rng_next(&world.rng);

	if (!pin->write)
		return;
	memcpy((char *)platform_frame_va(pin->pfn) + at, &value, 8);
	if (!pin->orphan) {
		struct vm *vm = &world.vms[pin->vm];

		memcpy(model_page(vm, space_page_index(vm->space, pin->gfn), true) + at, &value, 8);
	}
	for (u32 i = 0; i < PINS_MAX; i++) {
		if (world.pins[i].orphan && world.pins[i].pfn.v == pin->pfn.v)
			memcpy(world.pins[i].orphan + at, &value, 8);
	}
}

static void pin_drop(struct pin *pin)
{
	pin_check(pin);
	if (pin->vm == VMS_MAX)
		frame_unpin(pin->pfn);
	else
		space_unpin(world.vms[pin->vm].space, pin->pfn);
	free(pin->orphan);
	free(pin->frozen);
	*pin = (struct pin){0};
}

/* --- The VMs' life --- */

static void model_forget(struct vm *vm)
{
	memset(vm->ballooned, 0, vm->space->page_count * sizeof(*vm->ballooned));
	vm->ballooned_count = 0;
	for (u64 i = 0; i < vm->space->page_count; i++) {
		free(vm->pages[i]);
		vm->pages[i] = NULL;
	}
}

/* All CPUs leave this VM's guest, and this CPU any. */
static void vm_stop(struct vm *vm)
{
	u32 cpu = platform_cpu_id();

	fake_guest_leave();
	for (u32 i = 0; i < MODEL_CPUS; i++) {
		fake_cpu_set(i);
		if (fake_guest_running(i) == vm->space)
			fake_guest_leave();
	}
	fake_cpu_set(cpu);
}

static void figures_keep(const struct space *space)
{
	world.merges += space->stats.share_merged_own + space->stats.share_merged_other +
			space->stats.share_zeroed;
	world.joins += space->stats.joins;
	world.join_moves += space->stats.join_moves;
	world.breaks += space->stats.share_taken + space->stats.share_copied;
}

static void vm_destroy(struct vm *vm)
{
	vm_stop(vm);
	pins_orphan((u32)(vm - world.vms));
	model_forget(vm);
	free(vm->pages);
	free(vm->ballooned);
	figures_keep(vm->space);
	space_destroy(vm->space);
	*vm = (struct vm){0};
	world.destroyed++;
}

static void vm_create(struct vm *vm)
{
	u64 bytes = options->memory_bytes + below(REGION_BYTES / PAGE_BYTES) * PAGE_BYTES;
	struct space_config config = {"model", bytes, options->format, options->large_pages,
		options->large_pages_no_exec, chance(20), options->share ? (u32)below(3) : 0, 0};
	u64 free_before = frame_free_count();
	err_t err = space_create(&vm->space, &config);

	if (err == E_NOMEM) {
		vm->space = NULL;
		world.nomem++;
		if (frame_free_count() != free_before)
			wrong("a space that could not be made left something behind");
		return;
	}
	if (err)
		wrong("space_create");
	if (free_before - frame_free_count() != space_overhead_frames(&config))
		wrong("a space costs other than space_overhead_frames()");
	vm->pages = calloc(vm->space->page_count, sizeof(*vm->pages));
	vm->ballooned = calloc(vm->space->page_count, sizeof(*vm->ballooned));
}

static void vm_clear(struct vm *vm)
{
	vm_stop(vm);
	pins_orphan((u32)(vm - world.vms));
	/* space_unpin() still serves these pins; the model drops them through frame_unpin(). */
	stats_sub(&vm->space->stats.pins, stats_get(&vm->space->stats.pins));
	space_clear(vm->space);
	model_forget(vm);
	world.clears++;
}

/* --- The balloon --- */

static void ballooned_set(struct vm *vm, u64 index, bool ballooned)
{
	vm->ballooned_count += (u64)ballooned - vm->ballooned[index];
	vm->ballooned[index] = ballooned;
}

/* The guest has used the page: it is its own again. */
static void page_used(struct vm *vm, u64 index)
{
	world.touched += vm->ballooned[index];
	ballooned_set(vm, index, false);
}

static void page_lost(struct vm *vm, u64 index)
{
	gfn_t gfn = space_page_gfn(vm->space, index);

	for (u32 i = 0; i < PINS_MAX; i++) {
		struct pin *pin = &world.pins[i];

		if (pin->used && pin->vm == vm - world.vms && pin->gfn.v == gfn.v)
			pin_orphan(pin);
	}
	free(vm->pages[index]);
	vm->pages[index] = NULL;
	world.inflated++;
}

/* What a list is worth: how many entries can be taken, and why not the next. */
static u32 list_expect(
	const struct vm *vm, const u64 *list, u32 count, u32 order, bool inflate, err_t *why)
{
	static bool after[SPACE_PAGES_MAX];
	u64 size = 1ull << order;

	memcpy(after, vm->ballooned, vm->space->page_count * sizeof(*after));
	*why = E_OK;
	for (u32 n = 0; n < count; n++) {
		if (list[n] % size || !space_is_ram(vm->space, GFN(list[n])) ||
			!space_is_ram(vm->space, GFN(list[n] + size - 1))) {
			*why = E_RANGE;
			return n;
		}
		bool *first = &after[space_page_index(vm->space, GFN(list[n]))];

		for (u64 i = 0; i < size; i++) {
			if (first[i] == inflate)
				*why = inflate ? E_EXIST : E_NOTFOUND;
		}
		if (*why)
			return n;
		memset(first, inflate, size);
	}
	return count;
}

/* Pages in a row or here and there, some of them nowhere. */
static void list_make(const struct vm *vm, u64 *list, u32 count, u32 order)
{
	u64 index = any_page(vm->space);

	for (u32 n = 0; n < count; n++, index += 1ull << order) {
		if (chance(20) || index >= vm->space->page_count)
			index = any_page(vm->space);
		list[n] = space_page_gfn(vm->space, index).v;
		if (order && !chance(3))
			list[n] = ALIGN_DOWN(list[n], 1ull << order);
		if (chance(1))
			list[n] = rng_next(&world.rng) >> below(64);
	}
}

static void step_balloon_all(struct vm *vm)
{
	u64 cursor = 0;

	while (!balloon_release(vm->space, &cursor, 1 + (u32)below(3)))
		;
	memset(vm->ballooned, 0, vm->space->page_count * sizeof(*vm->ballooned));
	vm->ballooned_count = 0;
}

static void step_balloon(struct vm *vm)
{
	bool inflate = chance(60);
	u32 order = chance(25) ? BALLOON_ORDER_2M : BALLOON_ORDER_4K, count;
	u64 list[LIST_MAX];
	err_t why, why_expected;

	fake_guest_leave();
	if (chance(2)) {
		step_balloon_all(vm);
		return;
	}
	count = 1 + (u32)below(order ? 3 : LIST_MAX);
	list_make(vm, list, count, order);
	u32 expected = list_expect(vm, list, count, order, inflate, &why_expected);
	u32 taken = inflate ? balloon_inflate(vm->space, list, count, order, &why)
			    : balloon_deflate(vm->space, list, count, order, &why);

	if (taken != expected || why != why_expected)
		wrong("a list was taken to another point than the model's");
	for (u64 n = 0; n < (u64)taken << order; n++) {
		u64 index = space_page_index(vm->space, GFN(list[n >> order])) + n % (1u << order);

		if (inflate)
			page_lost(vm, index);
		ballooned_set(vm, index, inflate);
	}
}

/* --- Steps --- */

static void hoard_release(u32 count)
{
	while (count-- && hoard_count)
		frame_free(hoard[--hoard_count]);
}

/* There was no frame: true only if there is none, and then somebody must go. */
static void out_of_frames(struct vm *vm)
{
	world.nomem++;
	if (frame_free_count() != 0)
		wrong("out of frames while there are free ones");
	if (hoard_count && chance(70))
		hoard_release(64);
	else if (vm == world.scanned)
		vm_clear(vm);
	else
		vm_destroy(vm);
}

static void step_access(struct vm *vm)
{
	u64 index = any_page(vm->space);
	u64 offset = below(PAGE_BYTES / 8) * 8;
	gpa_t gpa = GPA(gfn_to_gpa(space_page_gfn(vm->space, index)).v + offset);
	u64 value = rng_next(&world.rng), expected = 0;

	/* Few places and few values, so that pages are often alike. */
	if (options->share && chance(95)) {
		gpa.v = ALIGN_DOWN(gpa.v, PAGE_BYTES) + (offset = below(2) * 2000);
		value = below(3);
	}
	u32 access = (u32[]){SLAT_READ, SLAT_WRITE, SLAT_READ, SLAT_WRITE, SLAT_EXEC}[below(5)];
	const u8 *model = model_page(vm, index, false);

	world.accesses++;
	if (model)
		memcpy(&expected, model + offset, 8);
	switch (fake_guest_access(vm->space, gpa, access, &value, 8)) {
	case FAULT_DONE:
		page_used(vm, index);
		break;
	case FAULT_NOMEM:
		out_of_frames(vm);
		return;
	default:
		wrong("an access to RAM was refused");
	}
	if (access == SLAT_WRITE)
		memcpy(model_page(vm, index, true) + offset, &value, 8);
	else if (value != expected && !options->stop_on_violation)
		wrong("a guest read a wrong byte");
}

static void step_access_beyond(struct vm *vm)
{
	static const u64 beyond[] = {
		SPACE_LOW_END, SPACE_HIGH_BASE - 8, 0xfee00000, 1ull << 40, 1ull << 51};
	u64 gpa = beyond[below(ARRAY_COUNT(beyond))], value = 0;

	if (chance(50))
		gpa = gfn_to_gpa(space_page_gfn(vm->space, vm->space->page_count - 1)).v +
		      PAGE_BYTES;
	fake_guest_leave();
	if (fault_handle(vm->space, GPA(gpa), SLAT_READ) != FAULT_NOT_RAM)
		wrong("an access beyond RAM was served");
	pfn_t pfn;

	if (space_pin(vm->space, gpa_to_gfn(GPA(gpa)), value, &pfn) != E_RANGE)
		wrong("a page beyond RAM was pinned");
}

static void step_pin(struct vm *vm)
{
	struct pin *pin = &world.pins[below(PINS_MAX)];

	fake_guest_leave();
	if (pin->used) {
		pin_write(pin);
		if (chance(50))
			pin_drop(pin);
		return;
	}
	if (!vm)
		return;
	u64 index = any_page(vm->space);
	gfn_t gfn = space_page_gfn(vm->space, index);
	bool write = chance(60);

	switch (space_pin(vm->space, gfn, write, &pin->pfn)) {
	case E_OK:
		page_used(vm, index);
		break;
	case E_NOMEM:
		out_of_frames(vm);
		return;
	default:
		wrong("space_pin");
	}
	pin->used = true;
	pin->write = write;
	pin->vm = (u32)(vm - world.vms);
	pin->gfn = gfn;
	pin->serial = fake_frame_serial(pin->pfn);
	pin->kind = frame_kind(pin->pfn);
	if (pin->kind == FRAME_SHARED) {
		pin->frozen = malloc(PAGE_BYTES);
		memcpy(pin->frozen, platform_frame_va(pin->pfn), PAGE_BYTES);
	}
	pin_write(pin);
}

/* The hypervisor takes frames for itself, of all sorts, or gives them back. */
static void step_hoard(void)
{
	fake_guest_leave();
	if (chance(50)) {
		hoard_release((u32)below(600));
		return;
	}
	for (u64 n = below(400); n && hoard_count < HOARD_MAX; n--) {
		pfn_t pfn = chance(50) ? frame_alloc(FRAME_HV) : frame_alloc_zeroed(FRAME_HV);

		if (pfn_is_none(pfn))
			return;
		hoard[hoard_count++] = pfn;
	}
	u64 run = chance(20) ? REGION_PAGE_COUNT : 1 + below(40);
	pfn_t first = run == REGION_PAGE_COUNT ? frame_alloc_large(FRAME_HV) : PFN_NONE;

	if (pfn_is_none(first))
		first = frame_alloc_run(FRAME_HV, run);
	for (u64 i = 0; !pfn_is_none(first) && i < run; i++) {
		if (hoard_count < HOARD_MAX)
			hoard[hoard_count++] = PFN(first.v + i);
		else
			frame_free(PFN(first.v + i));
	}
}

/* The guest writes to every page it shares. */
static void share_break_all(struct vm *vm)
{
	for (u64 index = 0; vm->space && index < vm->space->page_count; index++) {
		gfn_t gfn = space_page_gfn(vm->space, index);
		u64 value = below(3);

		if (space_page_state(vm->space, gfn) != PAGE_SHARED)
			continue;
		if (fake_guest_access(vm->space, gfn_to_gpa(gfn), SLAT_WRITE, &value, 8) !=
			FAULT_DONE)
			return;
		memcpy(model_page(vm, index, true), &value, 8);
	}
}

static void step_split_or_hide(struct vm *vm)
{
	u64 large = stats_get(&vm->space->stats.large_leaves);

	fake_guest_leave();
	if (chance(60)) {
		space_hide(vm->space, space_page_gfn(vm->space, any_page(vm->space)));
		return;
	}
	if (chance(30)) {
		u64 hidden = space_hide_all(vm->space);

		if (hidden > space_pages_in_state(vm->space, PAGE_HIDDEN))
			wrong("space_hide_all");
		return;
	}
	if (space_split_all(vm->space) != large || stats_get(&vm->space->stats.large_leaves) != 0)
		wrong("space_split_all");
}

/* The guest writes to every page of a region: it is its own then. */
static void region_own(struct vm *vm)
{
	u64 first = ALIGN_DOWN(any_page(vm->space), (u64)REGION_PAGE_COUNT);
	u64 end = min(first + REGION_PAGE_COUNT, vm->space->page_count);

	for (u64 index = first; index < end; index++) {
		u64 value = below(3);
		gpa_t gpa = gfn_to_gpa(space_page_gfn(vm->space, index));

		if (fake_guest_access(vm->space, gpa, SLAT_WRITE, &value, 8) != FAULT_DONE)
			return;
		page_used(vm, index);
		memcpy(model_page(vm, index, true), &value, 8);
	}
}

/* Some slices of rejoining, as short as they can be; the rest later, or never. */
static void step_join(struct vm *vm)
{
	if (chance(30))
		region_own(vm);
	fake_guest_leave();
	for (u64 slices = 1 + below(100); slices && !space_join_some(vm->space, 0); slices--)
		;
}

/* In the middle of a merge, other CPUs do what they like. */
static void in_a_merge(enum share_step at)
{
	bool may_end = at == SHARE_STEP_PROTECTED || at == SHARE_STEP_FLUSHED;
	struct vm *scanned = world.scanned;
	u32 cpu = platform_cpu_id();

	if (may_end)
		world.scanned = NULL;
	/* Before the flush, what is write-protected may be written; after it what was replaced may
	 * be read: it holds the same. */
	fake_guest_unflushed(at == SHARE_STEP_PROTECTED ? SLAT_READ | SLAT_WRITE | SLAT_EXEC
			     : at == SHARE_STEP_FLUSHED ? 0
							: SLAT_READ | SLAT_EXEC);
	for (u32 n = chance(40) ? (u32)below(5) : 0; n; n--) {
		fake_cpu_set((cpu + 1 + (u32)below(MODEL_CPUS - 1)) % MODEL_CPUS);
		struct vm *vm = any_vm();
		u64 dice = below(1000);

		world.races++;
		if (dice < 150)
			step_pin(vm);
		else if (vm && dice < 155 && vm != world.scanned)
			vm_destroy(vm);
		else if (vm && dice < 165)
			vm_clear(vm);
		else if (vm && dice < 200)
			step_split_or_hide(vm);
		else if (vm && dice < 205)
			share_break_all(vm);
		else if (vm && dice < 235)
			step_balloon(vm);
		else if (vm && dice < 245)
			step_join(vm);
		else if (vm)
			step_access(vm);
	}
	fake_guest_unflushed(0);
	world.scanned = scanned && scanned->space ? scanned : NULL;
	fake_cpu_set(cpu);
}

static void step_scan(struct vm *vm)
{
	fake_guest_leave();
	world.scanned = vm;
	world.scans++;
	share_scan(vm->space, 1 + below(chance(50) ? 20 : 300), 1000000000);
	world.scanned = NULL;
	if (chance(3) && vm->space)
		share_set_salt(vm->space, (u32)below(3));
}

static void step(void)
{
	u64 dice = below(1000);

	fake_cpu_set((u32)below(MODEL_CPUS));
	struct vm *vm = any_vm();

	if (dice < 40) {
		step_pin(vm);
	} else if (dice < 50) {
		step_hoard();
	} else if (!vm) {
		struct vm *slot = &world.vms[below(VMS_MAX)];

		fake_guest_leave();
		if (!slot->space)
			vm_create(slot);
	} else if (dice < 52) {
		vm_destroy(vm);
	} else if (dice < 54) {
		vm_clear(vm);
	} else if (dice < 62) {
		step_split_or_hide(vm);
	} else if (dice < 68) {
		step_join(vm);
	} else if (dice < 70) {
		step_access_beyond(vm);
	} else if (dice < 72) {
		tlb_invalidate_all(&vm->space->tlb);
	} else if (dice < 84) {
		step_balloon(vm);
	} else if (dice < 100) {
		fake_guest_leave();
	} else if (options->share && dice < 180) {
		step_scan(vm);
	} else {
		step_access(vm);
	}
}

/*
 * A kicked CPU still uses what it has cached: it must see, and write, the right bytes until it
 * leaves.
 */
static void before_leave(u32 cpu)
{
	struct space *space = fake_guest_running(cpu);
	struct vm *vm = NULL;

	for (u32 i = 0; i < VMS_MAX; i++) {
		if (world.vms[i].space == space)
			vm = &world.vms[i];
	}
	for (u32 i = 0; vm && i < 8; i++) {
		u64 index = any_page(space), value = rng_next(&world.rng), expected = 0;
		gpa_t gpa = gfn_to_gpa(space_page_gfn(space, index));
		bool write = chance(50);

		if (!fake_guest_access_cached(
			    space, gpa, write ? SLAT_WRITE : SLAT_READ, &value, 8))
			continue;
		world.kick_accesses++;
		if (write)
			memcpy(model_page(vm, index, true), &value, 8);
		else if (vm->pages[index])
			memcpy(&expected, vm->pages[index], 8);
		if (!write && value != expected && !options->stop_on_violation)
			wrong("a kicked CPU read a wrong byte");
	}
}

/* --- Checks --- */

static void account_check(void)
{
	struct frame_account account;
	u64 sum = 0, private_pages = 0, shared_pages = 0, references = 0;

	frame_account_get(&account);
	for (u32 kind = FRAME_FREE; kind < FRAME_KIND_COUNT; kind++)
		sum += account.frames[kind];
	if (sum != account.total)
		wrong("the account does not sum to all frames");
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (!world.vms[i].space)
			continue;
		private_pages += space_consumed_pages(world.vms[i].space);
		shared_pages += space_pages_in_state(world.vms[i].space, PAGE_SHARED);
	}
	for (u64 pfn = 0; account.frames[FRAME_SHARED] && pfn < options->ram_frames + 48; pfn++) {
		if (frame_is_ram(PFN(pfn)) && frame_kind(PFN(pfn)) == FRAME_SHARED)
			references += frame_ref_count(PFN(pfn));
	}
	if (shared_pages != references)
		wrong("references to shared frames are not those of the VMs");
	if (account.frames[FRAME_PRIVATE] != private_pages)
		wrong("private frames are not those of the VMs");
}

/* Only under the salt of the space, or the one from before a change that is not through yet. */
static void shared_check(const struct space *space, pfn_t pfn)
{
	if (share_index_salt(pfn) != space->share.salt && space->share.phase != SHARE_PHASE_UNSHARE)
		wrong("a page is shared under another salt");
}

static void compare_all(void)
{
	static u8 zeros[PAGE_BYTES];
	static u8 mapped[1 << 20];

	memset(mapped, 0, sizeof(mapped));
	for (u32 i = 0; i < VMS_MAX; i++) {
		struct vm *vm = &world.vms[i];

		for (u64 index = 0; vm->space && index < vm->space->page_count; index++) {
			gfn_t gfn = space_page_gfn(vm->space, index);
			const void *page = fake_guest_look(vm->space, gfn);
			const void *model = vm->pages[index] ? vm->pages[index] : zeros;
			pfn_t pfn = page ? platform_va_frame(page) : PFN_NONE;

			if (memcmp(page ? page : zeros, model, PAGE_BYTES) != 0)
				wrong("a page differs from the model");
			if ((space_page_state(vm->space, gfn) == PAGE_BALLOONED) !=
				vm->ballooned[index])
				wrong("a page is ballooned and should not be, or the reverse");
			if (!page || pfn.v == frame_zero().v)
				continue;
			if (frame_kind(pfn) == FRAME_SHARED)
				shared_check(vm->space, pfn);
			else if (mapped[pfn.v]++)
				wrong("a frame is mapped twice");
		}
	}
}

static void check(void)
{
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (world.vms[i].space && !space_audit(world.vms[i].space))
			wrong("space_audit");
		if (world.vms[i].space &&
			balloon_pages(world.vms[i].space) != world.vms[i].ballooned_count)
			wrong("the balloon's size is not the model's");
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

/* Forget everything as it stands. */
static void world_abandon(void)
{
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (world.vms[i].space) {
			model_forget(&world.vms[i]);
			free(world.vms[i].pages);
			free(world.vms[i].ballooned);
		}
	}
	for (u32 i = 0; i < PINS_MAX; i++) {
		free(world.pins[i].orphan);
		free(world.pins[i].frozen);
	}
	hoard_count = 0;
	fake_stop();
}

bool world_run(const struct world_options *chosen)
{
	struct frame_account start, end;

	options = chosen;
	memset(&world, 0, sizeof(world));
	world.rng.state = options->seed;
	fake_start_plain(MODEL_CPUS, options->ram_frames);
	fake_guest_start();
	fake_guest_before_leave(before_leave);
	share_test_hooks(options->share ? in_a_merge : NULL, options->hash_bits);
	frame_account_get(&start);
	while (world.steps < options->steps) {
		world.steps++;
		step();
		if (options->stop_on_violation && fake_guest_violations()) {
			world_abandon();
			return false;
		}
		check();
	}
	compare_all();
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (world.vms[i].space)
			vm_destroy(&world.vms[i]);
	}
	fake_cpu_set(0);
	hoard_release(HOARD_MAX);
	for (u32 i = 0; i < PINS_MAX; i++) {
		if (world.pins[i].used)
			pin_drop(&world.pins[i]);
	}
	check();
	frame_account_get(&end);
	if (memcmp(&start, &end, sizeof(start)) != 0)
		wrong("not all frames came back");
	printf("seed %llu %s%s: %llu steps, %llu accesses (%llu hits, %llu walks), %llu kicks with %llu "
	       "late accesses, %llu out of frames, %llu VMs ended, %llu cleared, %llu pages ballooned, %llu touched, "
	       "%llu regions joined, %llu pages moved for it\n",
		(unsigned long long)options->seed, options->format->name,
		options->large_pages ? (options->large_pages_no_exec ? " large no-exec" : " large")
				     : "",
		(unsigned long long)world.steps, (unsigned long long)world.accesses,
		(unsigned long long)fake_guest_hits(), (unsigned long long)fake_guest_walks(),
		(unsigned long long)fake_guest_kicks(), (unsigned long long)world.kick_accesses,
		(unsigned long long)world.nomem, (unsigned long long)world.destroyed,
		(unsigned long long)world.clears, (unsigned long long)world.inflated,
		(unsigned long long)world.touched, (unsigned long long)world.joins,
		(unsigned long long)world.join_moves);
	if (options->share)
		printf("  %u hash bits: %llu scans, %llu races, %llu merges, %llu breaks\n",
			options->hash_bits, (unsigned long long)world.scans,
			(unsigned long long)world.races, (unsigned long long)world.merges,
			(unsigned long long)world.breaks);
	fflush(stdout);
	fake_stop();
	return true;
}
