/* Demand, balloons, eviction and the way back: see memsched_target.h. */
#include "mm/memsched/memsched_target.h"
#include "mm/memsched/memsched_entitle.h"

#define BAND_PART                                                                                  \
	64u /* of a VM's memory: a balloon is not let out for less, unless it goes empty */
#define GRANT_PART 8u /* a grant grows by so much, and when so little of it is left */
#define PART_SHIFT 16 /* of fractions */

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

/* @part of @whole in parts of 2^PART_SHIFT, rounded down, at most one. */
static u64 fraction(u64 part, u64 whole)
{
	return part >= whole ? 1u << PART_SHIFT : (part << PART_SHIFT) / whole;
}

static u64 scaled(u64 pages, u64 part)
{
	return pages * part >> PART_SHIFT;
}

/* --- The division ---------------------------------------------------------------------------- */

u64 mem_demand(const struct mem_vm *vm)
{
	u64 out = vm->zipped + vm->swapped + (vm->balloon_works ? vm->ballooned : 0);

	return min(less(vm->consumed, vm->cache_frames) + out, vm->claims.memory);
}

static u64 ungranted(const struct mem_vm *vm)
{
	return less(vm->claims.memory, max(vm->granted, vm->claims.reservation));
}

/* ... of which a balloon that stands for what was not granted yet is not to come back either. */
static u64 usable_of(const struct mem_vm *vm)
{
	u64 kept = vm->balloon_works ? min(vm->ballooned, ungranted(vm)) : 0;

	return less(mem_demand(vm), kept);
}

u64 mem_bound(const struct mem_vm *vm)
{
	return max(min(vm->claims.limit, vm->granted), vm->claims.reservation);
}

static void divide(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	u64 there_is = host->free_frames;

	for (u32 i = 0; i < count; i++) {
		struct mem_vm *vm = &vms[i];

		vm->ceiling = max(min(usable_of(vm), mem_bound(vm)), vm->claims.reservation);
		there_is += max(vm->consumed, vm->claims.reservation);
	}
	mem_entitle(vms, count, less(there_is, host->levels.aim), host->idle_tax_pct);
}

/* --- Taking ---------------------------------------------------------------------------------- */

static u64 excess_of(const struct mem_vm *vm)
{
	return less(vm->consumed, vm->entitled);
}

/* The balloon that the division asks for. */
static u64 balloon_ideal(const struct mem_vm *vm)
{
	return min(max(less(mem_demand(vm), vm->entitled), ungranted(vm)), vm->balloon_max);
}

/* ... and the part of it that does not wait for memory to be short. */
static u64 balloon_due(const struct mem_vm *vm)
{
	return min(max(less(mem_demand(vm), mem_bound(vm)), ungranted(vm)), vm->balloon_max);
}

static void inflate(const struct mem_host *host, struct mem_vm *vm)
{
	vm->balloon_target = vm->ballooned;
	if (vm->balloon_works)
		vm->balloon_target = max(vm->ballooned,
			mem_state_balloons(host->state) ? balloon_ideal(vm) : balloon_due(vm));
}

/*
 * What the balloon will not bring of what is above the limit and, once balloons are at work, of
 * this VM's part of what all have too much.
 */
static u64 unballooned(const struct mem_vm *vm, u64 part)
{
	u64 above = max(less(vm->consumed, mem_bound(vm)), scaled(excess_of(vm), part));

	return vm->balloon_slow ? above : less(above, vm->balloon_target - vm->ballooned);
}

/*
 * Eviction takes no more than is missing: others' entitlements that they do not use leave the sum
 * of what is above entitlements larger than that.
 */
static void take(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	u64 excess = 0, part = 0, urgent_part = 0;

	for (u32 i = 0; i < count; i++)
		excess += excess_of(&vms[i]);
	if (excess && mem_state_balloons(host->state))
		part = fraction(less(host->levels.aim, host->free_frames), excess);
	if (excess && mem_state_evicts(host->state))
		urgent_part = fraction(less(host->levels.urgent_aim, host->free_frames), excess);
	for (u32 i = 0; i < count; i++) {
		struct mem_vm *vm = &vms[i];

		inflate(host, vm);
		u64 evict = max(unballooned(vm, part), scaled(excess_of(vm), urgent_part));

		vm->evict_to = evict ? vm->consumed - evict : mem_bound(vm);
		vm->blocked = mem_state_blocks(host->state) && excess_of(vm);
	}
}

/* --- Giving back ----------------------------------------------------------------------------- */

static u64 deflation_of(const struct mem_vm *vm)
{
	u64 wanted = balloon_ideal(vm);
	u64 back = less(vm->ballooned, wanted);

	if (!vm->balloon_works || (wanted && back < vm->claims.memory / BAND_PART))
		return 0;
	return min(back, less(vm->entitled, vm->consumed));
}

static u64 fetch_of(const struct mem_vm *vm)
{
	u64 out = less(less(mem_demand(vm), vm->entitled), balloon_ideal(vm));

	return min(less(vm->zipped + vm->swapped, out),
		less(less(vm->entitled, vm->consumed), deflation_of(vm)));
}

/*
 * Balloons may be let out as long as no one must be swapped for it: others' inflate meanwhile.
 * Nothing is fetched from memory that others would have to give.
 */
static void give_back(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	u64 to_deflate = 0, to_fetch = 0;

	if (mem_state_evicts(host->state)) {
		for (u32 i = 0; i < count; i++)
			vms[i].fetch = 0;
		return;
	}
	for (u32 i = 0; i < count; i++) {
		to_deflate += deflation_of(&vms[i]);
		to_fetch += fetch_of(&vms[i]);
	}
	u64 spare = less(host->free_frames, host->levels.leave[MEM_HARD]);
	u64 deflating = min(spare, to_deflate);
	u64 fetching = less(host->free_frames, host->levels.aim + deflating);

	for (u32 i = 0; i < count; i++) {
		struct mem_vm *vm = &vms[i];
		u64 back = deflation_of(vm);

		if (back)
			vm->balloon_target =
				vm->ballooned - scaled(back, fraction(deflating, to_deflate));
		vm->fetch = scaled(fetch_of(vm), fraction(fetching, to_fetch));
	}
}

void mem_decide(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	divide(host, vms, count);
	take(host, vms, count);
	give_back(host, vms, count);
}

u64 mem_grant_next(const struct mem_vm *vm, enum mem_state state, u64 guest_free)
{
	u64 used = less(mem_demand(vm), vm->balloon_works ? vm->ballooned : 0);
	u64 left = guest_free == ~0ull ? less(vm->granted, used) : guest_free;
	u64 step = vm->granted / GRANT_PART;

	if (state != MEM_HIGH || left >= step)
		return vm->granted;
	return min(vm->granted + max(step, 1ull), vm->claims.memory);
}
