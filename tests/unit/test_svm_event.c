/* SRCS: hv/svm/event.c mm/base/check.c mm/base/log.c mm/base/fmt.c */
/* What SVM's event code does to a VMCB before and after a run: a fake CPU's word against it. */
#include "hv/svm/svm.h"
#include "hv/x86/msr.h"
#include "hv/x86/time.h"
#include "mm/platform.h"
#include "tests/fake/cmocka.h"
#include <stdlib.h>
#include <string.h>

#define VALID      0x80000000u
#define WITH_ERROR 0x800u
#define TYPE(t)    ((u32)(t) << 8)
#define DR6_BS     BIT(14)

static struct vmcb vmcb;
static struct svm_vcpu svm;
static struct virt_vcpu vcpu;

void platform_log(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

noreturn_fn void platform_panic(const char *what)
{
	print_error("%s\n", what);
	abort();
}

u64 time_tsc_from_ns(u64 ns)
{
	return ns;
}

static int setup(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&svm, 0, sizeof(svm));
	memset(&vcpu, 0, sizeof(vcpu));
	svm.vmcb = &vmcb;
	vcpu.backend = &svm;
	vcpu.rflags = RFLAGS_FIXED | RFLAGS_IF;
	svm_event_reset(&svm);
	return 0;
}

/* Enter, end with @code, and have @int_info told as what was being delivered. */
static void run(u64 code, u64 int_info)
{
	vmcb.save.rip = vcpu.rip;
	vmcb.save.rsp = vcpu.gpr[GPR_RSP];
	vmcb.save.rflags = vcpu.rflags;
	assert_true(svm_event_before(&vcpu));
	vmcb.control.exit_code = code;
	vmcb.control.exit_int_info = int_info;
}

static void end_run(void)
{
	svm_event_after(&vcpu);
	vcpu.rip = vmcb.save.rip;
	vcpu.gpr[GPR_RSP] = vmcb.save.rsp;
	vcpu.rflags = vmcb.save.rflags;
}

static bool iret_intercepted(void)
{
	return vmcb.control.intercepts[0] & 1u << VMCB_INTERCEPT_IRET;
}

static bool vintr_intercepted(void)
{
	return vmcb.control.intercepts[0] & 1u << VMCB_INTERCEPT_VINTR;
}

static void an_exception_cut_short_is_delivered_by_the_next_run(void **state)
{
	(void)state;
	run(VMEXIT_NPF, VALID | WITH_ERROR | TYPE(EVENT_EXCEPTION) | 14 | 6ull << 32);
	end_run();
	assert_true(vcpu.reinject.valid);
	assert_int_equal(vcpu.reinject.vector, 14);
	assert_int_equal(vcpu.reinject.error, 6);
	assert_false(svm_interrupt_allowed(&vcpu));
	assert_false(svm_nmi_allowed(&vcpu));

	run(VMEXIT_CPUID, 0);
	assert_int_equal(vmcb.control.event_inj,
		VALID | WITH_ERROR | TYPE(EVENT_EXCEPTION) | 14 | 6ull << 32);
	end_run();
	assert_false(vcpu.reinject.valid);
	assert_int_equal(vmcb.control.event_inj, 0);
}

static void an_interrupt_cut_short_has_no_error_code(void **state)
{
	(void)state;
	run(VMEXIT_NPF, VALID | TYPE(EVENT_INTR) | 0x41 | 9ull << 32);
	end_run();
	run(VMEXIT_CPUID, 0);
	assert_int_equal(vmcb.control.event_inj, VALID | TYPE(EVENT_INTR) | 0x41);
	end_run();
}

static void stale_bits_without_valid_are_nothing(void **state)
{
	(void)state;
	run(VMEXIT_NPF, WITH_ERROR | TYPE(EVENT_EXCEPTION) | 14 | 6ull << 32);
	end_run();
	assert_false(vcpu.reinject.valid);
}

static void software_interrupts_are_executed_again_instead(void **state)
{
	static const u32 infos[] = {
		TYPE(EVENT_SOFT_INTR) | 0x80, TYPE(EVENT_EXCEPTION) | 3, TYPE(EVENT_EXCEPTION) | 4};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(infos); i++) {
		run(VMEXIT_NPF, VALID | infos[i]);
		end_run();
		assert_false(vcpu.reinject.valid);
	}
}

static void inject_nmi(void)
{
	struct virt_event nmi = {.valid = true, .vector = 2, .type = EVENT_NMI};

	assert_true(svm_nmi_allowed(&vcpu));
	svm_inject(&vcpu, &nmi);
}

/* Up to the IRET of an NMI's handler, at RIP 1000H. */
static void nmi_up_to_iret(void)
{
	inject_nmi();
	run(VMEXIT_CPUID, 0);
	assert_int_equal(vmcb.control.event_inj, VALID | TYPE(EVENT_NMI) | 2);
	end_run();
	assert_false(svm_nmi_allowed(&vcpu));
	assert_true(iret_intercepted());
	run(VMEXIT_IRET, 0);
	vmcb.save.rip = 0x1000;
	end_run();
	assert_int_equal(svm_event_iret(&vcpu), EXIT_AGAIN);
	assert_false(iret_intercepted());
	assert_false(svm_nmi_allowed(&vcpu));
}

static void nmis_stay_closed_until_the_iret_is_executed(void **state)
{
	(void)state;
	nmi_up_to_iret();
	run(VMEXIT_NPF, 0); /* the IRET itself faults */
	end_run();
	assert_false(svm_nmi_allowed(&vcpu));
	run(VMEXIT_CPUID, 0);
	vmcb.save.rip = 0x2000;
	end_run();
	assert_true(svm_nmi_allowed(&vcpu));
}

static void an_nmi_cut_short_is_delivered_once_and_keeps_nmis_closed(void **state)
{
	(void)state;
	inject_nmi();
	run(VMEXIT_NPF, VALID | TYPE(EVENT_NMI) | 2);
	end_run();
	assert_int_equal(vcpu.reinject.type, EVENT_NMI);
	run(VMEXIT_CPUID, 0);
	assert_int_equal(vmcb.control.event_inj, VALID | TYPE(EVENT_NMI) | 2);
	end_run();
	assert_false(svm_nmi_allowed(&vcpu));
	assert_false(vcpu.reinject.valid);
}

static void a_waiting_nmi_steps_over_the_iret(void **state)
{
	enum vm_exit_kind kind;

	(void)state;
	nmi_up_to_iret();
	svm_request_window(&vcpu, 0, true);
	run(VMEXIT_EXCP0 + 1, 0);
	assert_true(vmcb.save.rflags & RFLAGS_TF);
	/* The IRET loads the flags it finds on the stack, the step's #DB follows. */
	vmcb.save.rip = 0x2000;
	vmcb.save.rflags = RFLAGS_FIXED | RFLAGS_TF;
	vmcb.save.dr6 = DR6_BS;
	end_run();
	assert_true(svm_event_stepped(&vcpu, &kind));
	assert_int_equal(kind, EXIT_WINDOW);
	assert_int_equal(vmcb.save.dr6, 0);
	assert_true(vcpu.rflags & RFLAGS_TF);
	assert_true(svm_nmi_allowed(&vcpu));
}

static void a_step_that_an_exit_cut_short_leaves_no_trap_flag(void **state)
{
	enum vm_exit_kind kind;

	(void)state;
	nmi_up_to_iret();
	svm_request_window(&vcpu, 0, true);
	run(VMEXIT_NPF, 0);
	end_run();
	assert_false(vcpu.rflags & RFLAGS_TF);
	assert_false(svm_event_stepped(&vcpu, &kind));
}

static void an_nmi_window_that_is_open_is_told_without_a_run(void **state)
{
	(void)state;
	svm_request_window(&vcpu, 0, true);
	assert_false(svm_event_before(&vcpu));
	assert_true(svm_event_before(&vcpu));
}

static void interrupts_wait_for_if_shadow_and_what_is_pending(void **state)
{
	struct virt_event event = {.valid = true, .vector = 0x40, .type = EVENT_INTR};

	(void)state;
	assert_true(svm_interrupt_allowed(&vcpu));
	vmcb.control.intr_shadow = VMCB_SHADOW;
	assert_false(svm_interrupt_allowed(&vcpu));
	vmcb.control.intr_shadow = 0;
	vcpu.rflags &= ~RFLAGS_IF;
	assert_false(svm_interrupt_allowed(&vcpu));
	vcpu.rflags |= RFLAGS_IF;
	svm_inject(&vcpu, &event);
	assert_false(svm_interrupt_allowed(&vcpu));
}

static void a_window_is_a_virtual_interrupt_of_its_class(void **state)
{
	(void)state;
	vcpu.tpr = 3;
	svm_request_window(&vcpu, 4, false);
	run(VMEXIT_VINTR, 0);
	assert_true(vintr_intercepted());
	assert_int_equal(vmcb.control.virtual_intr,
		VMCB_V_INTR_MASKING | VMCB_V_IRQ | 4ull << VMCB_V_PRIO_SHIFT | 3);
	end_run();
	assert_int_equal(svm_event_vintr(&vcpu), EXIT_WINDOW);
	run(VMEXIT_CPUID, 0);
	assert_false(vintr_intercepted());
	assert_false(vmcb.control.virtual_intr & VMCB_V_IRQ);
	end_run();
}

static void a_window_withdrawn_asks_for_nothing(void **state)
{
	(void)state;
	svm_request_window(&vcpu, 4, false);
	svm_request_window(&vcpu, 0, false);
	run(VMEXIT_CPUID, 0);
	assert_false(vintr_intercepted());
	end_run();
}

/* Last: it is remembered. */
static void a_cpu_that_lets_equal_priority_in_is_asked_for_one_class_less(void **state)
{
	(void)state;
	vcpu.tpr = 4;
	svm_request_window(&vcpu, 4, false);
	run(VMEXIT_VINTR, 0);
	end_run();
	assert_int_equal(svm_event_vintr(&vcpu), EXIT_AGAIN);
	run(VMEXIT_VINTR, 0);
	assert_int_equal(vmcb.control.virtual_intr & VMCB_V_PRIO, 3ull << VMCB_V_PRIO_SHIFT);
	end_run();
}

/* A run that begins in a shadow, at the HLT behind an STI, while an interrupt waits. */
static void begin_in_shadow(void)
{
	vcpu.rip = 0x1000;
	vcpu.run_until_tsc = ~0ull;
	vmcb.control.intr_shadow = VMCB_SHADOW;
	svm_request_window(&vcpu, 6, false);
}

static void an_interrupt_that_lost_its_shadow_waits_for_one_instruction(void **state)
{
	(void)state;
	begin_in_shadow();
	run(VMEXIT_VINTR, 0);
	assert_true(vmcb.control.virtual_intr & VMCB_V_IRQ);
	vmcb.control.intr_shadow = 0;
	end_run();
	assert_int_equal(svm_event_vintr(&vcpu), EXIT_AGAIN);
	assert_false(svm_interrupt_allowed(&vcpu));

	run(VMEXIT_HLT, 0);
	assert_false(vmcb.control.virtual_intr & VMCB_V_IRQ);
	assert_true(svm_event_deadline(&vcpu) < vcpu.run_until_tsc);
	vmcb.control.intr_shadow = 0;
	end_run();
	svm_skip(&vcpu, 1);
	assert_true(svm_interrupt_allowed(&vcpu));

	run(VMEXIT_VINTR, 0);
	assert_true(vmcb.control.virtual_intr & VMCB_V_IRQ);
	assert_int_equal(svm_event_deadline(&vcpu), vcpu.run_until_tsc);
	end_run();
	assert_int_equal(svm_event_vintr(&vcpu), EXIT_WINDOW);
}

static void a_shadow_that_vmrun_loads_costs_nothing(void **state)
{
	(void)state;
	begin_in_shadow();
	for (u32 i = 0; i < 3; i++) {
		run(VMEXIT_INTR, 0);
		assert_true(vmcb.control.virtual_intr & VMCB_V_IRQ);
		assert_int_equal(svm_event_deadline(&vcpu), vcpu.run_until_tsc);
		end_run();
	}
	run(VMEXIT_VINTR, 0);
	vmcb.save.rip = 0x1001;
	vmcb.control.intr_shadow = 0;
	end_run();
	assert_int_equal(svm_event_vintr(&vcpu), EXIT_WINDOW);
}

static void a_shadow_that_an_event_ended_does_not_come_back(void **state)
{
	(void)state;
	begin_in_shadow();
	svm_inject(
		&vcpu, &(struct virt_event){.valid = true, .vector = 13, .type = EVENT_EXCEPTION});
	run(VMEXIT_INTR, 0);
	vmcb.control.intr_shadow = 0;
	end_run();
	assert_true(svm_interrupt_allowed(&vcpu));
}

/* The instruction behind STI is in a page that has to come from the disk. */
static void faults_do_not_wear_a_shadow_out(void **state)
{
	(void)state;
	begin_in_shadow();
	for (u32 i = 0; i < 100; i++) {
		run(VMEXIT_NPF, 0);
		vmcb.control.intr_shadow = 0;
		end_run();
		assert_false(svm_interrupt_allowed(&vcpu));
	}
}

/* Also where our own step for an NMI is what ended it. */
static void a_step_ends_a_shadow(void **state)
{
	(void)state;
	begin_in_shadow();
	svm_request_window(&vcpu, 6, true);
	run(VMEXIT_NPF, 0);
	vmcb.control.intr_shadow = 0;
	end_run();
	assert_false(svm_nmi_allowed(&vcpu));
	run(VMEXIT_EXCP0 + 1, 0);
	assert_true(vmcb.save.rflags & RFLAGS_TF);
	vmcb.control.intr_shadow = 0;
	vmcb.save.dr6 |= DR6_BS;
	end_run();
	assert_true(svm_nmi_allowed(&vcpu));
	assert_true(svm_interrupt_allowed(&vcpu));
}

static void where_nothing_waits_a_lost_shadow_shortens_no_run(void **state)
{
	(void)state;
	begin_in_shadow();
	svm_request_window(&vcpu, 0, false);
	run(VMEXIT_INTR, 0);
	vmcb.control.intr_shadow = 0;
	end_run();
	assert_false(svm_interrupt_allowed(&vcpu));
	run(VMEXIT_HLT, 0);
	assert_int_equal(svm_event_deadline(&vcpu), vcpu.run_until_tsc);
	end_run();
}

static void a_guest_that_jumps_on_the_spot_is_interrupted_in_the_end(void **state)
{
	u32 runs = 0;

	(void)state;
	begin_in_shadow();
	do {
		run(runs ? VMEXIT_INTR : VMEXIT_VINTR, 0);
		vmcb.control.intr_shadow = 0;
		end_run();
		assert_true(++runs < 100);
	} while (!svm_interrupt_allowed(&vcpu));
	assert_true(runs > 2);
	run(VMEXIT_VINTR, 0);
	assert_true(vmcb.control.virtual_intr & VMCB_V_IRQ);
	end_run();
	assert_int_equal(svm_event_vintr(&vcpu), EXIT_WINDOW);
}

static void stepping_over_an_instruction_moves_rip_and_ends_the_shadow(void **state)
{
	(void)state;
	vmcb.control.intr_shadow = VMCB_SHADOW;
	vcpu.rip = 0xfffffffe;
	svm_skip(&vcpu, 2);
	assert_int_equal(vcpu.rip, 0); /* 32-bit code */
	assert_int_equal(vmcb.control.intr_shadow, 0);
	assert_false(vcpu.reinject.valid);
	vmcb.save.efer = EFER_LMA;
	vmcb.save.cs.attributes = VMCB_ATTR_L;
	vcpu.rip = 0xfffffffe;
	svm_skip(&vcpu, 2);
	assert_int_equal(vcpu.rip, 0x100000000);
}

static void a_guest_that_steps_itself_gets_its_trap(void **state)
{
	(void)state;
	vcpu.rflags |= RFLAGS_TF;
	svm_skip(&vcpu, 2);
	assert_true(vcpu.reinject.valid);
	assert_int_equal(vcpu.reinject.vector, 1);
	assert_true(vmcb.save.dr6 & DR6_BS);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_exception_cut_short_is_delivered_by_the_next_run),
		TEST(an_interrupt_cut_short_has_no_error_code),
		TEST(stale_bits_without_valid_are_nothing),
		TEST(software_interrupts_are_executed_again_instead),
		TEST(nmis_stay_closed_until_the_iret_is_executed),
		TEST(an_nmi_cut_short_is_delivered_once_and_keeps_nmis_closed),
		TEST(a_waiting_nmi_steps_over_the_iret),
		TEST(a_step_that_an_exit_cut_short_leaves_no_trap_flag),
		TEST(an_nmi_window_that_is_open_is_told_without_a_run),
		TEST(interrupts_wait_for_if_shadow_and_what_is_pending),
		TEST(a_window_is_a_virtual_interrupt_of_its_class),
		TEST(a_window_withdrawn_asks_for_nothing),
		TEST(an_interrupt_that_lost_its_shadow_waits_for_one_instruction),
		TEST(a_shadow_that_vmrun_loads_costs_nothing),
		TEST(a_shadow_that_an_event_ended_does_not_come_back),
		TEST(faults_do_not_wear_a_shadow_out),
		TEST(a_step_ends_a_shadow),
		TEST(where_nothing_waits_a_lost_shadow_shortens_no_run),
		TEST(a_guest_that_jumps_on_the_spot_is_interrupted_in_the_end),
		TEST(stepping_over_an_instruction_moves_rip_and_ends_the_shadow),
		TEST(a_guest_that_steps_itself_gets_its_trap),
		TEST(a_cpu_that_lets_equal_priority_in_is_asked_for_one_class_less),
	};

	return cmocka_run_group_tests_name("unit/svm_event", tests, NULL, NULL);
}
