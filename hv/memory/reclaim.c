/*
 * The loop's share of reclaim, and the command. A command goes on over many turns, and ends when so
 * many frames are free as were asked for, or nothing more can go; what is on its way to the disk
 * then is waited for.
 */
#include "hv/memory/reclaim.h"
#include "hv/console/console.h"
#include "hv/memory/memsched_log.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/cpu.h"
#include "hv/x86/time.h"
#include "mm/base/ini.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/reclaim/fetch.h"
#include "mm/reclaim/reclaim.h"
#include "mm/zcache/zcache.h"

#define SLICE_NS      100000ull
#define SLICES_A_TURN 10u
#define HOLES_A_TURN  16u /* of each VM's compression cache */

typedef unsigned long long ull;

static struct {
	struct space *space; /* only compared; NULL: there is none */
	u64 serial;
	u64 wanted_frames;
	u64 began_ns;
	bool nothing_left;
	struct space_stats before;
	u64 freed_before;
} command;

static struct vm *command_vm(void)
{
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (command.space && vm->state == VM_RUNNING && vm->space == command.space &&
			vm->space->serial == command.serial)
			return vm;
	}
	return NULL;
}

/* The entry that tells of the command; it ends with @cause MEMORY_NOTHING. */
static void note(struct vm *vm, enum memory_cause cause)
{
	memsched_log_note(&vm->memory, vm->space, time_now_ns(), MEMORY_EVICT_COMMAND, cause,
		command.wanted_frames);
}

static void say_done(const struct vm *vm, u64 freed)
{
	const struct space_stats s = space_stats(vm->space), *b = &command.before;

	log_info("%s: reclaimed %llu.%llu MiB of %llu.%llu in %llu us: %llu pages compressed, %llu "
		 "of one value, %llu written to swap, %llu clean, %llu shared; %llu found no room, "
		 "%llu were in use",
		vm_name(vm), MIB_OF(freed), MIB_OF(command.wanted_frames),
		(ull)((time_now_ns() - command.began_ns) / 1000),
		(ull)(s.evicted_zip - b->evicted_zip),
		(ull)(s.evicted_fill + s.evicted_zero - b->evicted_fill - b->evicted_zero),
		(ull)(s.evicted_swap - b->evicted_swap), (ull)(s.evicted_clean - b->evicted_clean),
		(ull)(s.evicted_shared - b->evicted_shared),
		(ull)(s.evict_refused - b->evict_refused), (ull)(s.evict_kept - b->evict_kept));
	command.space = NULL;
}

/* A slice for the command. Whether there is more to do just now. */
static bool command_slice(void)
{
	struct vm *vm = command_vm();

	if (!vm) {
		command.space = NULL;
		return false;
	}
	u64 now = reclaim_freed_frames(vm->space);
	u64 freed = now > command.freed_before ? now - command.freed_before : 0;
	u64 leaving = space_leaving_pages(vm->space);

	note(vm, MEMORY_COMMAND);
	if (freed >= command.wanted_frames || (command.nothing_left && leaving == 0)) {
		note(vm, MEMORY_NOTHING);
		say_done(vm, freed);
		return false;
	}
	if (freed + leaving >= command.wanted_frames || command.nothing_left)
		return false;
	command.nothing_left =
		!reclaim_from(vm->space, command.wanted_frames - freed - leaving, SLICE_NS);
	return true;
}

/* What faults have left in the caches. */
static void compact_some(void)
{
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING && vm->space->zcache)
			zcache_compact(vm->space->zcache, HOLES_A_TURN);
	}
}

bool reclaim_turn(void)
{
	bool more = true;

	compact_some();
	for (u32 i = 0; i < SLICES_A_TURN && more; i++) {
		more = command.space && command_slice();
		more = reclaim_work(SLICE_NS) || more;
		if (__atomic_load_n(&this_cpu()->pending, __ATOMIC_RELAXED))
			break;
	}
	return more;
}

bool fetch_slice(void)
{
	u64 end_ns = time_now_ns() + SLICE_NS;
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING && fetch_some(vm->space, end_ns))
			return true;
	}
	return false;
}

void command_reclaim(u32 count, char **words)
{
	struct vm *vm = sched_find_vm(words[1]);
	u64 bytes;

	(void)count;
	if (!vm || vm->state != VM_RUNNING) {
		console_printf("no running VM is called \"%s\"; try vms\n", words[1]);
		return;
	}
	if (ini_parse_bytes((struct ini_str){words[2], strlen(words[2])}, &bytes) != 0 ||
		bytes < PAGE_BYTES) {
		console_printf("reclaim NAME SIZE, with a size such as 64M\n");
		return;
	}
	if (command_vm()) {
		console_printf("%s is being reclaimed from; a moment\n", vm_name(command_vm()));
		return;
	}
	command.space = vm->space;
	command.serial = vm->space->serial;
	command.wanted_frames = bytes >> PAGE_SHIFT;
	command.began_ns = time_now_ns();
	command.nothing_left = false;
	command.before = space_stats(vm->space);
	command.freed_before = reclaim_freed_frames(vm->space);
}
