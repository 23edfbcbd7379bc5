/* SRCS: hv/vmx/exit.c hv/vmx/event.c mm/base/check.c mm/base/fmt.c mm/base/log.c */
/* VT-x's exits as struct vm_exit, and events: injected, interrupted and delivered again, waited
 * for. */
#include "tests/unit/vmx_rig.h"
#include "hv/x86/irq.h"
#include "mm/fault/fault.h"
#include "mm/platform.h"
#include <stdlib.h>

#define VALID      EVENT_INFO_VALID
#define TYPE(t)    ((u32)(t) << 8)
#define RIP_BEFORE 0x1000

static struct vm_exit out;
static u32 dispatched, db_count;

void platform_log(enum log_level level, const char *line)
{
	(void)level, (void)line;
}

noreturn_fn void platform_panic(const char *what)
{
	print_error("%s\n", what);
	abort();
}

void irq_dispatch(u8 vector)
{
	dispatched = vector;
}

void vmx_cr_exit(struct virt_vcpu *which, struct vm_exit *exit)
{
	(void)which;
	exit->kind = EXIT_AGAIN;
}

void vmx_debug_exit_mov_dr(struct virt_vcpu *which, struct vm_exit *exit)
{
	(void)which;
	exit->kind = EXIT_AGAIN;
}

void vmx_debug_exit_db(struct virt_vcpu *which, u64 qualification)
{
	(void)which;
	assert_int_equal(qualification, 0x4000);
	db_count++;
}

const char *vmx_reason_name(u32 reason)
{
	(void)reason;
	return "?";
}

void vmx_report_entry_failure(struct virt_vcpu *which, u32 reason, u64 qualification)
{
	(void)which, (void)qualification;
	assert_int_equal(reason, REASON_ENTRY_GUEST_STATE);
}

static int setup(void **state)
{
	(void)state;
	rig_reset();
	memset(apic_page, 0, sizeof(apic_page));
	dispatched = db_count = 0;
	vmx.proc = vmx_caps.proc;
	vcpu.rip = RIP_BEFORE;
	vcpu.rflags = RFLAGS_FIXED | RFLAGS_IF;
	vmwrite(VMCS_CR0_SHADOW, CR0_PE);
	return 0;
}

static enum vm_exit_kind leave(u32 reason, u64 qualification)
{
	vmwrite(VMCS_EXIT_REASON, reason);
	vmwrite(VMCS_EXIT_QUALIFICATION, qualification);
	memset(&out, 0xff, sizeof(out));
	vmx_exit_translate(&vcpu, &out);
	return out.kind;
}

static void nested_faults_tell_the_access(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_PHYSICAL, 0x123456);
	vmwrite(VMCS_GUEST_LINEAR, 0xffff800000123456);
	assert_int_equal(leave(REASON_EPT_VIOLATION, EPTQ_WRITE | EPTQ_LINEAR_VALID | EPTQ_FINAL),
		EXIT_GPA_FAULT);
	assert_int_equal(out.fault.gpa.v, 0x123456);
	assert_int_equal(out.fault.access, SLAT_WRITE);
	assert_true(out.fault.linear_valid);
	assert_int_equal(out.fault.linear, 0xffff800000123456);
	/* The walk itself, and with A/D bits it counts as a write. */
	leave(REASON_EPT_VIOLATION, EPTQ_READ | EPTQ_WRITE | EPTQ_LINEAR_VALID);
	assert_int_equal(out.fault.access, SLAT_READ | SLAT_WRITE | FAULT_WALK);
	/* PDPTEs, loaded by MOV to CR3. */
	leave(REASON_EPT_VIOLATION, EPTQ_READ);
	assert_int_equal(out.fault.access, SLAT_READ | FAULT_WALK);
	assert_false(out.fault.linear_valid);
	leave(REASON_EPT_VIOLATION, EPTQ_FETCH | EPTQ_LINEAR_VALID | EPTQ_FINAL);
	assert_int_equal(out.fault.access, SLAT_EXEC);
}

static void port_accesses_tell_all(void **state)
{
	(void)state;
	vmwrite(VMCS_EXIT_INSN_BYTES, 2);
	assert_int_equal(leave(REASON_IO, 0x3f8ull << 16 | 8), EXIT_IO);
	assert_int_equal(out.io.port, 0x3f8);
	assert_int_equal(out.io.bytes, 1);
	assert_true(out.io.in);
	assert_false(out.io.string);
	assert_int_equal(out.insn_bytes, 2);
	/* REP OUTSD from FS, 64-bit addresses. */
	vmwrite(VMCS_EXIT_INSN_INFO, 2 << 7 | SEG_FS << 15);
	leave(REASON_IO, 0x170ull << 16 | 0x30 | 3);
	assert_int_equal(out.io.bytes, 4);
	assert_true(out.io.string && out.io.rep && !out.io.in);
	assert_int_equal(out.io.address_bytes, 8);
	assert_int_equal(out.io.segment, SEG_FS);
	vmx_caps.string_io_info = false;
	leave(REASON_IO, 0x170ull << 16 | 0x30 | 3);
	assert_int_equal(out.io.address_bytes, 0);
	assert_int_equal(out.io.segment, SEG_DS);
}

static void msr_accesses_tell_index_and_value(void **state)
{
	(void)state;
	vcpu.gpr[GPR_RCX] = 0xffffffffc0000080;
	vcpu.gpr[GPR_RAX] = 0x1122334455667788;
	vcpu.gpr[GPR_RDX] = 0x99aabbccddeeff00;
	assert_int_equal(leave(REASON_WRMSR, 0), EXIT_MSR_WRITE);
	assert_int_equal(out.msr.index, 0xc0000080);
	assert_int_equal(out.msr.value, 0xddeeff0055667788);
	assert_int_equal(leave(REASON_RDMSR, 0), EXIT_MSR_READ);
}

static void the_host_takes_its_interrupts(void **state)
{
	(void)state;
	vmwrite(VMCS_EXIT_EVENT, VALID | 0xf1);
	assert_int_equal(leave(REASON_EXTERNAL_INTERRUPT, 0), EXIT_HOST_INTERRUPT);
	assert_int_equal(dispatched, 0xf1);
	vmx_caps.timer = false; /* then the host's timer ends the slice */
	vcpu.run_until_tsc = 0;
	assert_int_equal(leave(REASON_EXTERNAL_INTERRUPT, 0), EXIT_TIME_UP);
	vcpu.run_until_tsc = ~0ull;
	assert_int_equal(leave(REASON_EXTERNAL_INTERRUPT, 0), EXIT_HOST_INTERRUPT);
}

static void a_capped_timer_goes_on(void **state)
{
	(void)state;
	vcpu.run_until_tsc = ~0ull;
	assert_int_equal(leave(REASON_PREEMPTION_TIMER, 0), EXIT_AGAIN);
	vcpu.run_until_tsc = 0;
	assert_int_equal(leave(REASON_PREEMPTION_TIMER, 0), EXIT_TIME_UP);
}

static void what_is_not_offered_is_undefined(void **state)
{
	static const u32 reasons[] = {REASON_VMXON, REASON_VMREAD, REASON_INVEPT, REASON_MONITOR,
		REASON_MWAIT, REASON_RDPMC, REASON_GETSEC};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(reasons); i++)
		assert_int_equal(leave(reasons[i], 0), EXIT_UNDEFINED);
	assert_int_equal(leave(REASON_TASK_SWITCH, 0), EXIT_UNKNOWN);
	assert_int_equal(leave(REASON_EPT_MISCONFIG, 0), EXIT_UNKNOWN);
	assert_int_equal(leave(REASON_TRIPLE_FAULT, 0), EXIT_TRIPLE_FAULT);
	assert_int_equal(leave(4711, 0), EXIT_UNKNOWN);
	assert_int_equal(
		leave(EXIT_REASON_ENTRY_FAILURE | REASON_ENTRY_GUEST_STATE, 0), EXIT_ENTRY_FAILED);
}

static void exceptions_are_reflected_and_int1_is_a_trap(void **state)
{
	(void)state;
	vmwrite(VMCS_EXIT_EVENT, VALID | TYPE(EVENT_EXCEPTION) | EVENT_INFO_ERROR | 17);
	vmwrite(VMCS_EXIT_EVENT_ERROR, 0);
	assert_int_equal(leave(REASON_EXCEPTION_NMI, 0), EXIT_EXCEPTION);
	assert_int_equal(out.exception.vector, 17);
	assert_true(out.exception.has_error);
	vmwrite(VMCS_EXIT_INSN_BYTES, 1);
	vmwrite(VMCS_EXIT_EVENT, VALID | TYPE(EVENT_PRIV_SOFT_EXCEPTION) | 1);
	assert_int_equal(leave(REASON_EXCEPTION_NMI, 0x4000), EXIT_EXCEPTION);
	assert_int_equal(out.exception.type, EVENT_EXCEPTION);
	assert_int_equal(vcpu.rip, RIP_BEFORE + 1);
	assert_true(vcpu.state_dirty);
	assert_int_equal(db_count, 1);
}

static void an_exception_meets_an_event_under_way(void **state)
{
	(void)state;
	vmwrite(VMCS_EXIT_EVENT, VALID | TYPE(EVENT_EXCEPTION) | EVENT_INFO_ERROR | 17);
	/* The older exception comes again by itself ... */
	vmwrite(VMCS_VECTORING_EVENT, VALID | TYPE(EVENT_EXCEPTION) | 0);
	assert_int_equal(leave(REASON_EXCEPTION_NMI, 0), EXIT_EXCEPTION);
	assert_false(vcpu.reinject.valid);
	/* ... an interrupt would not. */
	vmwrite(VMCS_VECTORING_EVENT, VALID | TYPE(EVENT_INTR) | 0x40);
	assert_int_equal(leave(REASON_EXCEPTION_NMI, 0), EXIT_AGAIN);
	assert_true(vcpu.reinject.valid);
	assert_int_equal(vcpu.reinject.vector, 0x40);
}

static void what_was_being_delivered_is_delivered_again(void **state)
{
	(void)state;
	vmwrite(VMCS_VECTORING_EVENT, VALID | TYPE(EVENT_EXCEPTION) | EVENT_INFO_ERROR | 14);
	vmwrite(VMCS_VECTORING_ERROR, 6);
	leave(REASON_EPT_VIOLATION, EPTQ_WRITE | EPTQ_LINEAR_VALID | EPTQ_FINAL);
	assert_true(vcpu.reinject.valid);
	assert_false(vmx_interrupt_allowed(&vcpu));
	assert_false(vmx_nmi_allowed(&vcpu));
	vmx_event_prepare(&vcpu);
	assert_int_equal(
		vmread(VMCS_ENTRY_EVENT), VALID | TYPE(EVENT_EXCEPTION) | EVENT_INFO_ERROR | 14);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT_ERROR), 6);
	/* A software interrupt needs its length. */
	vmwrite(VMCS_VECTORING_EVENT, VALID | TYPE(EVENT_SOFT_INTR) | 0x80);
	vmwrite(VMCS_EXIT_INSN_BYTES, 2);
	leave(REASON_EPT_VIOLATION, EPTQ_WRITE | EPTQ_LINEAR_VALID | EPTQ_FINAL);
	vmx_event_prepare(&vcpu);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), VALID | TYPE(EVENT_SOFT_INTR) | 0x80);
	assert_int_equal(vmread(VMCS_ENTRY_INSN_BYTES), 2);
	/* Once delivered it is gone. */
	vmwrite(VMCS_VECTORING_EVENT, 0);
	leave(REASON_CPUID, 0);
	assert_false(vcpu.reinject.valid);
	assert_true(vmx_interrupt_allowed(&vcpu));
}

static void nmi_blocking_follows_what_happened(void **state)
{
	u64 fault = EPTQ_WRITE | EPTQ_LINEAR_VALID | EPTQ_FINAL;

	(void)state;
	/* An NMI whose delivery broke off: unblocked, or the entry is refused. */
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_NMI);
	vmwrite(VMCS_VECTORING_EVENT, VALID | TYPE(EVENT_NMI) | 2);
	leave(REASON_EPT_VIOLATION, fault);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
	/* An IRET that faulted after it had unblocked NMIs runs again: blocked again. */
	vcpu.reinject.valid = false;
	vmwrite(VMCS_VECTORING_EVENT, 0);
	leave(REASON_EPT_VIOLATION, fault | EPTQ_NMI_UNBLOCK);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCKING_NMI);
	assert_false(vmx_nmi_allowed(&vcpu));
	assert_true(vmx_interrupt_allowed(&vcpu));
}

static void error_codes_go_where_the_cpu_wants_them(void **state)
{
	struct virt_event ud = {
		.valid = true, .vector = 6, .type = EVENT_EXCEPTION, .has_error = true, .error = 5};
	struct virt_event gp = {.valid = true,
		.vector = 13,
		.type = EVENT_EXCEPTION,
		.has_error = true,
		.error = 8};

	(void)state;
	vmx_inject(&vcpu, &ud);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), VALID | TYPE(EVENT_EXCEPTION) | 6);
	vmx.event_set = false;
	vmx_inject(&vcpu, &gp);
	assert_int_equal(
		vmread(VMCS_ENTRY_EVENT), VALID | TYPE(EVENT_EXCEPTION) | EVENT_INFO_ERROR | 13);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT_ERROR), 8);
	vmx.event_set = false;
	vmwrite(VMCS_CR0_SHADOW, 0); /* real mode has none */
	vmx_inject(&vcpu, &gp);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), VALID | TYPE(EVENT_EXCEPTION) | 13);
	assert_false(vmx_interrupt_allowed(&vcpu));
}

static u32 prepared(void)
{
	vmx_event_prepare(&vcpu);
	assert_int_equal(vmread(VMCS_PROC_CONTROLS) & (PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW),
		vmx.proc & (PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW));
	assert_true(vmread(VMCS_TPR_THRESHOLD) <= (u64)(apic_page[0x80] >> 4));
	return vmx.proc & (PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW);
}

static void a_window_waits_for_the_tpr_or_for_the_flag(void **state)
{
	(void)state;
	assert_int_equal(prepared(), 0);
	vmx_request_window(&vcpu, 4, false);
	assert_int_equal(prepared(), PROC_INTERRUPT_WINDOW);
	vcpu.tpr = 6;
	assert_int_equal(prepared(), 0);
	assert_int_equal(vmread(VMCS_TPR_THRESHOLD), 4);
	assert_int_equal(apic_page[0x80], 0x60);
	vcpu.tpr = 3;
	assert_int_equal(prepared(), PROC_INTERRUPT_WINDOW);
	assert_int_equal(vmread(VMCS_TPR_THRESHOLD), 0);
	vmx_request_window(&vcpu, 0, true);
	assert_int_equal(prepared(), PROC_NMI_WINDOW);
	vmx_request_window(&vcpu, 0, false);
	assert_int_equal(prepared(), 0);
}

static void shadows_and_flags_hold_events_back(void **state)
{
	(void)state;
	assert_true(vmx_interrupt_allowed(&vcpu) && vmx_nmi_allowed(&vcpu));
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_STI);
	assert_false(vmx_interrupt_allowed(&vcpu));
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_MOV_SS);
	assert_false(vmx_interrupt_allowed(&vcpu) || vmx_nmi_allowed(&vcpu));
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vcpu.rflags |= RFLAGS_TF;
	assert_true(vmx_interrupt_allowed(&vcpu) && vmx_nmi_allowed(&vcpu));
	vmx_skip(&vcpu, 2); /* leaves a #DB, which comes before both */
	assert_false(vmx_interrupt_allowed(&vcpu) || vmx_nmi_allowed(&vcpu));
	vcpu.rflags &= ~(RFLAGS_TF | RFLAGS_IF);
	assert_false(vmx_interrupt_allowed(&vcpu));
	assert_true(vmx_nmi_allowed(&vcpu));
}

static void a_skipped_instruction_ends_as_if_it_had_run(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_STI | BLOCKING_NMI);
	vcpu.rflags |= RFLAGS_RF;
	vmx_skip(&vcpu, 2);
	assert_int_equal(vcpu.rip, RIP_BEFORE + 2);
	assert_int_equal(vcpu.rflags & RFLAGS_RF, 0);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCKING_NMI);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), 0);
	vcpu.rflags |= RFLAGS_TF;
	vmx_skip(&vcpu, 3);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), PENDING_DEBUG_BS);
	/* EIP wraps, RIP does not. */
	vcpu.rip = 0xfffffffe;
	vmx_skip(&vcpu, 3);
	assert_int_equal(vcpu.rip, 1);
	vmwrite(VMCS_GUEST_CS_RIGHTS, 0xa09b);
	vcpu.rip = 0xfffffffe;
	vmx_skip(&vcpu, 3);
	assert_int_equal(vcpu.rip, 0x100000001);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nested_faults_tell_the_access),
		TEST(port_accesses_tell_all),
		TEST(msr_accesses_tell_index_and_value),
		TEST(the_host_takes_its_interrupts),
		TEST(a_capped_timer_goes_on),
		TEST(what_is_not_offered_is_undefined),
		TEST(exceptions_are_reflected_and_int1_is_a_trap),
		TEST(an_exception_meets_an_event_under_way),
		TEST(what_was_being_delivered_is_delivered_again),
		TEST(nmi_blocking_follows_what_happened),
		TEST(error_codes_go_where_the_cpu_wants_them),
		TEST(a_window_waits_for_the_tpr_or_for_the_flag),
		TEST(shadows_and_flags_hold_events_back),
		TEST(a_skipped_instruction_ends_as_if_it_had_run),
	};

	return cmocka_run_group_tests_name("unit/vmx_exit", tests, NULL, NULL);
}
