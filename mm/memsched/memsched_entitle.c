/*
 * The price is found by halving: @worth below is 1/rho, what a share buys, in pages / 2^WORTH_SHIFT
 * at the price of an active page. All products fit: costs are below 2^39, worths below 2^63, and
 * where shares meet a worth, 128 bits are used.
 */
#include "mm/memsched/memsched_entitle.h"
#include "mm/base/check.h"

#define WORTH_SHIFT 24
#define COST_MAX    (MEM_PAGES_MAX * 101)

/* What so many pages cost: one each for active ones, k for the others. */
static u64 cost_of(const struct mem_vm *vm, u64 pages, u32 untaxed_pct)
{
	if (pages <= vm->active)
		return pages;
	return vm->active + (pages - vm->active) * 100 / untaxed_pct + 1;
}

/* The pages that a VM can pay at such a worth of its shares. */
static u64 pages_at(const struct mem_vm *vm, u64 worth, u32 untaxed_pct)
{
	unsigned __int128 funds = (unsigned __int128)vm->claims.shares * worth >> WORTH_SHIFT;
	u64 pages = funds < COST_MAX ? (u64)funds : COST_MAX;

	if (pages > vm->active)
		pages = vm->active + (pages - vm->active) * untaxed_pct / 100;
	return min(max(pages, vm->claims.reservation), vm->ceiling);
}

static u64 pages_of_all(const struct mem_vm *vms, u32 count, u64 worth, u32 untaxed_pct)
{
	u64 sum = 0;

	for (u32 i = 0; i < count; i++)
		sum += pages_at(&vms[i], worth, untaxed_pct);
	return sum;
}

/* At which everyone has its ceiling. */
static u64 worth_of_plenty(const struct mem_vm *vms, u32 count, u32 untaxed_pct)
{
	u64 most = 0;

	for (u32 i = 0; i < count; i++) {
		const struct mem_vm *vm = &vms[i];
		u64 cost = cost_of(vm, vm->ceiling, untaxed_pct) + 1;

		most = max(most, (cost << WORTH_SHIFT) / vm->claims.shares + 1);
	}
	return most;
}

void mem_entitle(struct mem_vm *vms, u32 count, u64 pages, u32 tax_pct)
{
	u32 untaxed_pct = 100 - tax_pct;
	u64 poor = 0, rich;

	CHECK(tax_pct <= MEM_IDLE_TAX_MAX);
	rich = worth_of_plenty(vms, count, untaxed_pct);
	if (pages_of_all(vms, count, rich, untaxed_pct) <= pages)
		poor = rich;
	while (rich - poor > 1) {
		u64 middle = poor + (rich - poor) / 2;

		if (pages_of_all(vms, count, middle, untaxed_pct) <= pages)
			poor = middle;
		else
			rich = middle;
	}
	/* What rounding leaves goes to the first who would have it at the next worth. */
	u64 sum = pages_of_all(vms, count, poor, untaxed_pct);
	u64 left = sum < pages ? pages - sum : 0;

	for (u32 i = 0; i < count; i++) {
		u64 here = pages_at(&vms[i], poor, untaxed_pct);
		u64 more = min(left, pages_at(&vms[i], rich, untaxed_pct) - here);

		vms[i].entitled = here + more;
		left -= more;
	}
}
