/* Volumes found by their partitions' type, files made to measure, the console's account of both. */
#include "hv/vm/vm_swap.h"
#include "hv/console/console.h"
#include "hv/disk/disks.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/stats.h"
#include "mm/swap/swap.h"

typedef unsigned long long ull;

/* --- Volumes --------------------------------------------------------------------------------- */

void vm_swap_open_volumes(void)
{
	const struct disk_partition *p;

	swap_init();
	for (u32 i = 0; (p = disks_find_type(&gpt_type_swap, i)) != NULL; i++) {
		char name[SWAP_NAME_BYTES];

		fmt_snprintf(name, sizeof(name), "%sp%u%s%s%s", p->blk->name, p->number,
			p->gpt.name[0] ? " (" : "", p->gpt.name, p->gpt.name[0] ? ")" : "");
		if (swap_volume_open(p->blk, p->gpt.first_block, p->gpt.block_count, name))
			log_error("swap: %s: no memory to open it", name);
	}
}

bool vm_swap_is_settled(void)
{
	for (struct swap_volume *v = swap_volume_first(); v; v = v->next) {
		if (swap_volume_state(v) == SWAP_OPENING)
			return false;
	}
	return true;
}

static struct swap_volume *volume_on(const struct disk_partition *p)
{
	for (struct swap_volume *v = swap_volume_first(); v; v = v->next) {
		if (v->blk == p->blk && v->first_block == p->gpt.first_block)
			return v;
	}
	return NULL;
}

/* The one that sched.swap.dir names. */
static struct swap_volume *named_volume(const char *name, const char **why)
{
	const struct disk_partition *p = disks_find(name, why);
	struct swap_volume *volume;

	if (!p)
		return NULL;
	volume = volume_on(p);
	if (!volume)
		*why = "its partition type is not that of a swap volume, "
		       "86cbcdae-9031-43c3-aa9c-af1abc33edf2";
	return volume;
}

/* The first that can be used; if none can, the first. */
static struct swap_volume *default_volume(void)
{
	for (struct swap_volume *v = swap_volume_first(); v; v = v->next) {
		if (swap_volume_is_usable(v))
			return v;
	}
	return swap_volume_first();
}

static const char *state_of(const struct swap_volume *volume)
{
	switch (swap_volume_state(volume)) {
	case SWAP_OPENING:
		return "still being opened";
	case SWAP_READY:
		return swap_volume_is_usable(volume) ? "ready" : "its disk is dead";
	default:
		return volume->why;
	}
}

/* --- A VM's file ----------------------------------------------------------------------------- */

static err_t no_room(struct swap_volume *volume, u64 slots, char *why, size_t why_bytes)
{
	u64 longest, room = swap_directory_room(volume, &longest);

	fmt_snprintf(why, why_bytes,
		"its swap file of %llu.%llu MiB (memory less sched.mem.min) has no room on swap volume "
		"%s: %llu.%llu MiB are free, %llu.%llu in one piece",
		MIB_OF(slots), volume->name, MIB_OF(room), MIB_OF(longest));
	return E_LIMIT;
}

static err_t create(
	struct vm *vm, struct swap_volume *volume, u64 slots, char *why, size_t why_bytes)
{
	char name[SWAP_NAME_BYTES];
	err_t err;

	if (!swap_volume_is_usable(volume)) {
		fmt_snprintf(why, why_bytes, "swap volume %s: %s", volume->name, state_of(volume));
		return E_IO;
	}
	fmt_snprintf(name, sizeof(name), "%s.vswp", vm_name(vm));
	err = swap_file_create(volume, name, slots, &vm->swap);
	if (err == E_LIMIT)
		return no_room(volume, slots, why, why_bytes);
	if (err) {
		fmt_snprintf(why, why_bytes, "its swap file %s: %s", name, err_name(err));
		return err;
	}
	log_info("%s: swap file %s, %llu.%llu MiB on %s, %u extent%s", vm_name(vm), name,
		MIB_OF(slots), volume->name, vm->swap->extent_count,
		vm->swap->extent_count == 1 ? "" : "s");
	return 0;
}

/* *@volume: where @vm's file is to lie, NULL: it has none. *@slots: how large it is to be. */
static err_t find_place(
	const struct vm *vm, struct swap_volume **volume, u64 *slots, char *why, size_t why_bytes)
{
	const struct vm_config *config = vm->config;
	const char *problem = "";

	*slots = (config->memory_bytes - config->reservation_bytes) >> PAGE_SHIFT;
	*volume = config->swap_dir[0] ? named_volume(config->swap_dir, &problem) : default_volume();
	if (config->swap_dir[0] && !*volume) {
		fmt_snprintf(why, why_bytes, "line %u: sched.swap.dir = %s: %s",
			config->swap_dir_line, config->swap_dir, problem);
		return E_NOTFOUND;
	}
	if (*slots == 0)
		*volume = NULL;
	return 0;
}

err_t vm_swap_create(struct vm *vm, char *why, size_t why_bytes)
{
	struct swap_volume *volume;
	u64 slots;
	err_t err = find_place(vm, &volume, &slots, why, why_bytes);

	vm->swap = NULL;
	if (err)
		return err;
	if (volume)
		return create(vm, volume, slots, why, why_bytes);
	if (vm->config->reservation_given)
		vm_swap_warn(vm);
	return 0;
}

bool vm_swap_must_wait(const struct vm *vm, char *why, size_t why_bytes)
{
	struct swap_volume *volume;
	u64 slots, coming;

	/* What cannot be is for the start to say. */
	if (find_place(vm, &volume, &slots, why, why_bytes) || !volume ||
		!swap_volume_is_usable(volume) ||
		swap_directory_ask(volume, slots, &coming) != E_WAIT)
		return false;
	fmt_snprintf(why, why_bytes,
		"starts when swap volume %s is through with %llu.%llu MiB of what has ended",
		volume->name, MIB_OF(coming));
	return true;
}

bool vm_swap_has_frames_of_ended(char *why, size_t why_bytes)
{
	for (struct swap_volume *v = swap_volume_first(); v; v = v->next) {
		u64 coming;

		if (swap_directory_ask(v, 0, &coming) || !coming)
			continue;
		fmt_snprintf(why, why_bytes,
			"starts when swap volume %s is through with what has ended, and that memory is free",
			v->name);
		return true;
	}
	return false;
}

void vm_swap_warn(const struct vm *vm)
{
	if (!vm->swap && vm->config->reservation_bytes < vm->config->memory_bytes)
		log_warn("%s: it has no swap file; beyond its reservation of %llu MiB it has "
			 "what happens to be free",
			vm_name(vm), (ull)(vm->config->reservation_bytes >> 20));
}

u64 vm_swap_frames(const struct vm *vm)
{
	return vm->swap ? swap_file_overhead_frames(vm->swap->slot_count) : 0;
}

/* --- swap ------------------------------------------------------------------------------------ */

static void print_stats(const struct swap_stats *s)
{
	console_printf("    written: %llu pages in %llu commands, %llu failed; read: %llu pages in "
		       "%llu commands, %llu failed; %llu read again, %llu corrupt; %llu "
		       "deallocated\n",
		(ull)stats_get(&s->pages_written), (ull)stats_get(&s->writes),
		(ull)stats_get(&s->write_errors), (ull)stats_get(&s->pages_read),
		(ull)stats_get(&s->reads), (ull)stats_get(&s->read_errors),
		(ull)stats_get(&s->reread), (ull)stats_get(&s->corrupt),
		(ull)stats_get(&s->deallocated));
}

static void print_volume(struct swap_volume *v)
{
	u64 longest, room = swap_directory_room(v, &longest);

	console_printf("%s: %s\n", v->name, state_of(v));
	if (swap_volume_state(v) != SWAP_READY)
		return;
	console_printf("    %llu.%llu MiB, %llu.%llu free, %llu.%llu in one piece; opened %llu "
		       "time%s since it was formatted\n",
		MIB_OF(v->slot_count), MIB_OF(room), MIB_OF(longest), (ull)v->boots,
		v->boots == 1 ? "" : "s");
	print_stats(&v->stats);
}

static void print_file(const struct vm *vm)
{
	const struct swap_file *f = vm->swap;
	u64 used = swap_file_used(f);

	console_printf("%s on %s: %llu of %llu slots used, %u extent%s\n", f->name, f->volume->name,
		(ull)used, (ull)f->slot_count, f->extent_count, f->extent_count == 1 ? "" : "s");
	print_stats(&f->stats);
}

void command_swap(u32 count, char **words)
{
	const struct vm *vm;

	(void)count;
	(void)words;
	if (!swap_volume_first())
		console_printf("there is no swap volume: no partition of type "
			       "86cbcdae-9031-43c3-aa9c-af1abc33edf2\n");
	for (struct swap_volume *v = swap_volume_first(); v; v = v->next)
		print_volume(v);
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->swap)
			print_file(vm);
	}
}
