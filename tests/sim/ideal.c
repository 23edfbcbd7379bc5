/*
 * Everyone's pages grow in straight lines with 1/rho, between three bends: where his reservation is
 * paid for, where his active pages are, where his ceiling is. So all bends are sorted, the two
 * between which the sum of all is reached are found, and between these the answer is a proportion.
 */
#include "tests/sim/ideal.h"
#include <stdlib.h>

static double pages_for(const struct mem_vm *vm, double funds, double idle_price)
{
	double active = (double)vm->active;
	double pages = funds <= active ? funds : active + (funds - active) / idle_price;

	if (pages < (double)vm->claims.reservation)
		return (double)vm->claims.reservation;
	return pages > (double)vm->ceiling ? (double)vm->ceiling : pages;
}

static double price_of(const struct mem_vm *vm, double pages, double idle_price)
{
	double active = (double)vm->active;

	return (pages <= active ? pages : active + (pages - active) * idle_price) /
	       (double)vm->claims.shares;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double sum_at(const struct mem_vm *vms, u32 count, double worth, double idle_price)
{
	double sum = 0;

	for (u32 i = 0; i < count; i++)
		sum += pages_for(&vms[i], worth * (double)vms[i].claims.shares, idle_price);
	return sum;
}

void ideal_division(
	const struct mem_vm *vms, u32 count, u64 pages, u32 tax_pct, double *out, double *bends)
{
	double idle_price = 100.0 / (100 - tax_pct), worth = 0;
	u32 from = 0, to = 3 * count;

	for (u32 i = 0; i < count; i++) {
		bends[3 * i] = price_of(&vms[i], (double)vms[i].claims.reservation, idle_price);
		bends[3 * i + 1] = price_of(&vms[i], (double)vms[i].active, idle_price);
		bends[3 * i + 2] = price_of(&vms[i], (double)vms[i].ceiling, idle_price);
	}
	qsort(bends, 3 * count, sizeof(*bends), by_size);
	/* The first bend at which the sum exceeds what there is. */
	while (from < to) {
		u32 middle = from + (to - from) / 2;

		if (sum_at(vms, count, bends[middle], idle_price) > (double)pages)
			to = middle;
		else
			from = middle + 1;
	}
	if (to == 3 * count) {
		worth = count ? bends[to - 1] : 0;
	} else {
		double low = to ? bends[to - 1] : 0, high = bends[to];
		double sum_low = sum_at(vms, count, low, idle_price),
		       sum_high = sum_at(vms, count, high, idle_price);
		double part = ((double)pages - sum_low) / (sum_high - sum_low);

		worth = part > 0 ? low + (high - low) * part : low;
	}
	for (u32 i = 0; i < count; i++)
		out[i] = pages_for(&vms[i], worth * (double)vms[i].claims.shares, idle_price);
}
