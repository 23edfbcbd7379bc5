/* SRCS: hv/exit/recurrence.c */
/* Exceptions that raise themselves are recognised; a guest that moves is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/exit/recurrence.h"

static struct recurrence r;
static struct virt_vcpu virt;

static int setup(void **state)
{
	(void)state;
	r = (struct recurrence){0};
	virt = (struct virt_vcpu){.rip = 0x1000, .gpr[GPR_RSP] = 0x8001};
	return 0;
}

static void note(u32 times, u8 vector)
{
	for (u32 i = 0; i < times; i++)
		assert_false(recurrence_note(&r, &virt, vector));
}

static void the_same_so_often_is_recognised(void **state)
{
	(void)state;
	note(RECURRENCE_MAX - 1, 17);
	assert_true(recurrence_note(&r, &virt, 17));
}

static void another_rip_register_or_vector_begins_anew(void **state)
{
	(void)state;
	note(RECURRENCE_MAX - 1, 1);
	virt.rip++;
	note(RECURRENCE_MAX - 1, 1);
	virt.gpr[GPR_RCX]++; /* a single-stepped REP MOVS */
	note(RECURRENCE_MAX - 1, 1);
	virt.gpr[GPR_RSP] -= 8;
	note(RECURRENCE_MAX - 1, 1);
	note(RECURRENCE_MAX - 1, 17);
	assert_true(recurrence_note(&r, &virt, 17));
}

static void another_exit_begins_anew(void **state)
{
	(void)state;
	note(RECURRENCE_MAX - 1, 1);
	recurrence_end(&r);
	note(RECURRENCE_MAX - 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_same_so_often_is_recognised, setup),
		cmocka_unit_test_setup(another_rip_register_or_vector_begins_anew, setup),
		cmocka_unit_test_setup(another_exit_begins_anew, setup),
	};

	return cmocka_run_group_tests_name("unit/recurrence", tests, NULL, NULL);
}
