/*
 * memtop: esxtop's memory columns, in MiB and MiB/s, rates as of watch.c's last look; latencies and
 * the guests' own paging; exits by reason.
 */
#include "hv/console/memtop.h"
#include "hv/console/console.h"
#include "hv/exit/exit.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

typedef unsigned long long ull;

#define CELL_BYTES 16u

/* A size in MiB with one decimal. */
static const char *mib(char *cell, u64 pages)
{
	fmt_snprintf(
		cell, CELL_BYTES, "%llu.%llu", (ull)(pages >> 8), (ull)((pages & 0xff) * 10 >> 8));
	return cell;
}

static void print_cells(const char *const *names, const u64 *pages, u32 count)
{
	char cell[CELL_BYTES];

	for (u32 i = 0; i < count; i++)
		console_printf(
			"%*s", (int)max((size_t)8, strlen(names[i]) + 1), mib(cell, pages[i]));
}

/* --- The host -------------------------------------------------------------------------------- */

static u64 rate_of_all(enum vm_counter counter)
{
	const struct vm *vm;
	u64 rate = 0;

	list_for_each_entry (vm, sched_vms(), all)
		rate += vm->state == VM_RUNNING ? vm->watch.rates[counter] : 0;
	return rate;
}

static u64 configured_pages(void)
{
	const struct vm *vm;
	u64 pages = 0;

	list_for_each_entry (vm, sched_vms(), all)
		pages += vm_is_on(vm) ? vm->config->memory_bytes >> PAGE_SHIFT : 0;
	return pages;
}

static void print_host(void)
{
	struct memsched_snapshot host;
	char cells[9][CELL_BYTES];

	memsched_snapshot_get(&host);
	u64 for_guests = host.total_frames - min(host.fixed_frames, host.total_frames - 1);
	u64 hundredths = configured_pages() * 100 / for_guests;

	console_printf("host: %s MiB, free %s, promised %s, overhead %s, minfree %s, state %s, "
		       "overcommit %llu.%02llu\n",
		mib(cells[0], host.total_frames), mib(cells[1], host.free_frames),
		mib(cells[2], host.promised_frames), mib(cells[3], host.overhead_frames),
		mib(cells[4], host.min_free_frames), mem_state_name(host.state),
		(ull)(hundredths / 100), (ull)(hundredths % 100));
	console_printf("MiB/s: ZIP %s, UNZIP %s, SWR %s, SWW %s\n",
		mib(cells[5], rate_of_all(VM_ZIPPED)), mib(cells[6], rate_of_all(VM_UNZIPPED)),
		mib(cells[7], rate_of_all(VM_SWAPPED_IN)),
		mib(cells[8], rate_of_all(VM_SWAPPED_OUT)));
}

/* --- VMs ------------------------------------------------------------------------------------- */

static const char *const columns[] = {"MEMSZ", "GRANT", "CNSM", "SHRD", "SHRDSVD", "COWH", "ZERO",
	"MCTLSZ", "MCTLTGT", "MCTLMAX", "SWCUR", "SWTGT", "SWR/s", "SWW/s", "CACHESZ", "CACHEUSD",
	"ZIP/s", "UNZIP/s", "OVHD", "ENTL"};

static void print_memory(const struct vm *vm, const struct vm_figures *f)
{
	const u64 *rates = vm->watch.rates;
	const u64 pages[ARRAY_COUNT(columns)] = {vm->config->memory_bytes >> PAGE_SHIFT,
		f->granted_pages, f->consumed_pages, f->shared_pages, f->shared_saved_pages,
		f->hint_pages, f->zero_pages, f->balloon_pages, f->balloon_target_pages,
		f->balloon_maximum_pages, f->swapped_pages, f->swap_target_pages,
		rates[VM_SWAPPED_IN], rates[VM_SWAPPED_OUT], f->cache_most_pages, f->cache_pages,
		rates[VM_ZIPPED], rates[VM_UNZIPPED], f->overhead_pages, f->entitled_pages};

	console_printf("%-16s", vm_name(vm));
	print_cells(columns, pages, ARRAY_COUNT(columns));
	console_printf("\n");
}

static void print_times(const struct vm *vm, const struct vm_figures *f)
{
	u64 active_pct = f->active_pages * 100 / (vm->config->memory_bytes >> PAGE_SHIFT);
	u32 permille = watch_waited_permille(vm);
	char cells[3][CELL_BYTES];
	u64 exits = 0;

	for (u32 kind = 0; kind < EXIT_KIND_COUNT; kind++)
		exits += f->exits[kind];
	console_printf("%-16s %6llu %4u.%u %8llu %8llu %8llu %8llu %8s %8s %8s %9llu %10llu\n",
		vm_name(vm), (ull)active_pct, permille / 10, permille % 10, (ull)f->swap_in_us[0],
		(ull)f->swap_in_us[1], (ull)f->disk_us[0], (ull)f->disk_us[1],
		mib(cells[0], vm->watch.rates[VM_GUEST_SWAPPED_IN]),
		mib(cells[1], vm->watch.rates[VM_GUEST_SWAPPED_OUT]),
		mib(cells[2], f->peak_consumed_pages), (ull)f->counters[VM_FAULTS], (ull)exits);
}

static void print_exits(const struct vm *vm, const struct vm_figures *f)
{
	char line[400];
	size_t at = 0;

	line[0] = '\0';
	for (u32 kind = 0; kind < EXIT_KIND_COUNT; kind++) {
		if (f->exits[kind] && at < sizeof(line) - 40)
			at += (size_t)fmt_snprintf(line + at, sizeof(line) - at, " %s=%llu",
				exit_kind_name(kind), (ull)f->exits[kind]);
	}
	console_printf("  %s:%s\n", vm_name(vm), at ? line : " none yet");
}

static void for_each(void (*print)(const struct vm *vm, const struct vm_figures *f))
{
	const struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		struct vm_figures f;

		vm_figures_get(vm, &f);
		print(vm, &f);
	}
}

void command_memtop(u32 count, char **words)
{
	(void)count;
	(void)words;
	print_host();
	console_printf("%-16s", "NAME");
	for (u32 i = 0; i < ARRAY_COUNT(columns); i++)
		console_printf("%*s", (int)max((size_t)8, strlen(columns[i]) + 1), columns[i]);
	console_printf("\n");
	for_each(print_memory);
	console_printf("%-16s %6s %6s %8s %8s %8s %8s %8s %8s %8s %9s %10s\n", "%; us; MiB/s; MiB",
		"%ACTV", "%SWPWT", "SWIN50", "SWIN99", "DISK50", "DISK99", "GSWIN/s", "GSWOUT/s",
		"PEAK", "FAULTS", "EXITS");
	for_each(print_times);
	console_printf("exits by reason:\n");
	for_each(print_exits);
}
