/* SRCS: hv/vm/vm.c hv/vm/vm_wait.c mm/base/fmt.c */
/*
 * What a start waits for, and for how long: memory and swap space of VMs that have ended, and the
 * frames that their swap files hold, where it has too few without. And that a VM which waits keeps
 * what is known of its last run.
 */
#include "hv/vm/vm.h"
#include "hv/console/console.h"
#include "hv/memory/share.h"
#include "hv/sched/run_queue.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm_boot.h"
#include "hv/vm/vm_disk.h"
#include "hv/vm/vm_parts.h"
#include "hv/vm/vm_swap.h"
#include "hv/vm/vm_wait.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/reclaim/reclaim.h"
#include "tests/fake/cmocka.h"
#include <string.h>

#define ASK_EVERY_NS 10000000ull

static struct list vms;
static struct vm_config config;
static struct vm vm, other;
static u64 now_ns;
static bool room_comes, files_hold_frames;
static err_t parts; /* what taking them results in */
static u32 tries;

/* --- What a start asks ----------------------------------------------------------------------- */

struct list *sched_vms(void)
{
	return &vms;
}

u64 time_now_ns(void)
{
	return now_ns;
}

bool vm_swap_must_wait(const struct vm *of, char *why, size_t why_bytes)
{
	(void)of;
	if (room_comes)
		fmt_snprintf(why, why_bytes, "starts when there is room");
	return room_comes;
}

bool vm_swap_has_frames_of_ended(char *why, size_t why_bytes)
{
	if (files_hold_frames)
		fmt_snprintf(why, why_bytes, "starts when files let go");
	return files_hold_frames;
}

err_t vm_parts_take(struct vm *of)
{
	tries++;
	if (parts)
		fmt_snprintf(of->why, sizeof(of->why), "no parts");
	return parts;
}

/* --- What it does not get to ----------------------------------------------------------------- */

void log_printf(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void output_init(struct output *out, u8 *ring)
{
	(void)out;
	(void)ring;
}

void output_new_run(struct output *out)
{
	out->reported_ok = false;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NEVER(what, result, ...)                                                                   \
	result what(__VA_ARGS__)                                                                   \
	{                                                                                          \
		fail_msg(#what);                                                                   \
		__builtin_unreachable();                                                           \
	}

NEVER(balloon_began, void, struct vm *of)
NEVER(console_guest_ended, void, struct vm *of)
NEVER(fpu_state_reset, void, struct fpu_state *state)
NEVER(kmem_alloc, void *, size_t bytes)
NEVER(kmem_free, void, void *at, size_t bytes)
NEVER(memsched_vm_began, void, struct vm *of)
NEVER(reclaim_everything, void, struct space *space)
NEVER(run_queue_start, void, struct vcpu *vcpu)
NEVER(run_queue_stop, void, struct vcpu *vcpu)
NEVER(sched_call_boot_cpu, void, void)
NEVER(share_vm_began, void, struct vm *of)
NEVER(space_clear_some, bool, struct space *space, u64 for_ns)
NEVER(space_hide_all, u64, struct space *space)
NEVER(spin_init, void, struct spinlock *lock, enum lock_rank rank)
NEVER(time_ns_from_tsc, u64, u64 tsc)
NEVER(vcpu_detach, void, struct vcpu *vcpu)
NEVER(vcpu_init_registers, void, struct vcpu *vcpu)
NEVER(vdev_reset, void, struct vdev *vdev, u64 now)
NEVER(vm_boot_begin, err_t, struct vm *of, char *why, size_t why_bytes)
NEVER(vm_boot_some, err_t, struct vm *of, u64 until, char *why, size_t why_bytes)
NEVER(vm_disk_reset, void, struct vm *of)
NEVER(vm_figures_keep, void, struct vm *of)
NEVER(vm_parts_free_some, void, struct vm *of, u64 for_ns)
NEVER(vm_parts_release, void, struct vm *of)
NEVER(watch_vm_began, void, struct vm *of)
#pragma GCC diagnostic pop

/* --- The tests ------------------------------------------------------------------------------- */

/* One that has run once, beside another that is off. */
static int start(void **state)
{
	(void)state;
	config = (struct vm_config){.name = "g1", .startable = true};
	memset(&vm, 0, sizeof(vm));
	memset(&other, 0, sizeof(other));
	vm.config = other.config = &config;
	vm.starts = 1;
	vm.ended = true;
	vm.state = VM_STOPPED;
	vm.verdict = VM_VERDICT_OK;
	vm.output.reported_ok = true;
	fmt_snprintf(vm.why, sizeof(vm.why), "its last run's");
	list_init(&vms);
	list_add_tail(&vms, &vm.all);
	list_add_tail(&vms, &other.all);
	now_ns = 1000000000;
	room_comes = files_hold_frames = false;
	parts = 0;
	tries = 0;
	return 0;
}

static err_t start_later(void)
{
	now_ns += ASK_EVERY_NS;
	return vm_start(&vm);
}

static void assert_waits(const char *what)
{
	assert_true(vm.start_wanted);
	assert_string_equal(vm.waits_for, what);
	assert_string_equal(vm_state_name(&vm), "waiting");
	assert_string_equal(vm.why, "its last run's");
	assert_int_equal(vm.state, VM_STOPPED);
	assert_int_equal(vm.verdict, VM_VERDICT_OK);
	assert_true(vm.output.reported_ok);
}

static void assert_failed(err_t err)
{
	assert_int_equal(err, parts);
	assert_false(vm.start_wanted);
	assert_int_equal(vm.state, VM_OFF);
	assert_true(vm.ended);
	assert_string_equal(vm.why, "no parts");
	assert_int_equal(vm.verdict, VM_VERDICT_NONE);
}

static void memory_that_is_being_freed_is_waited_for(void **state)
{
	(void)state;
	other.space = (struct space *)&other;
	assert_int_equal(vm_start(&vm), E_WAIT);
	assert_waits("starts when the memory of what has ended is free");
	other.space = NULL;
	assert_int_equal(vm_start(&vm), E_WAIT); /* not asked so often */
	assert_int_equal(tries, 0);
	assert_int_equal(start_later(), 0);
	assert_int_equal(vm.state, VM_STARTING);
	assert_false(vm.start_wanted);
}

static void room_for_the_swap_file_is_waited_for(void **state)
{
	(void)state;
	room_comes = true;
	assert_int_equal(vm_start(&vm), E_WAIT);
	assert_waits("starts when there is room");
	assert_int_equal(tries, 0);
	room_comes = false;
	assert_int_equal(start_later(), 0);
}

static void frames_of_ended_files_are_not_waited_for_where_there_are_enough(void **state)
{
	(void)state;
	files_hold_frames = true;
	assert_int_equal(vm_start(&vm), 0);
	assert_int_equal(vm.state, VM_STARTING);
}

static void frames_of_ended_files_are_waited_for_where_they_are_missing(void **state)
{
	(void)state;
	files_hold_frames = true;
	parts = E_NOMEM;
	assert_int_equal(vm_start(&vm), E_WAIT);
	assert_waits("starts when files let go");
	/* It is not tried over and over. */
	for (u32 turn = 0; turn < 5; turn++)
		assert_int_equal(start_later(), E_WAIT);
	assert_int_equal(tries, 1);
	files_hold_frames = false;
	parts = 0;
	assert_int_equal(start_later(), 0);
	assert_int_equal(vm.state, VM_STARTING);
}

/* Also where the try itself left a file behind, as one does. */
static void a_start_that_lacks_memory_all_the_same_fails(void **state)
{
	(void)state;
	parts = E_NOMEM;
	assert_failed(vm_start(&vm));
	start(state);
	files_hold_frames = true;
	parts = E_NOMEM;
	assert_int_equal(vm_start(&vm), E_WAIT);
	files_hold_frames = false;
	assert_failed(start_later());
	assert_int_equal(tries, 2);
}

static void what_is_not_for_want_of_memory_fails_at_once(void **state)
{
	static const err_t other_errors[] = {E_NOTFOUND, E_LIMIT, E_INVAL};

	for (u32 i = 0; i < ARRAY_COUNT(other_errors); i++) {
		start(state);
		files_hold_frames = true;
		parts = other_errors[i];
		assert_failed(vm_start(&vm));
	}
}

static void a_start_that_was_called_off_is_tried_when_it_is_wanted_again(void **state)
{
	(void)state;
	files_hold_frames = true;
	parts = E_NOMEM;
	assert_int_equal(vm_start(&vm), E_WAIT);
	vm_wait_call_off(&vm);
	assert_string_equal(vm_state_name(&vm), "stopped");
	assert_string_equal(vm.why, "its last run's");
	parts = 0;
	assert_int_equal(vm_start(&vm), 0);
	assert_int_equal(tries, 2);
}

/* Another VM ends; the try itself left a file behind that takes its room. */
static void what_it_waits_for_may_change(void **state)
{
	(void)state;
	files_hold_frames = true;
	parts = E_NOMEM;
	assert_int_equal(vm_start(&vm), E_WAIT);
	other.space = (struct space *)&other;
	assert_int_equal(start_later(), E_WAIT);
	assert_waits("starts when the memory of what has ended is free");
	other.space = NULL;
	room_comes = true;
	assert_int_equal(start_later(), E_WAIT);
	assert_waits("starts when there is room");
	room_comes = false;
	assert_int_equal(start_later(), E_WAIT);
	assert_waits("starts when files let go");
	assert_int_equal(tries, 1);
	files_hold_frames = false;
	parts = 0;
	assert_int_equal(start_later(), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_that_is_being_freed_is_waited_for),
		TEST(room_for_the_swap_file_is_waited_for),
		TEST(frames_of_ended_files_are_not_waited_for_where_there_are_enough),
		TEST(frames_of_ended_files_are_waited_for_where_they_are_missing),
		TEST(a_start_that_lacks_memory_all_the_same_fails),
		TEST(what_is_not_for_want_of_memory_fails_at_once),
		TEST(a_start_that_was_called_off_is_tried_when_it_is_wanted_again),
		TEST(what_it_waits_for_may_change),
	};
	return cmocka_run_group_tests_name("unit/vm_start", tests, NULL, NULL);
}
