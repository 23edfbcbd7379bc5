/* Pins: what the hypervisor and devices hold while everything goes on around them. See vms.h. */
#include "tests/model/vms_private.h"

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

void pins_orphan(u32 vm)
{
	for (u32 i = 0; i < PINS_MAX; i++) {
		struct pin *pin = &world.pins[i];

		if (!pin->used || pin->vm != vm)
			continue;
		pin_orphan(pin);
		pin->vm = VMS_MAX;
	}
}

void pins_orphan_page(u32 vm, gfn_t gfn)
{
	for (u32 i = 0; i < PINS_MAX; i++) {
		struct pin *pin = &world.pins[i];

		if (pin->used && pin->vm == vm && pin->gfn.v == gfn.v)
			pin_orphan(pin);
	}
}

void pin_check(const struct pin *pin)
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

/* A device writes the whole page: with what compresses, what does not, or one value. */
static void pin_fill(struct pin *pin)
{
	u64 kind = below(3), value = below(3) * 0x100000001ull;
	u8 bytes[PAGE_BYTES];

	for (u64 at = 0; at < PAGE_BYTES; at += 8) {
		if (kind == 0)
			value = rng_next(&world.rng);
		else if (kind == 1)
			value = at / 64;
		memcpy(bytes + at, &value, 8);
	}
	memcpy(platform_frame_va(pin->pfn), bytes, PAGE_BYTES);
	if (!pin->orphan) {
		struct vm *vm = &world.vms[pin->vm];

		memcpy(model_page(vm, space_page_index(vm->space, pin->gfn), true), bytes,
			PAGE_BYTES);
	}
	for (u32 i = 0; i < PINS_MAX; i++) {
		if (world.pins[i].orphan && world.pins[i].pfn.v == pin->pfn.v)
			memcpy(world.pins[i].orphan, bytes, PAGE_BYTES);
	}
}

static void pin_write(struct pin *pin)
{
	u64 at = below(PAGE_BYTES / 8) * 8, value = rng_next(&world.rng);

	if (!pin->write)
		return;
	if (options->reclaim && chance(70)) {
		pin_fill(pin);
		return;
	}
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

void pin_drop(struct pin *pin)
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

void step_pin(struct vm *vm)
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
	bool write = chance(60), overwrite = options->reclaim && write && chance(30);

	switch (overwrite ? space_pin_overwrite(vm->space, gfn, &pin->pfn)
			  : space_pin(vm->space, gfn, write, &pin->pfn)) {
	case E_OK:
		page_used(vm, index);
		break;
	case E_NOMEM:
		out_of_frames(vm);
		return;
	case E_WAIT:
		out_waited();
		return;
	case E_CORRUPT:
		out_lost(vm);
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
	if (overwrite)
		pin_fill(pin);
	pin_write(pin);
}
