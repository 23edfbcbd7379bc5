/* SRCS: hv/memory/share_salt.c mm/base/str.c */
/* Salts: who shares with whom under each value of Mem.ShareForceSalting, and their numbers when
 * that changes. */
#include "hv/memory/share_salt.h"
#include "mm/share/share_index.h"
#include "tests/fake/cmocka.h"
#include <string.h>

#define VMS 6

static struct vm_config vms[VMS];
static struct config config = {.vms = vms, .vm_capacity = VMS, .vm_count = VMS};
static struct share_salt numbered[VMS];
static struct share_salts salts;

static void update(void)
{
	assert_int_equal(share_salts_update(&salts, &config, false), E_OK);
}

static u32 number(u32 vm)
{
	return numbered[vm].number;
}

/* VMs 0 to 5: no salt, no salt, red, blue, red, switched off. */
static void configure(u32 force)
{
	static const char *const texts[VMS] = {"", "", "red", "blue", "red", "red"};

	memset(vms, 0, sizeof(vms));
	for (u32 i = 0; i < VMS; i++) {
		strcpy(vms[i].share_salt, texts[i]);
		vms[i].share_enable = i != 5;
	}
	config.host.share_force_salting = force;
	share_salts_init(&salts, numbered, VMS);
	update();
}

static bool together(u32 a, u32 b)
{
	return number(a) != 0 && number(a) == number(b);
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
		assert_int_equal(number(5), 0);
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
		assert_in_range(number(a), 1, SHARE_SALT_MAX);
	}
}

/* --- Changes --------------------------------------------------------------------------------- */

static void give_salt(u32 vm, const char *text)
{
	strcpy(vms[vm].share_salt, text);
	update();
}

static void test_who_is_not_changed_keeps_his_number(void **state)
{
	u32 before[VMS];

	(void)state;
	configure(2);
	for (u32 i = 0; i < VMS; i++)
		before[i] = number(i);
	/* The first VM that stated it goes; the text's number stays with the others. */
	give_salt(2, "blue");
	assert_true(together(2, 3));
	assert_false(together(2, 4));
	for (u32 i = 0; i < VMS; i++) {
		if (i != 2)
			assert_int_equal(number(i), before[i]);
	}
	give_salt(2, "red");
	assert_int_equal(number(2), before[4]);
}

static void test_a_number_that_was_left_is_not_given_to_others(void **state)
{
	bool given[2000] = {false};

	(void)state;
	configure(2);
	for (u32 round = 0; round < 200; round++) {
		for (u32 i = 0; i < VMS - 1; i++) {
			u32 before = number(i);
			char text[CONFIG_NAME_BYTES] = {(char)('a' + round % 20), (char)('0' + i)};

			give_salt(i, text);
			assert_int_not_equal(number(i), before);
			assert_in_range(number(i), 1, 1999);
			assert_false(given[number(i)]);
			given[number(i)] = true;
		}
	}
}

static void test_a_switch_of_the_host_changes_only_whom_it_concerns(void **state)
{
	(void)state;
	configure(1);
	u32 all = number(0), red = number(2);

	config.host.share_force_salting = 2;
	update();
	assert_false(together(0, 1));
	assert_int_not_equal(number(0), all);
	assert_int_not_equal(number(1), all);
	assert_int_equal(number(2), red);
	config.host.share_force_salting = 0;
	update();
	assert_true(together(0, 2));
	assert_int_equal(number(0), all);
	vms[0].share_enable = false;
	update();
	assert_int_equal(number(0), 0);
	vms[0].share_enable = true;
	update();
	assert_true(together(0, 2));
}

/* The last numbers before they come up again. */
static void use_up_numbers(void)
{
	for (u32 turn = 0; salts.given_count + VMS <= SHARE_SALT_MAX - 1; turn++)
		give_salt(0, turn % 2 ? "x" : "y");
}

static void test_numbers_come_up_again_only_when_nobody_is_unsharing(void **state)
{
	(void)state;
	configure(2);
	use_up_numbers();
	u32 before = number(0);

	strcpy(vms[0].share_salt, "z");
	assert_int_equal(share_salts_update(&salts, &config, true), E_BUSY);
	assert_int_equal(number(0), before);
	/* Afterwards they do, but never one that a VM has. */
	for (u32 turn = 0; turn < 2 * SHARE_SALT_MAX; turn++) {
		give_salt(0, turn % 2 ? "x" : "y");
		assert_in_range(number(0), 2, SHARE_SALT_MAX);
		for (u32 i = 1; i < VMS; i++)
			assert_int_not_equal(number(0), number(i));
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
		cmocka_unit_test(test_who_is_not_changed_keeps_his_number),
		cmocka_unit_test(test_a_number_that_was_left_is_not_given_to_others),
		cmocka_unit_test(test_a_switch_of_the_host_changes_only_whom_it_concerns),
		cmocka_unit_test(test_numbers_come_up_again_only_when_nobody_is_unsharing),
	};

	return cmocka_run_group_tests_name("unit/share_salt", tests, NULL, NULL);
}
