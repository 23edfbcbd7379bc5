/* SRCS: hv/exit/hypercall.c hv/exit/kvm_calls.c hv/memory/balloon.c hv/memory/guest_mem.c
   tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * The balloon's hypercalls: who may call and when, a list that another CPU of the guest rewrites
 * while it is served, what is given back only as far as it can be promised, and a guest that calls
 * for ever.
 */
#include "tests/fake/cmocka.h"
#include "tests/unit/hypercall_rig.h"

#define LIST_GPA   0x3000ull
#define FIRST_PAGE 100ull
#define MS         1000000ull

static int setup(void **state)
{
	(void)state;
	rig_start(MIB(8), 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_true(space_audit(rig.vm.space));
	assert_int_equal(fake_guest_violations(), 0);
	rig_stop();
	return 0;
}

static void hello(void)
{
	assert_int_equal(rig_call(BELLOWS_HC_VERSION, 7, 0, 0, 0), BELLOWS_ABI_VERSION);
	assert_int_equal(rig_call(BELLOWS_HC_BALLOON_HELLO, BELLOWS_GUEST_TEST, 0, 0, 0), 0);
}

/* The list that a guest has written there: @count pages from @first on. */
static void list_write(u64 first, u64 count)
{
	u64 list[512];

	for (u64 i = 0; i < count; i++)
		list[i] = first + i;
	fake_guest_leave();
	assert_int_equal(guest_mem_write(rig.vm.space, GPA(LIST_GPA), list, count * 8), 0);
}

static void write_page(u64 page)
{
	u64 value = page;

	assert_int_equal(
		fake_guest_access(rig.vm.space, GPA(page << PAGE_SHIFT), SLAT_WRITE, &value, 8),
		FAULT_DONE);
}

static s64 inflate(u64 count)
{
	return rig_call(BELLOWS_HC_BALLOON_INFLATE, LIST_GPA, count, 0, 0);
}

static s64 deflate(u64 count)
{
	return rig_call(BELLOWS_HC_BALLOON_DEFLATE, LIST_GPA, count, 0, 0);
}

static void only_ring_0_is_served(void **state)
{
	(void)state;
	hello();
	for (rig.cpl = 1; rig.cpl <= 3; rig.cpl++) {
		assert_int_equal(
			rig_call(BELLOWS_HC_BALLOON_TARGET, 0, 0, 0, 0), BELLOWS_HC_E_PERM);
		assert_int_equal(rig_call(BELLOWS_HC_VERSION, 1, 0, 0, 0), BELLOWS_HC_E_PERM);
	}
	rig.cpl = 0;
	assert_int_equal(rig_call(BELLOWS_HC_BALLOON_TARGET, 0, 0, 0, 0), 0);
}

/* Whoever kicks a CPU out of the guest lets it write once more. */
static void rewrite_list(u32 cpu)
{
	u64 value = 1;

	for (u64 i = 0; i < 512; i++)
		(void)fake_guest_access_cached(
			fake_guest_running(cpu), GPA(LIST_GPA + i * 8), SLAT_WRITE, &value, 8);
}

static void a_list_that_changes_while_it_is_served_is_as_it_was_read(void **state)
{
	u64 value = 0, last;

	(void)state;
	hello();
	for (u64 i = 0; i < 512; i++)
		write_page(FIRST_PAGE + i);
	list_write(FIRST_PAGE, 512);
	fake_guest_before_leave(rewrite_list);
	fake_cpu_set(1);
	last = LIST_GPA + 511 * 8;
	assert_int_equal(
		fake_guest_access(rig.vm.space, GPA(last), SLAT_READ, &value, 8), FAULT_DONE);
	assert_int_equal(
		fake_guest_access(rig.vm.space, GPA(last), SLAT_WRITE, &value, 8), FAULT_DONE);
	fake_cpu_set(0);
	list_write(FIRST_PAGE, 512);
	assert_int_equal(inflate(512), 512);
	fake_guest_before_leave(NULL);
	/* It did change, before the last page was taken. */
	assert_int_equal(guest_mem_read(rig.vm.space, GPA(last), &value, 8), 0);
	assert_int_equal(value, 1);
	assert_int_not_equal(space_page_state(rig.vm.space, GFN(1)), PAGE_BALLOONED);
	for (u64 i = 0; i < 512; i++)
		assert_int_equal(
			space_page_state(rig.vm.space, GFN(FIRST_PAGE + i)), PAGE_BALLOONED);
}

static void a_balloon_is_no_larger_than_its_target_and_a_batch(void **state)
{
	(void)state;
	hello();
	rig.vm.balloon.pace.target_pages = 30;
	list_write(FIRST_PAGE, 512);
	assert_int_equal(inflate(512), 512);
	list_write(FIRST_PAGE + 512, 512);
	assert_int_equal(inflate(512), 30);
	assert_int_equal(inflate(512), BELLOWS_HC_E_LIMIT);
}

static void what_is_promised_to_others_does_not_come_back(void **state)
{
	struct memsched_request other = {.memory_frames = 1, .overhead_frames = 0};
	char why[200];

	(void)state;
	hello();
	list_write(FIRST_PAGE, 512);
	assert_int_equal(inflate(500), 500);
	assert_int_equal(promise_move(rig.vm.space, &rig.vm.admitted, 2048 - 500), 2048 - 500);
	assert_int_equal(balloon_floor_of(&rig.vm), 0);
	/* All but 100 pages are promised to another VM. */
	other.promised_frames = memsched_unpromised_frames() - 100;
	assert_int_equal(memsched_power_on(&other, why, sizeof(why)), E_OK);
	assert_int_equal(
		rig_call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_HELD, 0, 0, 0), 400);
	assert_int_equal(deflate(300), 100);
	assert_int_equal(deflate(1), BELLOWS_HC_E_LIMIT);
	assert_int_equal(balloon_pages(rig.vm.space), 400);
	memsched_power_off(&other);
	list_write(FIRST_PAGE + 100, 400);
	assert_int_equal(deflate(400), 400);
	assert_int_equal(rig.vm.admitted.promised_frames, 2048);
}

static void a_lie_about_deflating_is_promised_nothing(void **state)
{
	(void)state;
	hello();
	list_write(FIRST_PAGE, 512);
	assert_int_equal(inflate(512), 512);
	balloon_promise(&rig.vm);
	u64 unpromised = memsched_unpromised_frames();

	list_write(FIRST_PAGE + 512, 512);
	assert_int_equal(deflate(512), BELLOWS_HC_E_NOTFOUND);
	assert_int_equal(memsched_unpromised_frames(), unpromised);
	assert_int_equal(rig.vm.admitted.promised_frames, 2048 - 512);
}

static void a_reservation_is_all_that_was_promised(void **state)
{
	(void)state;
	rig.config.reservation_given = true;
	promise_move(rig.vm.space, &rig.vm.admitted, 1024);
	hello();
	list_write(FIRST_PAGE, 512);
	assert_int_equal(inflate(500), 500);
	assert_int_equal(balloon_floor_of(&rig.vm), 0);
	assert_int_equal(deflate(500), 500);
	assert_int_equal(rig.vm.admitted.promised_frames, 1024);
}

/* In each ms of a minute as many calls as there is time for. */
static void who_calls_for_ever_is_served_at_a_rate(void **state)
{
	u64 served = 0, seconds = 60;

	(void)state;
	hello();
	for (u64 ms = 0; ms < seconds * 1000; ms++) {
		rig.now_ns += MS;
		for (u32 i = 0; i < 20; i++)
			served += rig_call(BELLOWS_HC_BALLOON_TARGET, 0, 0, 0, 0) !=
				  BELLOWS_HC_E_AGAIN;
	}
	assert_in_range(served, seconds * 2000 - 10, seconds * 2000 + 4000);
	assert_in_range(rig.vm.balloon.refused_calls, 1, seconds * 20000);
}

static void absurd_statistics_raise_no_limit(void **state)
{
	struct bellows_balloon_stats stats;
	enum balloon_limit which;

	(void)state;
	hello();
	u64 before = balloon_maximum_of(&rig.vm, &which);

	memset(&stats, 0xff, sizeof(stats));
	assert_int_equal(guest_mem_write(rig.vm.space, GPA(LIST_GPA), &stats, sizeof(stats)), 0);
	assert_int_equal(rig_call(BELLOWS_HC_BALLOON_STATS, LIST_GPA, 0, 0, 0), 0);
	assert_int_equal(balloon_maximum_of(&rig.vm, &which), before);
	memset(&stats, 0, sizeof(stats));
	assert_int_equal(guest_mem_write(rig.vm.space, GPA(LIST_GPA), &stats, sizeof(stats)), 0);
	assert_int_equal(rig_call(BELLOWS_HC_BALLOON_STATS, LIST_GPA, 0, 0, 0), 0);
	assert_int_equal(balloon_maximum_of(&rig.vm, &which), 0);
	assert_int_equal(which, BALLOON_LIMIT_GUEST_ROOM);
}

/* A kernel that was started anew knows nothing of what the one before it gave away. */
static void a_reset_forgets_driver_and_balloon(void **state)
{
	(void)state;
	hello();
	list_write(FIRST_PAGE, 512);
	assert_int_equal(inflate(512), 512);
	space_clear(rig.vm.space);
	balloon_began(&rig.vm);
	rig.vm.abi_version = 0;
	assert_int_equal(balloon_pages(rig.vm.space), 0);
	assert_int_equal(inflate(1), BELLOWS_HC_E_VERSION);
	hello();
	write_page(FIRST_PAGE);
	list_write(FIRST_PAGE, 512);
	assert_int_equal(deflate(1), BELLOWS_HC_E_NOTFOUND);
	assert_int_equal(inflate(512), 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_ring_0_is_served, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_list_that_changes_while_it_is_served_is_as_it_was_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_balloon_is_no_larger_than_its_target_and_a_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_promised_to_others_does_not_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_lie_about_deflating_is_promised_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_reservation_is_all_that_was_promised, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_calls_for_ever_is_served_at_a_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(absurd_statistics_raise_no_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_reset_forgets_driver_and_balloon, setup, teardown),
	};
	return cmocka_run_group_tests_name("unit/hypercall", tests, NULL, NULL);
}
