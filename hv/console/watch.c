/* Looks, rates, and what is said aloud when something lasts. */
#include "hv/console/watch.h"
#include "hv/console/console.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define LOOK_NS    2000000000ull
#define SECOND_NS  1000000000ull
#define GROWN_MOST (1ull << 33) /* that many seconds' ns fit in 64 bits */

typedef unsigned long long ull;

static u64 due_ns;

void watch_vm_began(struct vm *vm)
{
	memset(&vm->watch, 0, sizeof(vm->watch));
}

u32 watch_waited_permille(const struct vm *vm)
{
	return (u32)(vm->watch.rates[VM_WAITED_NS] / (SECOND_NS / 1000));
}

/* --- Looking --------------------------------------------------------------------------------- */

static void rates_note(struct vm_watch *w, u64 now, const u64 *counters)
{
	u64 passed_ns = now - w->seen_ns;

	for (u32 i = 0; i < VM_COUNTER_COUNT; i++) {
		/* The guest's own may be anything, and begin anew with its driver. */
		u64 grown = counters[i] > w->before[i] ? counters[i] - w->before[i] : 0;

		w->rates[i] = w->seen_ns && passed_ns
				      ? min(grown, GROWN_MOST) * SECOND_NS / passed_ns
				      : 0;
		w->before[i] = counters[i];
	}
	w->seen_ns = now;
}

/* What lasts is told once, and its end. */
static void say_aloud(struct vm *vm, u64 now)
{
	struct vm_watch *w = &vm->watch;
	u64 since;
	enum health_finding finding = health_find(&w->health, now, &since);
	bool lasts = finding == HEALTH_BALLOONED_LONG || finding == HEALTH_SWAPS_LONG ||
		     finding == HEALTH_BOTH_RISE;

	if (lasts && finding != w->told)
		log_warn("%s: %s, for %llu s: %s", vm_name(vm), health_what(finding),
			(ull)((now - since) / SECOND_NS), health_advice(finding));
	else if (!lasts && w->told)
		log_info("%s: no longer: %s", vm_name(vm), health_what(w->told));
	w->told = lasts ? finding : HEALTH_NOTHING;
}

static void look_at(struct vm *vm, u64 now)
{
	struct vm_watch *w = &vm->watch;
	struct vm_figures f;

	vm_figures_get(vm, &f);
	rates_note(w, now, f.counters);
	health_note(&w->health, now,
		&(struct health_sight){
			/* What is only still on its way back is taken by nobody. */
			.balloon_pages = min(f.balloon_pages, f.balloon_target_pages),
			.zip_rate = w->rates[VM_ZIPPED] + w->rates[VM_UNZIPPED],
			.swap_rate = w->rates[VM_SWAPPED_OUT] + w->rates[VM_SWAPPED_IN],
			.guest_paging_rate =
				w->rates[VM_GUEST_SWAPPED_OUT] + w->rates[VM_GUEST_SWAPPED_IN],
		});
	say_aloud(vm, now);
}

void watch_turn(u64 now)
{
	struct vm *vm;

	if (now < due_ns)
		return;
	due_ns = now + LOOK_NS;
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING)
			look_at(vm, now);
	}
}

/* --- The command ----------------------------------------------------------------------------- */

static enum health_grade print_host(void)
{
	static const char *const advice[] = {
		[HEALTH_AWESOME] = "there is memory for all",
		[HEALTH_GOOD] = "memory is getting short: balloons make room",
		[HEALTH_HMM] = "memory is short: start no more VMs",
		[HEALTH_OOPS] = "memory is nearly gone: stop or move a VM now",
	};
	struct memsched_snapshot host;

	memsched_snapshot_get(&host);
	enum health_grade grade = health_grade_of_state(host.state);

	console_printf("host: %s: memory is %s, %llu.%llu MiB are free of %llu.%llu, minFree is "
		       "%llu.%llu: %s\n",
		health_grade_name(grade), mem_state_name(host.state), MIB_OF(host.free_frames),
		MIB_OF(host.total_frames), MIB_OF(host.min_free_frames), advice[grade]);
	return grade;
}

static enum health_grade print_vm(const struct vm *vm, u64 now)
{
	u64 since;
	enum health_finding finding = health_find(&vm->watch.health, now, &since);
	enum health_grade grade = health_grade_of(finding);

	if (finding == HEALTH_NOTHING)
		console_printf("%s: %s: %s\n", vm_name(vm), health_grade_name(grade),
			health_what(finding));
	else
		console_printf("%s: %s: %s, for %llu s: %s\n", vm_name(vm),
			health_grade_name(grade), health_what(finding),
			(ull)((now - since) / SECOND_NS), health_advice(finding));
	return grade;
}

void command_health(u32 count, char **words)
{
	enum health_grade worst = print_host();
	u64 now = time_now_ns();
	const struct vm *vm;

	(void)count;
	(void)words;
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING)
			worst = max(worst, print_vm(vm, now));
	}
	console_printf("health: %s\n", health_grade_name(worst));
}
