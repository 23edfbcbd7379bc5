/*
 * Which VM is scanned next, and how fast.
 *
 * VMs take turns. One that is scanned by command, or eagerly after its start, is limited by time
 * slices only; others earn pages by the configured rates. After a pass a VM rests: an unchanged VM
 * costs a walk over its entries a minute, and each page's hash once in SHARE_AGAIN_PASSES of these.
 */
#include "hv/memory/share.h"
#include "hv/console/console.h"
#include "hv/sched/sched.h"
#include "hv/memory/share_salt.h"
#include "hv/x86/cpu.h"
#include "hv/x86/paging.h"
#include "hv/x86/panic.h"
#include "hv/x86/smp.h"
#include "hv/x86/time.h"
#include "mm/share/share.h"
#include "mm/share/share_audit.h"
#include "mm/base/check.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define SLICE_NS          100000ull
#define NOW_SLICES        20u /* in a row, for a scan by command, or to unshare */
#define EAGER_NS          60000000000ull
#define EAGER_REST_NS     5000000000ull
#define REST_NS           60000000000ull
#define SECOND_NS         1000000000ull
#define NO_MEMORY_REST_NS 100000000ull
#define PASSES_BY_COMMAND 2u

typedef unsigned long long ull;

static struct vm *turn; /* whose turn was last; only compared */

static struct share_salts salts;

void share_start(void)
{
	const struct config *config = sched_config();
	u32 vm_count = config->vm_count;
	struct share_salt *vms = vm_count ? kmem_alloc(vm_count * sizeof(*vms)) : NULL;

	if (vm_count && !vms)
		panic("no memory for the salts of %u VMs", vm_count);
	share_salts_init(&salts, vms, vm_count);
	if (share_salts_update(&salts, config, false) != 0)
		CHECK(!"numbers that nobody has had cannot be used up");
	if (!share_is_keyed())
		log_warn(
			"page sharing: no random numbers on this machine, so only zero pages are shared");
}

void share_vm_began(struct vm *vm)
{
	memset(&vm->share, 0, sizeof(vm->share));
	vm->share.began_ns = vm->share.earned_ns = time_now_ns();
}

static bool is_eager(const struct vm *vm, u64 now)
{
	return vm->share.passes_wanted || now - vm->share.began_ns < EAGER_NS;
}

/* --- Rates ----------------------------------------------------------------------------------- */

static u64 all_pages(void)
{
	const struct vm *vm;
	u64 pages = 0;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING && vm->space->share.salt)
			pages += vm->space->page_count;
	}
	return pages;
}

/* Pages that @vm may have hashed by now; what it does not use is worth a second at most. */
static u64 earn(struct vm *vm, u64 now)
{
	const struct host_config *host = &sched_config()->host;
	struct share_rate_limits limits = {host->share_scan_time_min,
		host->share_scan_mib_s_per_ghz, host->share_rate_max_pages_s};
	u64 rate = share_rate_pages_s(
		&limits, vm->space->page_count, all_pages(), time_tsc_khz(), smp_online_count());
	u64 passed_ns = min(now - vm->share.earned_ns, SECOND_NS);
	u64 earned = rate * passed_ns / SECOND_NS;

	if (earned) {
		vm->share.credit_pages = min(vm->share.credit_pages + earned, rate);
		vm->share.earned_ns = now;
	}
	return vm->share.credit_pages;
}

/* --- Slices ---------------------------------------------------------------------------------- */

static void say_done(const struct vm *vm)
{
	const struct space_stats s = space_stats(vm->space);

	log_info("%s: scanned for sharing: %llu hashed, %llu shared, %llu zero, in %llu ms",
		vm_name(vm), (ull)s.share_hashed, (ull)(s.share_merged_own + s.share_merged_other),
		(ull)s.share_zeroed, (ull)(s.share_ns / 1000000));
}

static void pass_ended(struct vm *vm, u64 now)
{
	vm->share.rest_until_ns = now + (is_eager(vm, now) ? EAGER_REST_NS : REST_NS);
	if (vm->share.passes_wanted && --vm->share.passes_wanted == 0)
		say_done(vm);
}

/* A rate of 0 goes for eager scans too. */
static bool is_switched_off(void)
{
	const struct host_config *host = &sched_config()->host;

	return host->share_scan_mib_s_per_ghz == 0 || host->share_rate_max_pages_s == 0;
}

/* Whether there was work. */
static bool scan_slice(struct vm *vm)
{
	u64 now = time_now_ns(), most = ~0ull;

	if (!vm->share.passes_wanted && (now < vm->share.rest_until_ns || is_switched_off()))
		return false;
	if (!is_eager(vm, now)) {
		most = earn(vm, now);
		if (most == 0)
			return false;
	}
	struct share_progress done = share_scan(vm->space, most, SLICE_NS);

	vm->share.credit_pages -= min(vm->share.credit_pages, done.hashed);
	if (done.pass_ended)
		pass_ended(vm, time_now_ns());
	return true;
}

/* Whatever rates and rests say: an administrator waits for it. */
static bool unshare_slice(struct vm *vm)
{
	u64 now = time_now_ns();

	if (now < vm->share.unshare_again_ns)
		return false;
	vm->share.no_memory = share_scan(vm->space, 1, SLICE_NS).no_memory;
	if (vm->share.no_memory)
		vm->share.unshare_again_ns = time_now_ns() + NO_MEMORY_REST_NS;
	if (!share_is_unsharing(vm->space))
		log_info(
			"%s: unshared: it shares no page under its former salt any more, after %llu ms",
			vm_name(vm), (ull)((time_now_ns() - vm->share.began_ns) / 1000000));
	return true;
}

static bool slice(struct vm *vm)
{
	return share_is_unsharing(vm->space) ? unshare_slice(vm) : scan_slice(vm);
}

static bool wants_slice(const struct vm *vm, bool by_command)
{
	if (vm->state != VM_RUNNING || vm_is_ending(vm))
		return false;
	return share_is_unsharing(vm->space) ||
	       (vm->space->share.salt && (!by_command || vm->share.passes_wanted));
}

/* The VM behind the one that had its turn last, among those that want it. */
static bool next_slice(bool by_command)
{
	struct vm *vm, *first = NULL, *after = NULL;
	bool passed = false;

	list_for_each_entry (vm, sched_vms(), all) {
		if (wants_slice(vm, by_command)) {
			first = first ? first : vm;
			after = passed && !after ? vm : after;
		}
		passed = passed || vm == turn;
	}
	turn = after ? after : first;
	return turn && slice(turn);
}

static bool any_by_command(void)
{
	const struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (wants_slice(vm, true))
			return true;
	}
	return false;
}

static u32 vm_count(void)
{
	const struct vm *vm;
	u32 count = 0;

	list_for_each_entry (vm, sched_vms(), all)
		count++;
	return count;
}

bool share_slice(void)
{
	bool worked = false;

	for (u32 i = 0; i < NOW_SLICES && any_by_command(); i++)
		worked = next_slice(true) || worked;
	/* The first that has something to do. */
	for (u32 i = vm_count(); i && !worked; i--)
		worked = next_slice(false);
	return worked;
}

/* --- Changes at run time --------------------------------------------------------------------- */

u32 share_salt_of(const struct vm *vm)
{
	return salts.vms[vm->config - sched_config()->vms].number;
}

static bool any_is_unsharing(void)
{
	const struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm_is_on(vm) && share_is_unsharing(vm->space))
			return true;
	}
	return false;
}

/* The pages that it may share from now on are looked for as eagerly as after its start. */
static void begin_anew(struct vm *vm)
{
	share_set_salt(vm->space, share_salt_of(vm));
	vm->share.began_ns = time_now_ns();
	vm->share.rest_until_ns = vm->share.unshare_again_ns = 0;
}

err_t share_salts_changed(struct vm *changed, char *why, size_t why_bytes)
{
	err_t err = share_salts_update(&salts, sched_config(), any_is_unsharing());
	struct vm *vm;

	(void)changed;
	if (err) {
		fmt_snprintf(why, why_bytes,
			"salts changed too often; again when no VM is being unshared");
		return err;
	}
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm_is_on(vm) && vm->space->share.salt != share_salt_of(vm))
			begin_anew(vm);
	}
	return 0;
}

const char *share_note(const struct vm *vm)
{
	if (vm->state != VM_RUNNING || !share_is_unsharing(vm->space))
		return "";
	return vm->share.no_memory ? "unsharing; waits for free memory" : "unsharing";
}

/* --- The command ----------------------------------------------------------------------------- */

static void print_sharing(const struct vm *vm)
{
	struct share_figures f;

	share_figures_get(vm->space, &f);
	console_printf(
		"%-16s %6llu.%llu %6llu.%llu %6llu.%llu %6llu.%llu %6llu.%llu %6llu.%llu %6llu\n",
		vm_name(vm), MIB_OF(f.shared_pages), MIB_OF(f.saved_millipages / 1000),
		MIB_OF(f.hint_pages), MIB_OF(f.zero_pages), MIB_OF(f.own_pages),
		MIB_OF(f.other_pages), (ull)vm->space->share.passes);
}

static void print_work(const struct vm *vm)
{
	const struct space_stats s = space_stats(vm->space);

	console_printf(
		"  %s: scanned=%llu unchanged=%llu hashed=%llu compared=%llu merged-own=%llu "
		"merged-other=%llu zeroed=%llu taken=%llu copied=%llu ms=%llu\n",
		vm_name(vm), (ull)s.share_visited, (ull)s.share_unchanged, (ull)s.share_hashed,
		(ull)s.share_compared, (ull)s.share_merged_own, (ull)s.share_merged_other,
		(ull)s.share_zeroed, (ull)s.share_taken, (ull)s.share_copied,
		(ull)(s.share_ns / 1000000));
	console_printf("    refused:");
	for (u32 why = 0; why < SHARE_REFUSED_COUNT; why++)
		console_printf(" %s=%llu", share_refusal_name((enum share_refusal)why),
			(ull)s.share_refused[why]);
	console_printf("\n    2 MiB pages: now=%llu split=%llu joined=%llu, moving %llu pages\n",
		(ull)s.large_leaves, (ull)s.splits, (ull)s.joins, (ull)s.join_moves);
}

static void show(void)
{
	const struct vm *vm;

	console_printf("%-16s %8s %8s %8s %8s %8s %8s %6s  (MiB)\n", "NAME", "SHRD", "SHRDSVD",
		"COWH", "ZERO", "OWN", "OTHERS'", "PASSES");
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING)
			print_sharing(vm);
	}
	console_printf("work:\n");
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING)
			print_work(vm);
	}
}

static void audit(void)
{
	struct share_audit a;
	err_t err = share_audit(&a);

	if (err) {
		console_printf("no memory for the audit's list of pages\n");
		return;
	}
	u64 permille = a.alike_pages ? a.shared_pages * 1000 / a.alike_pages : 1000;

	console_printf(
		"share audit: %llu pages quiet, %llu alike, %llu of them shared: %llu.%llu%%; "
		"%llu saved of %llu; %llu shared under a former salt\n",
		(ull)a.quiet_pages, (ull)a.alike_pages, (ull)a.shared_pages, (ull)(permille / 10),
		(ull)(permille % 10), (ull)a.saved_pages, (ull)a.possible_pages,
		(ull)a.stray_pages);
}

static void scan_now(const char *name)
{
	bool all = strcmp(name, "all") == 0, found = false;
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state != VM_RUNNING || (!all && strcmp(vm_name(vm), name) != 0))
			continue;
		found = true;
		if (vm->space->share.salt)
			vm->share.passes_wanted = PASSES_BY_COMMAND;
		else
			console_printf(
				"%s shares no pages (sched.mem.pshare.enable)\n", vm_name(vm));
	}
	if (!found)
		console_printf("no running VM is called \"%s\"\n", name);
}

void command_share(u32 count, char **words)
{
	if (count == 1)
		show();
	else if (count == 2 && strcmp(words[1], "audit") == 0)
		audit();
	else if (count == 4 && strcmp(words[1], "scan") == 0 && strcmp(words[2], "now") == 0)
		scan_now(words[3]);
	else
		console_printf("share, share scan now NAME|all, or share audit\n");
}
