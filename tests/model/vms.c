/* Random operations on several VMs, on several CPUs, against the naive model: see vms.h. */
#include "tests/model/vms_private.h"
#include "mm/space/promise.h"
#include "mm/space/space_join.h"

#define HOARD_MAX 4096u
#define WAITS_MAX 1000u
#define SECOND_NS 1000000000ull

struct world world;
const struct world_options *options;
static pfn_t hoard[HOARD_MAX]; /* frames that the test itself holds, to make memory scarce */
static u32 hoard_count;

void wrong(const char *what)
{
	fprintf(stderr, "seed %llu, step %llu: %s\n", (unsigned long long)options->seed,
		(unsigned long long)world.steps, what);
	abort();
}

u64 below(u64 end)
{
	return rng_below(&world.rng, end);
}

bool chance(u32 pct)
{
	return rng_chance(&world.rng, pct);
}

struct vm *any_vm(void)
{
	struct vm *vm = &world.vms[below(VMS_MAX)];
	struct space *running = fake_guest_running(platform_cpu_id());

	for (u32 i = 0; running && chance(80) && i < VMS_MAX; i++) {
		if (world.vms[i].space == running)
			return &world.vms[i];
	}

	return vm->space ? vm : NULL;
}

u64 any_page(const struct space *space)
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

u8 *model_page(struct vm *vm, u64 index, bool make)
{
	if (!vm->pages[index] && make)
		vm->pages[index] = calloc(1, PAGE_BYTES);
	return vm->pages[index];
}

/* --- Steps --- */

static void hoard_release(u32 count)
{
	while (count-- && hoard_count)
		frame_free(hoard[--hoard_count]);
}

void out_of_frames(struct vm *vm)
{
	world.nomem++;
	if (options->reclaim ? promise_spare_pages() : frame_free_count())
		wrong("out of frames while there are free ones");
	if (hoard_count && chance(70))
		hoard_release(64);
	else if (vm == world.scanned)
		vm_clear(vm);
	else
		vm_destroy(vm);
}

/* As a vCPU on this CPU. Where it must wait, it comes back later, or waits until it is served. */
static enum fault_result access_patiently(struct space *space, gpa_t gpa, u32 access, u64 *value)
{
	bool patient = chance(30);
	enum fault_result result;
	u32 waits = 0;

	fault_guard_use(space, platform_cpu_id());
	if (chance(50))
		fault_guard_moved_on();
	while ((result = fake_guest_access(space, gpa, access, value, 8)) == FAULT_WAIT) {
		out_waited();
		if (!patient)
			break;
		if (++waits > WAITS_MAX)
			wrong("a vCPU waits for ever");
		fake_guest_leave();
		step_disk(~0u);
	}
	return result;
}

void step_access(struct vm *vm)
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
	switch (access_patiently(vm->space, gpa, access, &value)) {
	case FAULT_DONE:
		page_used(vm, index);
		break;
	case FAULT_NOMEM:
		out_of_frames(vm);
		return;
	case FAULT_WAIT:
		return;
	case FAULT_CORRUPT:
		out_lost(vm);
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
	u64 large = space_counted(vm->space, large_leaves);

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
	if (space_split_all(vm->space) != large || space_counted(vm->space, large_leaves) != 0)
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
		else if (options->reclaim && dice < 300)
			step_evict(vm);
		else if (options->reclaim && vm && dice < 310)
			step_peek(vm);
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

/* A slice is over at once, or far off; now and then all pages have grown old. */
static void clock_move(void)
{
	u64 ns = chance(1) ? below(2 * SECOND_NS) : below(SECOND_NS / 10000);
	u64 look_ns = 1ull << below(17);

	fake_clock_move(ns, options->slow ? look_ns * 1000 : look_ns);
}

static void step(void)
{
	u64 dice = below(1000);

	clock_move();
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
	} else if (options->reclaim && dice < 260) {
		step_evict(vm);
	} else if (options->reclaim && dice < 275) {
		step_peek(vm);
	} else if (options->reclaim && dice < 310) {
		step_disk((u32)below(4));
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
	if (options->reclaim)
		out_stop();
	fake_stop();
}

bool world_run(const struct world_options *chosen)
{
	struct frame_account start, end;

	options = chosen;
	memset(&world, 0, sizeof(world));
	world.rng.state = options->seed;
	fake_start_plain(MODEL_CPUS, options->ram_frames);
	fake_clock_start(options->seed);
	fake_guest_start();
	fake_guest_before_leave(before_leave);
	share_test_hooks(options->share ? in_a_merge : NULL, options->hash_bits);
	if (options->reclaim)
		out_start();
	frame_account_get(&start);
	while (world.steps < options->steps) {
		world.steps++;
		step();
		if (options->stop_on_violation && fake_guest_violations()) {
			world_abandon();
			return false;
		}
		check();
		trace_step();
	}
	compare_all();
	if (options->reclaim)
		out_finish();
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (world.vms[i].space)
			vm_destroy(&world.vms[i]);
	}
	fake_cpu_set(0);
	if (options->reclaim)
		step_disk(~0u);
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
	if (options->reclaim)
		printf("  out: %llu zipped, %llu of one value, %llu shared instead, %llu swapped, %llu of "
		       "shared, %llu clean, %llu objects "
		       "written; back: %llu, %llu read ahead; %llu waits, %llu lost, %llu peeks\n",
			(unsigned long long)world.zipped, (unsigned long long)world.filled,
			(unsigned long long)world.shared_instead, (unsigned long long)world.swapped,
			(unsigned long long)world.shared_out, (unsigned long long)world.cleaned,
			(unsigned long long)world.objects, (unsigned long long)world.came_back,
			(unsigned long long)world.read_ahead, (unsigned long long)world.waits,
			(unsigned long long)world.lost, (unsigned long long)world.peeks);
	printf("  trace %016llx\n", (unsigned long long)world.trace);
	fflush(stdout);
	if (options->reclaim)
		out_stop();
	fake_stop();
	return true;
}
