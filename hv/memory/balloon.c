/*
 * The balloon's hypercalls. Every number is hostile: a list is copied once into the VM's own record
 * before anything in it is believed, sizes are bounded before they are used, and what a call may
 * cost is bounded twice: by the work of one, and by how many are served a second. What is beyond
 * that is answered E_AGAIN at the price of the exit, on the guest's own slice.
 */
#include "hv/memory/balloon.h"
#include "hv/abi/hypercall.h"
#include "hv/memory/guest_mem.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/vm/vm_promise.h"
#include "hv/x86/time.h"
#include "mm/balloon/balloon.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define CALLS_PER_S     2000u
#define CALLS_AT_ONCE   4000u
#define LARGE_AT_ONCE   8u  /* entries of 2 MiB that one call may take */
#define REGIONS_AT_ONCE 64u /* looked at by one HELLO or GOODBYE */

typedef unsigned long long ull;

void balloon_began(struct vm *vm)
{
	struct vm_balloon *b = &vm->balloon;
	u64 asked_pages = b->asked_pages;

	memset(b, 0, sizeof(*b));
	b->asked_pages = asked_pages;
}

static s64 error_number(err_t err)
{
	switch (err) {
	case E_OK:
		return 0;
	case E_RANGE:
		return BELLOWS_HC_E_RANGE;
	case E_EXIST:
		return BELLOWS_HC_E_EXIST;
	case E_NOTFOUND:
		return BELLOWS_HC_E_NOTFOUND;
	case E_WAIT:
	case E_NOMEM:
	case E_BUSY:
		return BELLOWS_HC_E_AGAIN; /* the page that was to be read is not to be had now */
	default:
		return BELLOWS_HC_E_INVALID;
	}
}

/* --- Coming and going ------------------------------------------------------------------------ */

/* Whether all that an earlier driver left is given back. */
static bool release(struct vm *vm)
{
	struct vm_balloon *b = &vm->balloon;

	if (!balloon_release(vm->space, &b->release_cursor, REGIONS_AT_ONCE))
		return false;
	b->release_cursor = 0;
	return true;
}

static s64 call_hello(struct vm *vm, const u64 *gpr)
{
	struct vm_balloon *b = &vm->balloon;

	b->driver = false;
	if (!release(vm))
		return BELLOWS_HC_E_AGAIN;
	b->kind = (u32)gpr[GPR_RBX];
	b->driver_version = (u32)(gpr[GPR_RBX] >> 32);
	b->os_minimum_pages = gpr[GPR_RCX];
	b->swap_pages = gpr[GPR_RDX];
	b->flags = gpr[GPR_RSI];
	b->stats_known = false;
	/* What it began without is in its balloon from the first moment, as far as it can be. */
	b->pace = (struct balloon_pace){
		vm->space->page_count - vm->memory.granted_pages, time_now_ns()};
	b->heard_ns = b->kept_up_ns = time_now_ns();
	b->driver = true;
	/* A guest that says hello for ever is not to fill the log. */
	if (b->hellos++ == 0)
		log_info("%s: balloon driver %u.%u, the OS needs %llu MiB, swap space %llu MiB",
			vm_name(vm), b->driver_version >> 16, b->driver_version & 0xffff,
			(ull)(b->os_minimum_pages >> 8), (ull)(b->swap_pages >> 8));
	return 0;
}

static s64 call_goodbye(struct vm *vm)
{
	vm->balloon.driver = false;
	vm->balloon.pace.target_pages = 0;
	return release(vm) ? 0 : BELLOWS_HC_E_AGAIN;
}

/* --- What the driver asks and tells ---------------------------------------------------------- */

u64 balloon_maximum_of(const struct vm *vm, enum balloon_limit *which)
{
	const struct host_config *host = &sched_config()->host;
	const struct vm_config *config = vm->config;
	const struct vm_balloon *b = &vm->balloon;
	u64 memory_pages = vm->space->page_count;
	struct balloon_bounds bounds = {
		.memory_pages = memory_pages,
		.maxmemctl_pages = config->balloon_max.pct
					   ? memory_pages * config->balloon_max.pct / 100
					   : config->balloon_max.bytes >> PAGE_SHIFT,
		.ctl_max_pct = host->ctl_max_pct,
		.reservation_pages =
			max(config->reservation_bytes, config->min_bytes) >> PAGE_SHIFT,
		.os_minimum_pages = b->os_minimum_pages,
		.slack_pages = host->balloon_max_slack_bytes >> PAGE_SHIFT,
		.room_known = b->stats_known,
		.size_pages = balloon_pages(vm->space),
		/* Its page cache can be had without swapping, and is free as far as that goes. */
		.guest_free_pages = max(b->stats.free_pages, b->stats.available_pages),
		.guest_swap_free_pages = b->stats.swap_free_pages,
	};

	return balloon_maximum(&bounds, which);
}

static u64 held_pages(const struct vm *vm)
{
	return vm->space->page_count - balloon_pages(vm->space);
}

void balloon_promise(struct vm *vm)
{
	if (vm_is_promised_all(vm))
		vm_promise_move(vm, min(held_pages(vm), vm_allowed_pages(vm)));
}

u64 balloon_floor_of(const struct vm *vm)
{
	u64 memory_pages = vm->space->page_count, most;

	if (!vm_is_promised_all(vm))
		return 0; /* it was never promised more than that */
	most = vm_promise_most(vm);
	return most < memory_pages ? memory_pages - most : 0;
}

static s64 call_target(const struct vm *vm, u64 what)
{
	enum balloon_limit which;

	switch (what) {
	case BELLOWS_BALLOON_ASK_TARGET:
		return (s64)vm->balloon.pace.target_pages;
	case BELLOWS_BALLOON_ASK_MAXIMUM:
		return (s64)balloon_maximum_of(vm, &which);
	case BELLOWS_BALLOON_ASK_SIZE:
		return (s64)balloon_pages(vm->space);
	case BELLOWS_BALLOON_ASK_HELD:
		return (s64)balloon_floor_of(vm);
	default:
		return BELLOWS_HC_E_INVALID;
	}
}

static s64 call_stats(struct vm *vm, u64 address)
{
	struct bellows_balloon_stats stats;

	if (!IS_ALIGNED(address, PAGE_BYTES))
		return BELLOWS_HC_E_INVALID;
	err_t err = guest_mem_read(vm->space, GPA(address), &stats, sizeof(stats));

	if (err)
		return error_number(err);
	vm->balloon.stats = stats;
	vm->balloon.flags = stats.flags;
	vm->balloon.stats_known = true;
	return 0;
}

/* --- Pages ----------------------------------------------------------------------------------- */

/* Read the list once. */
static s64 list_read(struct vm *vm, u64 address, u64 count, u64 order)
{
	if (!IS_ALIGNED(address, PAGE_BYTES) || count == 0 || count > BELLOWS_BALLOON_LIST_MAX ||
		(order != BELLOWS_BALLOON_ORDER_4K && order != BELLOWS_BALLOON_ORDER_2M))
		return BELLOWS_HC_E_INVALID;
	return error_number(guest_mem_read(
		vm->space, GPA(address), vm->balloon.list, count * sizeof(vm->balloon.list[0])));
}

/* How many entries the balloon may take before it is too far above its target. */
static u64 room(const struct vm *vm, u32 order)
{
	u64 most = vm->balloon.pace.target_pages + BELLOWS_BALLOON_OVERSHOOT;
	u64 size = balloon_pages(vm->space);

	return size < most ? (most - size) >> order : 0;
}

/* Of so many entries, how many may leave the balloon: those that the VM can be promised again. */
static u64 returnable(struct vm *vm, u64 count, u32 order)
{
	u64 held = held_pages(vm), wanted = min(held + (count << order), vm_allowed_pages(vm));

	if (!vm_is_promised_all(vm) || vm->admitted.promised_frames >= wanted)
		return count;
	u64 promised = vm_promise_move(vm, wanted);

	if (promised >= wanted)
		return count;
	return promised > held ? (promised - held) >> order : 0;
}

static s64 call_move(struct vm *vm, bool inflate, const u64 *gpr)
{
	u64 count = gpr[GPR_RCX];
	u32 order = (u32)gpr[GPR_RDX], taken;
	s64 error = list_read(vm, gpr[GPR_RBX], count, gpr[GPR_RDX]);
	err_t why;

	if (error)
		return error;
	if (order)
		count = min(count, (u64)LARGE_AT_ONCE);
	count = inflate ? min(count, room(vm, order)) : returnable(vm, count, order);
	if (count == 0)
		return BELLOWS_HC_E_LIMIT;
	if (inflate)
		taken = balloon_inflate(vm->space, vm->balloon.list, (u32)count, order, &why);
	else
		taken = balloon_deflate(vm->space, vm->balloon.list, (u32)count, order, &why);
	/* Not for a moment may a list of lies cost others what they could be promised. */
	if (!inflate)
		balloon_promise(vm);
	return taken ? (s64)taken : error_number(why);
}

/* --- Dispatch -------------------------------------------------------------------------------- */

static s64 call(struct vm *vm, u64 number, const u64 *gpr)
{
	struct vm_balloon *b = &vm->balloon;
	u64 now = time_now_ns();

	if (!balloon_bucket_take(&b->calls, now, CALLS_PER_S, CALLS_AT_ONCE)) {
		b->refused_calls++;
		return BELLOWS_HC_E_AGAIN;
	}
	if (number == BELLOWS_HC_BALLOON_HELLO)
		return call_hello(vm, gpr);
	if (number == BELLOWS_HC_BALLOON_GOODBYE)
		return call_goodbye(vm);
	if (!b->driver)
		return BELLOWS_HC_E_STATE;
	b->heard_ns = now;
	switch (number) {
	case BELLOWS_HC_BALLOON_TARGET:
		return call_target(vm, gpr[GPR_RBX]);
	case BELLOWS_HC_BALLOON_INFLATE:
		return call_move(vm, true, gpr);
	case BELLOWS_HC_BALLOON_DEFLATE:
		return call_move(vm, false, gpr);
	case BELLOWS_HC_BALLOON_STATS:
		return call_stats(vm, gpr[GPR_RBX]);
	default:
		return BELLOWS_HC_E_UNKNOWN;
	}
}

s64 balloon_call(struct vm *vm, u64 number, const u64 *gpr)
{
	s64 answer;

	spin_lock(&vm->lock);
	answer = call(vm, number, gpr);
	spin_unlock(&vm->lock);
	return answer;
}
