/* Sizes in bytes, times in their unit, counters as they are: whoever reads them makes the rates. */
#include "hv/monitor/monitor_stats.h"
#include "hv/vm/vm.h"
#include "hv/console/watch.h"
#include "hv/x86/time.h"
#include "mm/memsched/memsched.h"

static void put_pages(struct json_write *j, const char *key, u64 pages)
{
	json_write_u64(j, key, pages << PAGE_SHIFT);
}

void monitor_stats_host(struct json_write *j)
{
	struct memsched_snapshot host;

	memsched_snapshot_get(&host);
	json_write_u64(j, "time_ms", time_now_ns() / 1000000);
	json_write_string(j, "state", mem_state_name(host.state));
	json_write_u64(
		j, "state_s", (time_now_ns() - memsched_figures()->state_since_ns) / 1000000000);
	put_pages(j, "memory_bytes", host.total_frames);
	put_pages(j, "free_bytes", host.free_frames);
	put_pages(j, "min_free_bytes", host.min_free_frames);
	put_pages(j, "promised_bytes", host.promised_frames);
	put_pages(j, "overhead_bytes", host.overhead_frames);
	put_pages(j, "hypervisor_bytes", host.fixed_frames);
}

static void put_sizes(struct json_write *j, const struct vm_figures *f)
{
	const struct {
		const char *key;
		u64 pages;
	} sizes[] = {
		{"granted_bytes", f->granted_pages},
		{"consumed_bytes", f->consumed_pages},
		{"zero_bytes", f->zero_pages},
		{"shared_bytes", f->shared_pages},
		{"shared_saved_bytes", f->shared_saved_pages},
		{"hint_bytes", f->hint_pages},
		{"balloon_bytes", f->balloon_pages},
		{"balloon_target_bytes", f->balloon_target_pages},
		{"balloon_max_bytes", f->balloon_maximum_pages},
		{"zipped_bytes", f->zipped_pages},
		{"swapped_bytes", f->swapped_pages},
		{"swap_target_bytes", f->swap_target_pages},
		{"active_bytes", f->active_pages},
		{"entitled_bytes", f->entitled_pages},
		{"cache_bytes", f->cache_pages},
		{"cache_max_bytes", f->cache_most_pages},
		{"overhead_bytes", f->overhead_pages},
	};

	for (u32 i = 0; i < ARRAY_COUNT(sizes); i++)
		put_pages(j, sizes[i].key, sizes[i].pages);
}

static void put_health(struct json_write *j, const struct vm *vm)
{
	u64 now = time_now_ns(), since = now;
	enum health_finding finding = vm->state == VM_RUNNING
					      ? health_find(&vm->watch.health, now, &since)
					      : HEALTH_NOTHING;

	json_write_string(j, "health", health_grade_name(health_grade_of(finding)));
	json_write_string(j, "finding", health_what(finding));
	json_write_u64(j, "finding_s", finding ? (now - since) / 1000000000 : 0);
}

void monitor_stats_vm(struct json_write *j, const struct vm *vm)
{
	struct vm_figures f;
	u64 exits = 0;

	vm_figures_get(vm, &f);
	json_write_string(j, "name", vm_name(vm));
	json_write_string(j, "state", vm_state_name(vm));
	json_write_u64(j, "memory_bytes", vm->config->memory_bytes);
	put_sizes(j, &f);
	json_write_u64(j, "swap_in_p50_us", f.swap_in_us[0]);
	json_write_u64(j, "swap_in_p99_us", f.swap_in_us[1]);
	json_write_u64(j, "disk_p50_us", f.disk_us[0]);
	json_write_u64(j, "disk_p99_us", f.disk_us[1]);
	for (u32 i = 0; i < VM_COUNTER_COUNT; i++)
		json_write_u64(j, vm_counter_name((enum vm_counter)i), f.counters[i]);
	for (u32 kind = 0; kind < EXIT_KIND_COUNT; kind++)
		exits += f.exits[kind];
	json_write_u64(j, "exits", exits);
	json_write_bool(j, "blocked", vm->state == VM_RUNNING && vm->memory.blocked);
	json_write_u64(j, "run_ns", f.run_ns);
	put_health(j, vm);
}
