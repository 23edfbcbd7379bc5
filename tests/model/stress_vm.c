/* VMs that come, are reset and go while others are at work on them: see stress.c. */
#include "tests/model/stress.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/reclaim/reclaim.h"
#include "mm/swap/swap.h"
#include "mm/zcache/zcache.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define WAITS_MAX 1000000u

struct stress_part stress_part(u64 page, u32 cpu)
{
	bool mine = page / STRESS_SPARE_EVERY % STRESS_CPUS == cpu;
	u32 words = PAGE_WORDS / STRESS_CPUS;

	if (page % STRESS_SPARE_EVERY != STRESS_SPARE_EVERY - 1)
		return (struct stress_part){cpu * words, words};
	return (struct stress_part){0, mine ? PAGE_WORDS : 0};
}

static u64 scrambled(u64 seed, u32 i)
{
	struct rng rng = {seed + i * RNG_STEP};

	return rng_next(&rng);
}

/* What fills a page with one value, what compresses, what is half random, and what is random. */
u64 stress_word(u64 seed, u32 i)
{
	switch (seed % 4) {
	case 0:
		return seed / 4 % 3 * 0x100000001ull;
	case 1:
		return seed;
	case 2:
		return i % 128 < 40 ? scrambled(seed, i) : seed;
	default:
		return scrambled(seed, i);
	}
}

void stress_compare(const u64 *words, u32 count, u64 seed, u64 page)
{
	for (u32 i = 0; i < count; i++) {
		if (__atomic_load_n(&words[i], __ATOMIC_RELAXED) != stress_word(seed, i)) {
			stress_wrong("a word is not what was written there", page);
			return;
		}
	}
}

/* --- Every byte ------------------------------------------------------------------------------ */

/* Brought in, whatever others do meanwhile. */
static err_t page_pin(struct stress_worker *w, struct space *space, u64 page, pfn_t *frame)
{
	err_t err;

	for (u32 waits = 0; (err = space_pin(space, GFN(page), false, frame)) == E_WAIT; waits++) {
		w->counts.waits++;
		if (waits == WAITS_MAX)
			stress_wrong("a page is waited for in vain", page);
		if (waits == WAITS_MAX)
			return err;
		if (stress_disk(4) == 0)
			sched_yield();
	}
	return err;
}

/* Life is written, or nobody else runs. */
static void compare_all(struct stress_worker *w, struct stress_vm *vm)
{
	for (u64 page = 0; page < vm->space->page_count; page++) {
		pfn_t frame;
		err_t err = page_pin(w, vm->space, page, &frame);

		w->counts.lost += err == E_CORRUPT;
		w->counts.no_frame += err == E_NOMEM;
		if (err)
			continue;
		for (u32 cpu = 0; cpu < STRESS_CPUS; cpu++) {
			struct stress_part part = stress_part(page, cpu);
			const u64 *words = platform_frame_va(frame);

			stress_compare(&words[part.first], part.count, vm->seeds[cpu][page], page);
		}
		w->counts.verified_pages++;
		space_unpin(vm->space, frame);
	}
}

/* --- Lives ----------------------------------------------------------------------------------- */

/* Large enough for all pages, or too small; the same for the cache. */
static err_t config_make(
	struct stress_worker *w, u64 which, u64 generation, u64 pages, struct space_config *config)
{
	char name[SWAP_NAME_BYTES];

	snprintf(name, sizeof(name), "%llu-%llu.vswp", (unsigned long long)which,
		(unsigned long long)generation);
	*config = (struct space_config){.name = "stress",
		.memory_bytes = pages * PAGE_BYTES,
		.format = which % 2 ? &slat_npt : &slat_ept,
		.large_pages = true,
		.large_pages_no_exec = rng_chance(&w->rng, 50),
		.share_salt = 1,
		.promised_bytes = rng_below(&w->rng, 200) * PAGE_BYTES,
		.vcpu_count = STRESS_CPUS,
		.zip_most_frames = 1 + rng_below(&w->rng, 60)};
	return swap_file_create(swap_volume_first(), name,
		rng_chance(&w->rng, 70) ? pages : 1 + rng_below(&w->rng, pages), &config->swap);
}

void stress_vm_make(struct stress_worker *w, struct stress_vm *vm)
{
	u64 pages = STRESS_PAGES_MAX - rng_below(&w->rng, 500);
	struct space_config config;

	if (pthread_rwlock_trywrlock(&vm->life))
		return;
	if (!vm->space &&
		config_make(w, (u64)(vm - stress_vms), vm->generation, pages, &config) == E_OK) {
		if (space_create(&vm->space, &config) == E_OK) {
			w->counts.made++;
		} else {
			vm->space = NULL;
			swap_file_abandon(config.swap);
		}
	}
	pthread_rwlock_unlock(&vm->life);
}

static void figures_keep(struct stress_counts *c, const struct space *space)
{
	const struct space_stats s = space_stats(space);

	c->zipped += s.evicted_zip + s.evicted_fill;
	c->swapped += s.evicted_swap;
	c->clean += s.evicted_clean;
	c->objects += s.evicted_object;
	c->faults_swap += s.faults_swap;
	c->shared_instead += s.evicted_shared;
	c->merged += s.share_merged_own + s.share_merged_other;
	c->taken += s.share_taken;
	c->joined += s.joins;
}

/* Life is written, or nobody else runs. */
static void end(struct stress_worker *w, struct stress_vm *vm)
{
	figures_keep(&w->counts, vm->space);
	/* In slices, as the hypervisor does: more comes from the disk between them. */
	while (!space_destroy_some(vm->space, 0))
		stress_disk(1);
	vm->space = NULL;
	vm->generation++;
	memset(vm->seeds, 0, sizeof(vm->seeds));
	w->counts.ended++;
}

void stress_vm_end(struct stress_worker *w, struct stress_vm *vm)
{
	if (pthread_rwlock_trywrlock(&vm->life))
		return;
	if (vm->space) {
		/* Not always, for then nothing is under way any more. */
		if (rng_chance(&w->rng, 50))
			compare_all(w, vm);
		else
			w->counts.unverified++;
		end(w, vm);
	}
	pthread_rwlock_unlock(&vm->life);
}

void stress_vm_clear(struct stress_worker *w, struct stress_vm *vm)
{
	if (pthread_rwlock_trywrlock(&vm->life))
		return;
	if (vm->space) {
		while (!space_clear_some(vm->space, 0))
			stress_disk(1);
		memset(vm->seeds, 0, sizeof(vm->seeds));
		w->counts.cleared++;
	}
	pthread_rwlock_unlock(&vm->life);
}

void stress_vm_finish(struct stress_worker *w, struct stress_vm *vm)
{
	struct space *space = vm->space;

	if (!space)
		return;
	compare_all(w, vm);
	stress_disk(~0u);
	if (swap_file_used(space->swap) !=
		space_pages_in_state(space, PAGE_SWAPPED) + space_pages_in_state(space, PAGE_CLEAN))
		stress_wrong("slots in use are not those of pages", swap_file_used(space->swap));
	if (!space_audit(space) || !zcache_audit(space->zcache))
		stress_wrong("an audit of a space", (u64)(vm - stress_vms));
	end(w, vm);
}
