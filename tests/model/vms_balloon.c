/* Guests' balloons: lists of pages given up and taken back, some of them lies. See vms.h. */
#include "tests/model/vms_private.h"
#include "mm/balloon/balloon.h"

#define LIST_MAX        100u
#define SPACE_PAGES_MAX 4096u

static void ballooned_set(struct vm *vm, u64 index, bool ballooned)
{
	vm->ballooned_count += (u64)ballooned - vm->ballooned[index];
	vm->ballooned[index] = ballooned;
}

void page_used(struct vm *vm, u64 index)
{
	world.touched += vm->ballooned[index];
	ballooned_set(vm, index, false);
}

static void page_lost(struct vm *vm, u64 index)
{
	pins_orphan_page((u32)(vm - world.vms), space_page_gfn(vm->space, index));
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

void step_balloon(struct vm *vm)
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
