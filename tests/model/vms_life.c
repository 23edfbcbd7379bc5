/* VMs come, are reset, and go. See vms.h. */
#include "tests/model/vms_private.h"
#include "mm/swap/swap.h"
#include "mm/zcache/zcache.h"

void model_forget(struct vm *vm)
{
	memset(vm->ballooned, 0, vm->space->page_count * sizeof(*vm->ballooned));
	vm->ballooned_count = 0;
	for (u64 i = 0; i < vm->space->page_count; i++) {
		free(vm->pages[i]);
		vm->pages[i] = NULL;
	}
}

/* All CPUs leave this VM's guest, and this CPU any. */
static void vm_stop(struct vm *vm)
{
	u32 cpu = platform_cpu_id();

	fake_guest_leave();
	for (u32 i = 0; i < MODEL_CPUS; i++) {
		fake_cpu_set(i);
		if (fake_guest_running(i) == vm->space)
			fake_guest_leave();
		fault_guard_use(NULL, 0);
	}
	fake_cpu_set(cpu);
}

static void figures_keep(const struct space *space)
{
	world.merges += space_counted(space, share_merged_own) +
			space_counted(space, share_merged_other) +
			space_counted(space, share_zeroed);
	world.joins += space_counted(space, joins);
	world.join_moves += space_counted(space, join_moves);
	world.breaks += space_counted(space, share_taken) + space_counted(space, share_copied);
	world.zipped += space_counted(space, evicted_zip);
	world.filled += space_counted(space, evicted_fill) + space_counted(space, evicted_zero);
	world.shared_instead += space_counted(space, evicted_shared);
	world.swapped += space_counted(space, evicted_swap);
	world.cleaned += space_counted(space, evicted_clean);
	world.objects += space_counted(space, evicted_object);
	world.read_ahead += space_counted(space, read_ahead);
	world.came_back += space_counted(space, faults_zip) + space_counted(space, faults_fill) +
			   space_counted(space, faults_swap);
}

/* Between two slices of its end: what it had at the disk completes, others go on. */
static void meanwhile(void)
{
	struct vm *other = any_vm();

	if (options->reclaim && chance(50))
		step_disk(1);
	if (other && chance(50))
		step_access(other);
	fake_guest_leave();
}

void vm_destroy(struct vm *vm)
{
	struct space *space = vm->space;

	vm_stop(vm);
	pins_orphan((u32)(vm - world.vms));
	model_forget(vm);
	free(vm->pages);
	free(vm->ballooned);
	figures_keep(space);
	*vm = (struct vm){0};
	if (chance(20) && !space_clear_some(space, 0))
		world.clears++; /* a reset that is overtaken by the end */
	while (!space_destroy_some(space, 0))
		meanwhile();
	world.destroyed++;
}

/* A cache and a swap file of any size, or none; room for all pages, or too little. */
static void config_evictable(struct space_config *config)
{
	u64 pages = config->memory_bytes >> PAGE_SHIFT;
	char name[SWAP_NAME_BYTES];

	config->vcpu_count = MODEL_CPUS;
	config->zip_most_frames = chance(80) ? 1 + below(chance(50) ? 8 : pages / 8) : 0;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)world.steps);
	/* It is a pity if there is no room; then there is none. */
	if (chance(80) && swap_file_create(swap_volume_first(), name,
				  chance(50) ? pages : 1 + below(pages), &config->swap))
		config->swap = NULL;
}

void vm_create(struct vm *vm)
{
	u64 bytes = options->memory_bytes + below(REGION_BYTES / PAGE_BYTES) * PAGE_BYTES;
	struct space_config config = {.name = "model",
		.memory_bytes = bytes,
		.format = options->format,
		.large_pages = options->large_pages,
		.large_pages_no_exec = options->large_pages_no_exec,
		.no_dirty_bits = chance(20),
		.share_salt = options->share ? (u32)below(3) : 0};

	if (options->reclaim)
		config_evictable(&config);
	u64 free_before = frame_free_count();
	err_t err = space_create(&vm->space, &config);

	if (err == E_NOMEM) {
		vm->space = NULL;
		if (config.swap)
			swap_file_abandon(config.swap);
		world.nomem++;
		if (!config.swap && frame_free_count() != free_before)
			wrong("a space that could not be made left something behind");
		return;
	}
	if (err)
		wrong("space_create");
	if (free_before - frame_free_count() != space_overhead_frames(&config))
		wrong("a space costs other than space_overhead_frames()");
	vm->pages = calloc(vm->space->page_count, sizeof(*vm->pages));
	vm->ballooned = calloc(vm->space->page_count, sizeof(*vm->ballooned));
}

void vm_clear(struct vm *vm)
{
	vm_stop(vm);
	pins_orphan((u32)(vm - world.vms));
	/* space_unpin() still serves these pins; the model drops them through frame_unpin(). */
	stats_sub(&vm->space->pins, stats_get(&vm->space->pins));
	space_clear(vm->space);
	model_forget(vm);
	world.clears++;
}
