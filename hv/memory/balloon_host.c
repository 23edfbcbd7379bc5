/*
 * The host's side of the balloons: ten times a second each target takes a step towards what is
 * asked for by the administrator or the memory scheduler, whoever wants more, and a guest whose
 * target is another now gets an interrupt. What a VM without a reservation has given up is promised
 * to it no longer, so that another may start with it; where one has, that much stays in the
 * balloon.
 */
#include "hv/memory/balloon.h"
#include "hv/console/console.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"
#include "mm/balloon/balloon.h"
#include "mm/base/fmt.h"
#include "mm/base/ini.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/memsched/memsched.h"

#define STEP_NS      100000000ull
#define SECOND_NS    1000000000ull
#define STATUS_BYTES 100

typedef unsigned long long ull;

static u64 due_ns;

/* --- Targets --------------------------------------------------------------------------------- */

static struct balloon_rates rates_now(void)
{
	const struct host_config *host = &sched_config()->host;

	return balloon_rates(host->balloon_inflate_pages_s, host->balloon_deflate_pages_s,
		memsched_state() >= MEM_HARD);
}

/* By the administrator, or by the memory scheduler. */
static u64 asked(const struct vm *vm)
{
	return max(vm->balloon.asked_pages, vm->memory.balloon_pages);
}

/* A rising edge on the device's line: see the DSDT. */
static void signal_guest(struct vm *vm)
{
	vm->balloon.signals++;
	vdev_gsi(vm->vdev, BELLOWS_BALLOON_GSI, true);
	vdev_gsi(vm->vdev, BELLOWS_BALLOON_GSI, false);
}

static void target_move(struct vm *vm, u64 now, const struct balloon_rates *rates)
{
	struct vm_balloon *b = &vm->balloon;
	u64 size = balloon_pages(vm->space);
	enum balloon_limit which;
	u64 maximum = balloon_maximum_of(vm, &which);
	u64 wanted = balloon_wanted(asked(vm), balloon_floor_of(vm), maximum);

	if (balloon_pace_move(&b->pace, now, size, wanted, rates))
		signal_guest(vm);
	if (balloon_keeps_up(size, b->pace.target_pages, wanted, rates->inflate_pages_s))
		b->kept_up_ns = now;
}

void balloon_work(u64 now)
{
	struct vm *vm;

	if (now < due_ns)
		return;
	due_ns = now + STEP_NS;
	struct balloon_rates rates = rates_now();

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state != VM_RUNNING || vm_is_ending(vm))
			continue;
		spin_lock(&vm->lock);
		if (vm->balloon.driver)
			target_move(vm, now, &rates);
		balloon_promise(vm);
		spin_unlock(&vm->lock);
	}
}

/* --- The command ----------------------------------------------------------------------------- */

enum balloon_status balloon_status_of(const struct vm *vm, u64 *since_ns)
{
	const struct vm_balloon *b = &vm->balloon;
	enum balloon_limit which;
	struct balloon_sight sight = {
		.driver = b->driver,
		.disabled = b->flags & BELLOWS_BALLOON_DISABLED,
		.backing_off = b->flags & BELLOWS_BALLOON_BACKOFF,
		.now_ns = time_now_ns(),
		.heard_ns = b->heard_ns,
		.kept_up_ns = b->kept_up_ns,
		.size_pages = balloon_pages(vm->space),
		.target_pages = b->pace.target_pages,
		.asked_pages = asked(vm),
		.floor_pages = balloon_floor_of(vm),
		.maximum_pages = balloon_maximum_of(vm, &which),
	};

	return balloon_status(&sight, since_ns);
}

static void status_text(const struct vm *vm, enum balloon_limit which, char *text)
{
	u64 since_ns;
	enum balloon_status status = balloon_status_of(vm, &since_ns);

	if (status == BALLOON_AT_MAXIMUM)
		fmt_snprintf(text, STATUS_BYTES, "%s (%s)", balloon_status_name(status),
			balloon_limit_name(which));
	else if (since_ns)
		fmt_snprintf(text, STATUS_BYTES, "%s for %llu s", balloon_status_name(status),
			(ull)((time_now_ns() - since_ns) / SECOND_NS));
	else
		fmt_snprintf(text, STATUS_BYTES, "%s", balloon_status_name(status));
}

static void print_balloon(struct vm *vm)
{
	const struct space_stats s = space_stats(vm->space);
	const struct vm_balloon *b = &vm->balloon;
	char status[STATUS_BYTES];
	enum balloon_limit which;

	spin_lock(&vm->lock);
	u64 maximum = balloon_maximum_of(vm, &which);

	status_text(vm, which, status);
	spin_unlock(&vm->lock);
	console_printf("%-16s %7llu.%llu %7llu.%llu %7llu.%llu %7llu.%llu %8llu %8llu  %s\n",
		vm_name(vm), MIB_OF(b->asked_pages), MIB_OF(balloon_pages(vm->space)),
		MIB_OF(b->pace.target_pages), MIB_OF(maximum), (ull)s.balloon_touched,
		(ull)b->refused_calls, status);
}

static void print_guest(const struct vm *vm)
{
	const struct vm_balloon *b = &vm->balloon;

	console_printf("  %s: free=%llu available=%llu swap-free=%llu swap-in=%llu swap-out=%llu "
		       "major-faults=%llu oom=%llu killed=%llu self-deflated=%llu balloon=%llu\n",
		vm_name(vm), (ull)b->stats.free_pages, (ull)b->stats.available_pages,
		(ull)b->stats.swap_free_pages, (ull)b->stats.swap_in_pages,
		(ull)b->stats.swap_out_pages, (ull)b->stats.major_faults, (ull)b->stats.oom_events,
		(ull)b->stats.oom_kills, (ull)b->stats.self_deflated_pages,
		(ull)b->stats.balloon_pages);
}

static void show(void)
{
	struct vm *vm;

	console_printf("%-16s %9s %9s %9s %9s %8s %8s  %s\n", "NAME", "ASKED", "MCTLSZ", "MCTLTGT",
		"MCTLMAX", "TOUCHED", "REFUSED", "STATUS");
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING)
			print_balloon(vm);
	}
	console_printf("the guests' own words, in pages:\n");
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING && vm->balloon.stats_known)
			print_guest(vm);
	}
}

static void ask(const char *name, const char *size)
{
	struct vm *vm = sched_find_vm(name);
	enum balloon_limit which;
	u64 bytes = 0;

	if (!vm || vm->state != VM_RUNNING) {
		console_printf("no running VM is called \"%s\"\n", name);
		return;
	}
	if (strcmp(size, "off") != 0 &&
		ini_parse_bytes((struct ini_str){size, strlen(size)}, &bytes) != 0) {
		console_printf("balloon NAME SIZE (such as 64M), or balloon NAME off\n");
		return;
	}
	spin_lock(&vm->lock);
	vm->balloon.asked_pages = bytes >> PAGE_SHIFT;
	memsched_decide_soon();
	u64 maximum = balloon_maximum_of(vm, &which), floor = balloon_floor_of(vm);

	spin_unlock(&vm->lock);
	if (!vm->balloon.driver)
		console_printf("%s: has no balloon driver (yet)\n", name);
	else if (bytes >> PAGE_SHIFT < floor)
		console_printf(
			"%s: its balloon cannot fall below %llu.%llu MiB now: that memory is promised "
			"to others\n",
			name, MIB_OF(floor));
	else if (bytes >> PAGE_SHIFT > maximum)
		console_printf("%s: its balloon takes %llu.%llu MiB at most: %s\n", name,
			MIB_OF(maximum), balloon_limit_name(which));
}

void command_balloon(u32 count, char **words)
{
	if (count == 1)
		show();
	else if (count == 3)
		ask(words[1], words[2]);
	else
		console_printf("balloon, balloon NAME SIZE, or balloon NAME off\n");
}
