/* What tests of sharing and reclaim together share: two spaces of one salt, each with a compression
 * cache and a swap file. */
#ifndef TESTS_UNIT_SHARE_RECLAIM_RIG_H
#define TESTS_UNIT_SHARE_RECLAIM_RIG_H

#include "tests/unit/reclaim_rig.h"
#include "mm/share/share.h"
#include "mm/share/share_index.h"

static struct space *one, *two;

static inline int setup(void **state)
{
	(void)state;
	rig_start(4096);
	share_test_hooks(NULL, 0);
	one = rig_space("one", 1024, 64, 1024);
	two = rig_space("two", 1024, 64, 1024);
	share_set_salt(one, 1);
	share_set_salt(two, 1);
	return 0;
}

static inline int teardown(void **state)
{
	assert_true(share_index_audit());
	share_test_hooks(NULL, 0);
	rig_end(one);
	rig_end(two);
	return rig_teardown(state);
}

static inline void scan(struct space *space, u32 passes)
{
	while (passes > 0)
		passes -= share_scan(space, ~0ull, ~0ull).pass_ended;
}

/* Two pages of @one with the same bytes, and so a shared frame. */
static inline void share(u64 page, enum rig_kind kind)
{
	rig_fill_as(one, page, page, kind);
	rig_fill_as(one, page + 512, page, kind);
	scan(one, 3);
	assert_int_equal(rig_state(one, page), PAGE_SHARED);
	assert_int_equal(rig_state(one, page + 512), PAGE_SHARED);
}

#endif
