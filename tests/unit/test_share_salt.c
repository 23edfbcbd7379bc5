/* SRCS: hv/share_salt.c mm/base/str.c */
/* Salts: who shares with whom under each value of Mem.ShareForceSalting. */
#include "hv/share_salt.h"
#include "mm/share_index.h"
#include "tests/fake/cmocka.h"
#include <string.h>

#define VMS 6

static struct vm_config vms[VMS];
static struct config config = {.vms = vms, .vm_capacity = VMS, .vm_count = VMS};

/* VMs 0 to 5: no salt, no salt, red, blue, red, switched off. */
static void configure(u32 force)
{
	static const char *const salts[VMS] = {"", "", "red", "blue", "red", "red"};

	memset(vms, 0, sizeof(vms));
	for (u32 i = 0; i < VMS; i++) {
		strcpy(vms[i].share_salt, salts[i]);
		vms[i].share_enable = i != 5;
	}
	config.host.share_force_salting = force;
}

static bool together(u32 a, u32 b)
{
	u32 salt = share_salt_of(&config, a);

	return salt != 0 && salt == share_salt_of(&config, b);
}

static void test_0_all_share(void **state)
{
	(void)state;
	configure(0);
	for (u32 i = 0; i < 5; i++)
		assert_true(together(0, i));
}

static void test_1_by_salt_if_given_else_all(void **state)
{
	(void)state;
	configure(1);
	assert_true(together(0, 1) && together(2, 4));
	assert_false(together(0, 2) || together(0, 3) || together(2, 3));
}

static void test_2_by_salt_else_alone(void **state)
{
	(void)state;
	configure(2);
	assert_true(together(2, 4) && together(0, 0) && together(1, 1));
	assert_false(together(0, 1) || together(0, 2) || together(1, 3) || together(2, 3));
}

static void test_what_is_switched_off_shares_nothing(void **state)
{
	(void)state;
	for (u32 force = 0; force < 3; force++) {
		configure(force);
		assert_int_equal(share_salt_of(&config, 5), 0);
	}
}

static void test_a_salt_is_never_taken_for_a_vm_without_one(void **state)
{
	(void)state;
	/* The first VM with a salt has a number of its own, not that of one that stands alone. */
	configure(2);
	for (u32 a = 0; a < 5; a++) {
		for (u32 b = 0; b < a; b++) {
			if (vms[a].share_salt[0] == '\0' || vms[b].share_salt[0] == '\0')
				assert_false(together(a, b));
		}
		assert_in_range(share_salt_of(&config, a), 1, SHARE_SALT_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_0_all_share),
		cmocka_unit_test(test_1_by_salt_if_given_else_all),
		cmocka_unit_test(test_2_by_salt_else_alone),
		cmocka_unit_test(test_what_is_switched_off_shares_nothing),
		cmocka_unit_test(test_a_salt_is_never_taken_for_a_vm_without_one),
	};

	return cmocka_run_group_tests_name("unit/share_salt", tests, NULL, NULL);
}
