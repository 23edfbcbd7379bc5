/*
 * All of mm/ at once, by real threads as CPUs: guests' accesses, pins, peeks, scans for sharing,
 * balloons, reclaim into compression cache and swap file, a disk that completes late, in any order
 * and now and then not at all, and VMs that are made, reset and ended meanwhile.
 *
 * Each CPU has a part of every page for its own, filled from a seed that it remembers: whoever
 * brings a page in compares all of the CPU's part, and before a VM ends all of its bytes are
 * compared. One page in eight is one CPU's alone, which gives it to the balloon or has a device
 * overwrite it. In the end every frame and slot is back. SEED=n; STEPS=n, of each CPU (what races
 * cannot be replayed).
 */
#include "tests/model/stress.h"
#include "tests/fake/fake_blk.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/balloon/balloon.h"
#include "mm/reclaim/evict_objects.h"
#include "mm/reclaim/reclaim.h"
#include "mm/share/share.h"
#include "mm/share/share_index.h"
#include "mm/space/space_join.h"
#include "mm/swap/swap.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES 512u
#define DISK_SLOTS  (STRESS_VMS * 2u * STRESS_PAGES_MAX)
#define WAITS_MAX   20u
#define LIST_MAX    8u
#define LOOKS_MOST  50u
#define TOLD_MAX    5u
/* Fewer than VMs have, and plenty. */
#define SCARCE_FRAMES 1200u
#define PLENTY_FRAMES 9000u

typedef unsigned long long ull;

struct stress_vm stress_vms[STRESS_VMS];
static struct stress_worker workers[STRESS_CPUS];
static struct fake_blk disk;
static u64 wrong_count; /* [a] */

void stress_wrong(const char *what, u64 page)
{
	if (__atomic_add_fetch(&wrong_count, 1, __ATOMIC_RELAXED) <= TOLD_MAX)
		fprintf(stderr, "CPU %u: %s (%llu)\n", platform_cpu_id(), what, (ull)page);
}

u32 stress_disk(u32 most)
{
	u32 done = fake_blk_run(&disk, most);

	swap_volumes_poll();
	return done;
}

/* --- One CPU's steps, on a VM that does not end meanwhile ------------------------------------ */

/* Often one of a few. */
static u64 any_page(struct stress_worker *w, const struct space *space)
{
	u64 page = rng_chance(&w->rng, 60) ? rng_below(&w->rng, 20) * 67 : rng_next(&w->rng) >> 8;

	return page % space->page_count;
}

static u64 own_spare_page(struct stress_worker *w, const struct space *space)
{
	u64 turn = STRESS_SPARE_EVERY * STRESS_CPUS;
	u64 which = rng_below(&w->rng, space->page_count / turn);

	return which * turn + w->cpu * STRESS_SPARE_EVERY + STRESS_SPARE_EVERY - 1;
}

/* Often what other CPUs write there, too, and into other pages. */
static u64 any_seed(struct stress_worker *w, u64 page)
{
	return rng_chance(&w->rng, 65) ? page % 40 * 4 + 1 : rng_next(&w->rng);
}

static void fill(u64 *words, u32 count, u64 seed)
{
	for (u32 i = 0; i < count; i++)
		__atomic_store_n(&words[i], stress_word(seed, i), __ATOMIC_RELAXED);
}

/* As a vCPU. It does not wait for long. */
static enum fault_result access_page(struct stress_worker *w, struct space *space, u64 page,
	struct stress_part part, bool write, u64 *words)
{
	gpa_t gpa = GPA(page * PAGE_BYTES + part.first * 8);
	u32 access = write ? SLAT_WRITE : SLAT_READ;
	enum fault_result result;

	/* Another CPU's: it is used all the same. */
	if (part.count == 0) {
		part.count = 1;
		access = SLAT_READ;
	}
	for (u32 waits = 0; (result = fake_guest_access(
				     space, gpa, access, words, part.count * 8)) == FAULT_WAIT &&
			    waits < WAITS_MAX;
		waits++) {
		w->counts.waits++;
		if (stress_disk(1) == 0)
			sched_yield();
	}
	return result;
}

/* Whether the page's contents are still there. */
static bool step_access(struct stress_worker *w, struct stress_vm *vm)
{
	u64 page = any_page(w, vm->space), seed = any_seed(w, page);
	u64 *mine = &vm->seeds[w->cpu][page];
	struct stress_part part = stress_part(page, w->cpu);
	bool write = rng_chance(&w->rng, 50);
	u64 words[PAGE_WORDS];

	if (write)
		fill(words, part.count, seed);
	enum fault_result result = access_page(w, vm->space, page, part, write, words);

	w->counts.accesses++;
	w->counts.no_frame += result == FAULT_NOMEM;
	if (result == FAULT_DONE && write && part.count)
		*mine = seed;
	else if (result == FAULT_DONE)
		stress_compare(words, part.count, *mine, page);
	return result != FAULT_CORRUPT;
}

/* As a device does, or the hypervisor. */
static bool step_pin(struct stress_worker *w, struct stress_vm *vm)
{
	bool overwrite = rng_chance(&w->rng, 30), write = overwrite || rng_chance(&w->rng, 50);
	u64 page = overwrite ? own_spare_page(w, vm->space) : any_page(w, vm->space);
	u64 *mine = &vm->seeds[w->cpu][page], seed = any_seed(w, page);
	struct stress_part part = stress_part(page, w->cpu);
	pfn_t frame;
	err_t err;

	fake_guest_leave();
	write = write && part.count;
	err = overwrite ? space_pin_overwrite(vm->space, GFN(page), &frame)
			: space_pin(vm->space, GFN(page), write, &frame);
	if (err)
		return err != E_CORRUPT;
	u64 *words = (u64 *)platform_frame_va(frame) + part.first;

	if (!overwrite)
		stress_compare(words, part.count, *mine, page);
	if (write)
		fill(words, part.count, *mine = seed);
	w->counts.pins++;
	w->counts.overwrites += overwrite;
	if (!write && !w->pin.vm && rng_chance(&w->rng, 20))
		w->pin = (struct stress_pin){vm, vm->generation, frame};
	else
		space_unpin(vm->space, frame);
	return true;
}

static void peek_done(struct space_peek *peek, err_t result)
{
	struct stress_peek *mine = container_of(peek, struct stress_peek, peek);

	mine->result = result;
	__atomic_store_n(&mine->state, PEEK_DONE, __ATOMIC_RELEASE);
}

static void peek_look(struct stress_worker *w)
{
	struct stress_part part = stress_part(w->peek.page, w->cpu);
	const u64 *words = platform_frame_va(w->peek.peek.to);

	if (w->peek.result == E_OK)
		stress_compare(&words[part.first], part.count, w->peek.seed, w->peek.page);
	w->peek.state = PEEK_IDLE;
	w->counts.peeks += w->peek.result == E_OK;
}

/* Mostly one that is not in memory. */
static u64 absent_page(struct stress_worker *w, struct space *space)
{
	u64 page = any_page(w, space);

	for (u32 i = 0; i < LOOKS_MOST; i++, page = (page + 1) % space->page_count) {
		enum page_state state = space_page_state(space, GFN(page));

		if (state == PAGE_SWAPPED || state == PAGE_ZIPPED)
			break;
	}
	return page;
}

static void step_peek(struct stress_worker *w, struct stress_vm *vm)
{
	fake_guest_leave();
	u64 page = absent_page(w, vm->space);
	u32 state = __atomic_load_n(&w->peek.state, __ATOMIC_ACQUIRE);

	if (state == PEEK_DONE)
		peek_look(w);
	if (state == PEEK_UNDER_WAY)
		return;
	w->peek.page = page;
	w->peek.seed = vm->seeds[w->cpu][page];
	/* It may be done before this returns. */
	w->peek.state = PEEK_UNDER_WAY;
	err_t err = space_peek(vm->space, GFN(page), &w->peek.peek);

	w->counts.peeks_read += err == E_WAIT;
	if (err == E_WAIT)
		return;
	w->peek.result = err;
	peek_look(w);
}

/* What goes into the balloon, or comes from it, is zeros. */
static void step_balloon(struct stress_worker *w, struct stress_vm *vm)
{
	u64 turn = STRESS_SPARE_EVERY * STRESS_CPUS, pages[LIST_MAX];
	u64 page = own_spare_page(w, vm->space);
	u32 count = 0, taken = 0;
	err_t why;

	fake_guest_leave();
	for (; count < LIST_MAX && page < vm->space->page_count; page += turn)
		pages[count++] = page;
	if (rng_chance(&w->rng, 60))
		taken = balloon_inflate(vm->space, pages, count, BALLOON_ORDER_4K, &why);
	else
		balloon_deflate(vm->space, pages, count, BALLOON_ORDER_4K, &why);
	for (u32 i = 0; i < taken; i++)
		vm->seeds[w->cpu][pages[i]] = 0;
	w->counts.balloons += taken;
}

/* What the hypervisor does to a VM's memory while the VM runs. */
static void step_work(struct stress_worker *w, struct stress_vm *vm)
{
	struct space *space = vm->space;

	fake_guest_leave();
	switch (rng_below(&w->rng, 13)) {
	case 0:
	case 1:
	case 2:
		share_scan(space, 1 + rng_below(&w->rng, 300), 1000000);
		break;
	case 3:
	case 4:
		reclaim_from(space, 1 + rng_below(&w->rng, 64), 1000000);
		break;
	case 5:
		evict_objects_write(space);
		break;
	case 6:
		reclaim_everything(space);
		break;
	case 7:
		space_split_all(space);
		break;
	case 8:
	case 9:
		space_join_some(space, 100000);
		break;
	case 10:
		space_hide(space, GFN(any_page(w, space)));
		break;
	case 11:
		tlb_invalidate_all(&space->tlb);
		break;
	default:
		if (rng_chance(&w->rng, 5))
			share_set_salt(space, 1 + (u32)rng_below(&w->rng, 2));
		break;
	}
}

/* Some steps in a row. Whether all of its contents are still there. */
static bool steps_on(struct stress_worker *w, struct stress_vm *vm)
{
	u64 dice = rng_below(&w->rng, 100);
	bool sound = true;

	if (dice < 8)
		step_balloon(w, vm);
	else if (dice < 16)
		step_peek(w, vm);
	else if (dice < 32)
		step_work(w, vm);
	else if (dice < 42)
		sound = step_pin(w, vm);
	else
		for (u64 n = 1 + rng_below(&w->rng, 40); n && sound; n--)
			sound = step_access(w, vm);
	return sound;
}

/* --- One CPU's life -------------------------------------------------------------------------- */

static void use_vm(struct stress_worker *w, struct stress_vm *vm)
{
	bool sound = true, exists;

	if (pthread_rwlock_tryrdlock(&vm->life))
		return;
	exists = vm->space != NULL;
	if (exists) {
		fault_guard_use(vm->space, w->cpu);
		if (rng_chance(&w->rng, 50))
			fault_guard_moved_on();
		sound = steps_on(w, vm);
		fault_guard_use(NULL, 0);
		fake_guest_leave();
	}
	pthread_rwlock_unlock(&vm->life);
	if (!exists)
		stress_vm_make(w, vm);
	if (!sound)
		stress_vm_end(w, vm);
}

/* The long pin goes: through its space, if that is still there. */
static void pin_drop(struct stress_worker *w)
{
	struct stress_pin *pin = &w->pin;

	if (!pin->vm || pthread_rwlock_tryrdlock(&pin->vm->life))
		return;
	if (pin->vm->generation == pin->generation)
		space_unpin(pin->vm->space, pin->frame);
	else
		frame_unpin(pin->frame);
	pthread_rwlock_unlock(&pin->vm->life);
	pin->vm = NULL;
}

static void *work(void *arg)
{
	struct stress_worker *w = arg;

	fake_cpu_set(w->cpu);
	for (u64 step = 0; step < w->steps; step++) {
		struct stress_vm *vm = &stress_vms[rng_below(&w->rng, STRESS_VMS)];
		u64 dice = rng_below(&w->rng, 1000);

		if (dice < 4)
			stress_vm_end(w, vm);
		else if (dice < 6)
			stress_vm_clear(w, vm);
		else if (dice < 50)
			reclaim_work(100000);
		else if (dice < 70)
			pin_drop(w);
		else if (dice < 200)
			stress_disk(1 + (u32)rng_below(&w->rng, 3));
		else
			use_vm(w, vm);
	}
	return NULL;
}

/* --- All of them ----------------------------------------------------------------------------- */

static void start(u64 seed, u64 steps, u64 frames)
{
	fake_start_plain(STRESS_CPUS, frames);
	fake_log_quiet(true);
	fake_guest_start();
	fake_guest_threaded(true);
	fake_blk_init(&disk, BLOCK_BYTES, (DISK_SLOTS + 1) * (PAGE_BYTES / BLOCK_BYTES));
	disk.rng.state = seed;
	swap_init();
	if (swap_volume_open(&disk.device, 0, disk.device.block_count, "stress"))
		stress_wrong("swap_volume_open", 0);
	while (swap_volume_state(swap_volume_first()) == SWAP_OPENING)
		fake_blk_run(&disk, 1);
	if (reclaim_init())
		stress_wrong("reclaim_init", 0);
	disk.shuffle = true;
	disk.depth = 24;
	disk.fail_every = 151;
	disk.corrupt_every = 23;
	memset(workers, 0, sizeof(workers));
	for (u32 i = 0; i < STRESS_CPUS; i++) {
		workers[i].cpu = i;
		workers[i].steps = steps;
		workers[i].rng.state = seed + i;
		workers[i].peek.peek.to = frame_alloc(FRAME_HV);
		workers[i].peek.peek.done = peek_done;
	}
}

/* Nobody else runs any more: all that is under way ends. */
static void finish(struct stress_counts *sum)
{
	for (u32 i = 0; i < STRESS_CPUS; i++) {
		fake_cpu_set(i);
		pin_drop(&workers[i]);
	}
	reclaim_work(~0ull >> 1);
	stress_disk(~0u);
	for (u32 i = 0; i < STRESS_VMS; i++)
		stress_vm_finish(&workers[0], &stress_vms[i]);
	stress_disk(~0u);
	for (u32 i = 0; i < STRESS_CPUS; i++) {
		if (workers[i].peek.state == PEEK_DONE)
			peek_look(&workers[i]);
		frame_free(workers[i].peek.peek.to);
		for (u32 at = 0; at < sizeof(*sum) / sizeof(u64); at++)
			((u64 *)sum)[at] += ((const u64 *)&workers[i].counts)[at];
	}
}

static void tell(u64 seed, u64 frames, const struct stress_counts *c)
{
	printf("seed %llu, %llu frames: %llu VMs, %llu of them ended unseen, %llu resets, %llu pages "
	       "compared at the end of VMs, %llu lost; %llu accesses, %llu waits, %llu without a frame; "
	       "%llu pins, %llu overwritten, %llu peeks (%llu read), %llu ballooned\n",
		(ull)seed, (ull)frames, (ull)c->made, (ull)c->unverified, (ull)c->cleared,
		(ull)c->verified_pages, (ull)c->lost, (ull)c->accesses, (ull)c->waits,
		(ull)c->no_frame, (ull)c->pins, (ull)c->overwrites, (ull)c->peeks,
		(ull)c->peeks_read, (ull)c->balloons);
	printf("  %llu zipped, %llu swapped, %llu clean, %llu objects, %llu swapped in, %llu merged, "
	       "%llu shared instead, %llu taken by the last, %llu regions joined; %llu kicks, %llu walks, %llu hits; %llu wrong\n",
		(ull)c->zipped, (ull)c->swapped, (ull)c->clean, (ull)c->objects,
		(ull)c->faults_swap, (ull)c->merged, (ull)c->shared_instead, (ull)c->taken,
		(ull)c->joined, (ull)fake_guest_kicks(), (ull)fake_guest_walks(),
		(ull)fake_guest_hits(), (ull)wrong_count);
	fflush(stdout);
}

/* Did all that is to be stressed take place? */
static bool was_stressed(const struct stress_counts *c)
{
	return c->ended && c->unverified && c->verified_pages && c->waits && c->overwrites &&
	       c->peeks && c->balloons && c->zipped && c->swapped && c->faults_swap && c->merged &&
	       c->shared_instead && c->taken;
}

int stress_run(u64 seed, u64 steps, bool scarce, bool all)
{
	u64 frames = scarce ? SCARCE_FRAMES : PLENTY_FRAMES, longest;
	struct frame_account before, after;
	struct stress_counts sum = {0};

	start(seed, steps, frames);
	frame_account_get(&before);
	for (u32 i = 0; i < STRESS_VMS; i++)
		pthread_rwlock_init(&stress_vms[i].life, NULL);
	for (u32 i = 0; i < STRESS_CPUS; i++)
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	for (u32 i = 0; i < STRESS_CPUS; i++)
		pthread_join(workers[i].thread, NULL);
	finish(&sum);
	frame_account_get(&after);
	after.frames[FRAME_HV] += STRESS_CPUS;
	after.frames[FRAME_FREE] -= STRESS_CPUS; /* the peeks' */
	if (memcmp(&before, &after, sizeof(before)) || !frame_audit() || !share_index_audit())
		stress_wrong("not all frames came back", 0);
	if (swap_directory_room(swap_volume_first(), &longest) != DISK_SLOTS)
		stress_wrong("not all slots came back", 0);
	wrong_count += fake_guest_violations();
	tell(seed, frames, &sum);
	fake_blk_free(&disk);
	fake_stop();
	return wrong_count || (all && !was_stressed(&sum));
}
