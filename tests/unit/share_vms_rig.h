/* Two or three VMs whose pages are shared, or not, and how they start and end. */
#ifndef TESTS_UNIT_SHARE_VMS_RIG_H
#define TESTS_UNIT_SHARE_VMS_RIG_H

#include "mm/share/share_audit.h"
#include "mm/share/share_batch.h"
#include "mm/share/share_index.h"
#include "tests/fake/fake_platform.h"
#include "tests/unit/share_rig.h"

static struct space *vms[3];

static inline void start(u32 salt_a, u32 salt_b)
{
	fake_start_plain(2, 4000);
	fake_guest_start();
	share_test_hooks(NULL, 0);
	vms[0] = make(salt_a, MIB(4), false);
	vms[1] = make(salt_b, MIB(4), false);
	vms[2] = NULL;
}

static inline void stop(void)
{
	fake_guest_leave_all();
	for (u32 i = 0; i < 3; i++) {
		if (vms[i]) {
			assert_true(space_audit(vms[i]));
			space_destroy(vms[i]);
		}
	}
	assert_true(share_index_audit());
	assert_true(frame_audit());
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 0);
	assert_int_equal(fake_guest_violations(), 0);
	fake_stop();
}

static inline u64 get(struct space *space, u64 page)
{
	u64 value = 0;

	assert_int_equal(
		fake_guest_access(space, GPA(page * PAGE_BYTES + 64), SLAT_READ, &value, 8),
		FAULT_DONE);
	return value;
}

static inline void pass_all(u32 times)
{
	while (times--) {
		for (u32 i = 0; i < 3; i++) {
			if (vms[i])
				pass(vms[i]);
		}
	}
}

static inline enum page_state state_of(struct space *space, u64 page)
{
	return space_page_state(space, GFN(page));
}

static inline u64 refused(u32 vm, enum share_refusal why)
{
	return space_counted(vms[vm], share_refused[why]);
}

/* A VM of one 2 MiB leaf with its own bytes, and one of small pages, @alike of them the same. */
static inline void start_leaf_beside_small_pages(u64 alike)
{
	fake_start_plain(2, 9000);
	fake_guest_start();
	share_test_hooks(NULL, 0);
	vms[0] = make(1, MIB(2), true);
	vms[1] = make(1, MIB(2), false);
	vms[2] = NULL;
	for (u64 page = 0; page < 512; page++)
		put(vms[0], page, 1 + page);
	for (u64 page = 0; page < alike; page++)
		put(vms[1], page, 1 + page);
	assert_int_equal(space_counted(vms[0], large_leaves), 1);
}

#endif
