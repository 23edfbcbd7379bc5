/* SRCS: hv/vm/steal_time.c */
/*
 * The record of stolen time in a page that comes and goes: the figure is written when it can be,
 * and whatever flush another vCPU was told it need not wait for is done before the guest runs
 * again.
 */
#include "hv/abi/kvm.h"
#include "hv/hv_ops.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"
#include "mm/platform.h"
#include "tests/fake/cmocka.h"
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES MIB(1)
#define GPA_OF    0x3fc0ull /* the record: the last of its page */
#define STEPS     100000

static _Alignas(4096) u8 page[4096];
static struct steal_time_record *const record = (void *)&page[GPA_OF % 4096];
static struct vm vm;
static struct vcpu vcpu;
static err_t absent; /* why the page is not there, or 0 */
static u32 pins, flushes, asked;

bool space_range_is_ram(const struct space *space, gpa_t gpa, u64 bytes)
{
	(void)space;
	return gpa.v < RAM_BYTES && bytes <= RAM_BYTES - gpa.v;
}

err_t space_pin(struct space *space, gfn_t gfn, bool write, pfn_t *out)
{
	(void)space;
	assert_true(write);
	assert_int_equal(gfn.v, GPA_OF >> PAGE_SHIFT);
	asked++;
	if (absent)
		return absent;
	pins++;
	*out = PFN(7);
	return 0;
}

err_t space_pin_present(struct space *space, gfn_t gfn, pfn_t *out)
{
	return absent ? E_WAIT : space_pin(space, gfn, true, out);
}

void space_unpin(struct space *space, pfn_t pfn)
{
	(void)space;
	assert_int_equal(pfn.v, 7);
	pins--;
}

void *platform_frame_va(pfn_t pfn)
{
	(void)pfn;
	return page;
}

u64 time_ns_from_tsc(u64 ticks)
{
	return ticks * 2;
}

static void on_flush(struct virt_vcpu *virt)
{
	assert_ptr_equal(virt, &vcpu.virt);
	flushes++;
}

static const struct virt_ops ops = {.flush_tlb = on_flush};
const struct virt_ops *hv_ops = &ops;

static int setup(void **state)
{
	(void)state;
	memset(page, 0, sizeof(page));
	memset(&vcpu, 0, sizeof(vcpu));
	vm.vcpu_count = 2;
	vcpu.vm = &vm;
	absent = 0;
	pins = flushes = asked = 0;
	assert_int_equal(steal_time_msr_write(&vcpu, GPA_OF | STEAL_TIME_ENABLE), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(pins, 0);
	return 0;
}

/* As another vCPU does: true, it need not wait for this one. */
static bool leave_a_flush(void)
{
	u8 seen = __atomic_load_n(&record->preempted, __ATOMIC_SEQ_CST);

	return (seen & STEAL_TIME_PREEMPTED) &&
	       __atomic_compare_exchange_n(&record->preempted, &seen, seen | STEAL_TIME_FLUSH_TLB,
		       false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void a_place_that_cannot_be_is_refused(void **state)
{
	static const u64 bad[] = {
		GPA_OF | 3, GPA_OF | 0x21, RAM_BYTES | 1, 0ull - 64 + 1, 1ull << 52 | 1};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(steal_time_msr_write(&vcpu, bad[i]), E_INVAL);
	assert_int_equal(vcpu.steal.msr, GPA_OF | STEAL_TIME_ENABLE);
	assert_int_equal(steal_time_msr_write(&vcpu, RAM_BYTES - 64 + 1), 0);
	assert_int_equal(steal_time_msr_write(&vcpu, RAM_BYTES), 0); /* not enabled: any */
	assert_int_equal(steal_time_enter(&vcpu), 0);
	steal_time_leave(&vcpu);
	assert_int_equal(asked, 0);
}

static void waiting_is_stolen_and_sleeping_is_not(void **state)
{
	u64 told;

	(void)state;
	assert_int_equal(steal_time_enter(&vcpu), 0);
	assert_int_equal(record->steal_ns, 0);
	/* It halts, and nothing is called; later it is woken, and waits for a CPU. */
	steal_time_ready(&vcpu);
	vcpu.steal.ready_since -= 1000000;
	steal_time_ready(&vcpu); /* it was woken before */
	assert_int_equal(steal_time_enter(&vcpu), 0);
	told = record->steal_ns;
	assert_true(told >= 2000000 && told == vcpu.steal.ticks * 2);
	assert_int_equal(record->version & 1, 0);
	assert_int_equal(steal_time_enter(&vcpu), 0);
	assert_int_equal(record->steal_ns, told);
	/* Preempted. */
	steal_time_leave(&vcpu);
	vcpu.steal.ready_since -= 500000;
	assert_int_equal(steal_time_enter(&vcpu), 0);
	assert_true(record->steal_ns >= told + 1000000);
}

static void a_figure_waits_for_its_page_and_the_guest_does_not(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3; i++) {
		static const err_t why[] = {E_WAIT, E_NOMEM, E_CORRUPT};

		absent = why[i];
		steal_time_ready(&vcpu);
		vcpu.steal.ready_since -= 1000;
		assert_int_equal(steal_time_enter(&vcpu), 0);
		steal_time_leave(&vcpu);
		assert_int_equal(record->preempted, 0);
	}
	absent = 0;
	assert_int_equal(steal_time_enter(&vcpu), 0);
	assert_true(record->steal_ns >= 6000);
}

static void the_page_s_absence_asks_nothing_of_it_when_leaving(void **state)
{
	(void)state;
	assert_int_equal(steal_time_enter(&vcpu), 0);
	absent = E_WAIT;
	asked = 0;
	steal_time_leave(&vcpu);
	assert_int_equal(asked, 0);
	assert_false(vcpu.steal.is_marked);
}

static void a_lone_vcpu_is_not_marked(void **state)
{
	(void)state;
	vm.vcpu_count = 1;
	assert_int_equal(steal_time_enter(&vcpu), 0);
	steal_time_leave(&vcpu);
	assert_int_equal(record->preempted, 0);
}

static void a_marked_one_waits_for_its_record(void **state)
{
	(void)state;
	assert_int_equal(steal_time_enter(&vcpu), 0);
	steal_time_leave(&vcpu);
	assert_true(leave_a_flush());
	absent = E_WAIT;
	assert_int_equal(steal_time_enter(&vcpu), E_WAIT);
	steal_time_leave(&vcpu); /* it is parked: the request stays */
	absent = E_CORRUPT;
	assert_int_equal(steal_time_enter(&vcpu), E_CORRUPT);
	absent = 0;
	steal_time_leave(&vcpu);
	assert_int_equal(flushes, 0);
	assert_int_equal(steal_time_enter(&vcpu), 0);
	assert_int_equal(flushes, 1);
	assert_int_equal(record->preempted, 0);
	assert_false(leave_a_flush());
}

static void no_flush_that_was_left_is_lost(void **state)
{
	bool inside = false, owed = false;
	u32 left = 0;

	(void)state;
	srandom(11);
	for (u32 step = 0; step < STEPS; step++) {
		u32 before = flushes;

		absent = random() % 3 ? 0 : E_WAIT;
		switch (random() % 3) {
		case 0:
			if (leave_a_flush()) {
				assert_false(inside);
				owed = true;
				left++;
			}
			break;
		case 1:
			if (inside)
				steal_time_leave(&vcpu);
			inside = false;
			break;
		case 2:
			if (inside)
				break;
			inside = steal_time_enter(&vcpu) == 0;
			if (!inside)
				steal_time_leave(&vcpu);
			if (inside && owed)
				assert_int_equal(flushes, before + 1);
			owed = owed && !inside;
			break;
		}
	}
	assert_true(left > STEPS / 100);
}

static void init_takes_its_record_away(void **state)
{
	(void)state;
	assert_int_equal(steal_time_enter(&vcpu), 0);
	steal_time_leave(&vcpu);
	steal_time_init(&vcpu);
	absent = E_WAIT;
	assert_int_equal(steal_time_enter(&vcpu), 0);
	absent = 0;
	memset(page, 0x5a, sizeof(page));
	assert_int_equal(steal_time_enter(&vcpu), 0);
	steal_time_leave(&vcpu);
	for (u32 i = 0; i < sizeof(page); i++)
		assert_int_equal(page[i], 0x5a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_place_that_cannot_be_is_refused),
		TEST(waiting_is_stolen_and_sleeping_is_not),
		TEST(a_figure_waits_for_its_page_and_the_guest_does_not),
		TEST(the_page_s_absence_asks_nothing_of_it_when_leaving),
		TEST(a_lone_vcpu_is_not_marked),
		TEST(a_marked_one_waits_for_its_record),
		TEST(no_flush_that_was_left_is_lost),
		TEST(init_takes_its_record_away),
	};
	return cmocka_run_group_tests_name("unit/steal_time", tests, NULL, NULL);
}
