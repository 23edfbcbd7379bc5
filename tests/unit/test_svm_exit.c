/* SRCS: hv/svm/exit.c hv/svm/sregs.c */
/* SVM's exit codes as struct vm_exit, with or without what newer CPUs tell; segments to and fro. */
#include "hv/svm/svm.h"
#include "hv/x86/irq.h"
#include "hv/x86/msr.h"
#include "mm/base/log.h"
#include "mm/fault/fault.h"
#include "tests/fake/cmocka.h"
#include <string.h>

struct svm_features svm_features;

static struct vmcb vmcb;
static struct svm_vcpu svm;
static struct virt_vcpu vcpu;
static struct vm_exit out;
static u32 window_count, debug_use_count, explain_count;

void irq_window(void)
{
	window_count++;
}

void svm_debug_use(struct svm_vcpu *which)
{
	assert_ptr_equal(which, &svm);
	debug_use_count++;
}

void svm_explain_entry_failure(struct virt_vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
	explain_count++;
}

bool svm_event_stepped(struct virt_vcpu *which, enum vm_exit_kind *kind)
{
	(void)which;
	(void)kind;
	return false;
}

enum vm_exit_kind svm_event_iret(struct virt_vcpu *which)
{
	(void)which;
	return EXIT_AGAIN;
}

enum vm_exit_kind svm_event_vintr(struct virt_vcpu *which)
{
	(void)which;
	return EXIT_WINDOW;
}

void svm_advance(struct virt_vcpu *which, u8 bytes)
{
	which->rip += bytes;
}

void log_printf(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

static int setup(void **state)
{
	(void)state;
	memset(&svm_features, 0, sizeof(svm_features));
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&vcpu, 0, sizeof(vcpu));
	svm.vmcb = &vmcb;
	vcpu.backend = &svm;
	vcpu.rip = vmcb.save.rip = 0x1000;
	vcpu.run_until_tsc = ~0ull;
	return 0;
}

static void translate(u64 code, u64 info1, u64 info2)
{
	memset(&out, 0, sizeof(out));
	vmcb.control.exit_code = code;
	vmcb.control.exit_info1 = info1;
	vmcb.control.exit_info2 = info2;
	svm_translate_exit(&vcpu, &out);
}

static void nested_faults_tell_the_access(void **state)
{
	static const struct {
		u64 info;
		u32 access;
	} cases[] = {
		{VMCB_NPF_FINAL | 4, SLAT_READ},
		{VMCB_NPF_FINAL | VMCB_NPF_WRITE | 4, SLAT_WRITE},
		{VMCB_NPF_FINAL | VMCB_NPF_FETCH | 4, SLAT_EXEC},
		{0x200000007, SLAT_WRITE | FAULT_WALK},
		{VMCB_NPF_WALK | 4, SLAT_READ | FAULT_WALK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		translate(VMEXIT_NPF, cases[i].info, 0x123456);
		assert_int_equal(out.kind, EXIT_GPA_FAULT);
		assert_int_equal(out.fault.gpa.v, 0x123456);
		assert_int_equal(out.fault.access, cases[i].access);
		assert_false(out.fault.linear_valid);
	}
}

static void a_reserved_bit_in_our_tables_stops_the_vm(void **state)
{
	(void)state;
	translate(VMEXIT_NPF, VMCB_NPF_FINAL | VMCB_NPF_RESERVED | VMCB_NPF_PRESENT, 0x123456);
	assert_int_equal(out.kind, EXIT_UNKNOWN);
}

static void port_accesses_tell_all(void **state)
{
	(void)state;
	translate(VMEXIT_IOIO, 0x3f8 << 16 | BIT(4) | VMCB_IO_IN, 0x1002);
	assert_int_equal(out.kind, EXIT_IO);
	assert_int_equal(out.io.port, 0x3f8);
	assert_int_equal(out.io.bytes, 1);
	assert_true(out.io.in);
	assert_false(out.io.string);
	assert_int_equal(out.insn_bytes, 2);
	/* REP OUTSD with 64-bit addresses; where it lies is told only with decode assists. */
	for (int assists = 0; assists < 2; assists++) {
		svm_features.decode_assists = assists;
		translate(VMEXIT_IOIO,
			0x1f0ull << 16 | SEG_FS << 10 | BIT(9) | BIT(6) | VMCB_IO_REP |
				VMCB_IO_STRING,
			0x1003);
		assert_int_equal(out.io.bytes, 4);
		assert_int_equal(out.io.address_bytes, assists ? 8 : 0);
		assert_true(out.io.string && out.io.rep && !out.io.in);
		assert_int_equal(out.io.segment, assists ? SEG_FS : SEG_DS);
		assert_int_equal(out.insn_bytes, 3);
	}
}

static void lengths_come_from_next_rip_or_from_the_opcode(void **state)
{
	(void)state;
	vmcb.control.next_rip = 0x1004;
	translate(VMEXIT_CPUID, 0, 0);
	assert_int_equal(out.insn_bytes, 2);
	translate(VMEXIT_VMMCALL, 0, 0);
	assert_int_equal(out.kind, EXIT_HYPERCALL);
	assert_int_equal(out.insn_bytes, 3);
	svm_features.next_rip = true;
	translate(VMEXIT_CPUID, 0, 0);
	assert_int_equal(out.insn_bytes, 4);
	/* Not a length: not believed. */
	vmcb.control.next_rip = 0;
	translate(VMEXIT_HLT, 0, 0);
	assert_int_equal(out.kind, EXIT_HLT);
	assert_int_equal(out.insn_bytes, 1);
}

static void msr_accesses_tell_index_and_value(void **state)
{
	(void)state;
	vcpu.gpr[GPR_RCX] = 0xffffffffc0000080;
	vcpu.gpr[GPR_RAX] = 0xdeadbeef00000d01;
	vcpu.gpr[GPR_RDX] = 0xdeadbeef00000002;
	translate(VMEXIT_MSR, 1, 0);
	assert_int_equal(out.kind, EXIT_MSR_WRITE);
	assert_int_equal(out.msr.index, 0xc0000080);
	assert_int_equal(out.msr.value, 0x200000d01);
	translate(VMEXIT_MSR, 0, 0);
	assert_int_equal(out.kind, EXIT_MSR_READ);
}

static void exceptions_are_reflected_and_replace_what_was_delivered(void **state)
{
	(void)state;
	vcpu.reinject.valid = true;
	vmcb.save.dr7 = 0x2401;
	translate(VMEXIT_EXCP0 + 17, 0, 0);
	assert_int_equal(out.kind, EXIT_EXCEPTION);
	assert_int_equal(out.exception.vector, 17);
	assert_true(out.exception.has_error);
	assert_false(vcpu.reinject.valid);
	translate(VMEXIT_EXCP0 + 1, 0, 0);
	assert_int_equal(out.exception.vector, 1);
	assert_false(out.exception.has_error);
	assert_int_equal(vmcb.save.dr7, 0x401); /* GD off, as delivery does */
}

static void int1_is_a_trap(void **state)
{
	(void)state;
	translate(VMEXIT_ICEBP, 0, 0);
	assert_int_equal(out.kind, EXIT_EXCEPTION);
	assert_int_equal(out.exception.vector, 1);
	assert_int_equal(vcpu.rip, 0x1001);
}

static void host_interrupts_are_taken_and_told_from_the_time(void **state)
{
	(void)state;
	window_count = 0;
	translate(VMEXIT_INTR, 0, 0);
	assert_int_equal(window_count, 1);
	assert_int_equal(out.kind, EXIT_HOST_INTERRUPT);
	vcpu.run_until_tsc = 0;
	translate(VMEXIT_INTR, 0, 0);
	assert_int_equal(out.kind, EXIT_TIME_UP);
	translate(VMEXIT_NMI, 0, 0);
	assert_int_equal(window_count, 2);
	assert_int_equal(out.kind, EXIT_HOST_INTERRUPT);
}

static void what_is_not_offered_is_undefined(void **state)
{
	static const u32 codes[] = {VMEXIT_VMRUN, VMEXIT_VMLOAD, VMEXIT_VMSAVE, VMEXIT_STGI,
		VMEXIT_CLGI, VMEXIT_SKINIT, VMEXIT_INVLPGA, VMEXIT_MONITOR, VMEXIT_MWAIT,
		VMEXIT_RDPRU};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
		translate(codes[i], 0, 0);
		assert_int_equal(out.kind, EXIT_UNDEFINED);
	}
}

static void ends_are_told_apart(void **state)
{
	(void)state;
	translate(VMEXIT_SHUTDOWN, 0, 0);
	assert_int_equal(out.kind, EXIT_TRIPLE_FAULT);
	translate(VMEXIT_INVALID, 0, 0);
	assert_int_equal(out.kind, EXIT_ENTRY_FAILED);
	translate(~0ull, 0, 0);
	assert_int_equal(out.kind, EXIT_ENTRY_FAILED);
	assert_int_equal(explain_count, 2);
	translate(VMEXIT_TASK_SWITCH, 0, 0);
	assert_int_equal(out.kind, EXIT_UNKNOWN);
	assert_int_equal(out.raw_reason, VMEXIT_TASK_SWITCH);
	translate(VMEXIT_READ_DR0 + 0x13, 0, 0);
	assert_int_equal(out.kind, EXIT_AGAIN);
	assert_int_equal(debug_use_count, 1);
}

static void assert_same_segment(const struct virt_segment *a, const struct virt_segment *b)
{
	assert_int_equal(a->selector, b->selector);
	assert_int_equal(a->limit, b->limit);
	assert_int_equal(a->attributes, b->attributes);
	assert_int_equal(a->base, b->base);
}

static void segments_survive_the_change_of_format(void **state)
{
	struct virt_sregs in, back;

	(void)state;
	memset(&in, 0, sizeof(in));
	for (u32 i = 0; i < SEG_COUNT; i++)
		in.seg[i] = (struct virt_segment){
			.selector = 8 * i, .limit = ~0u, .attributes = 0xc093, .base = i << 12};
	in.seg[SEG_CS].attributes = 0xa09b;
	in.seg[SEG_GS].attributes = 1u << 16;
	in.tr = (struct virt_segment){.selector = 0x40, .limit = 0x67, .attributes = 0x8b};
	in.ldtr.attributes = 1u << 16;
	in.efer = EFER_LME | EFER_LMA;
	in.cr0 = CR0_PE | CR0_PG;
	in.cpl = 3;
	svm_set_sregs(&vcpu, &in);
	assert_true(vcpu.started);
	assert_int_equal(vmcb.save.cs.attributes, 0xa9b);
	assert_int_equal(vmcb.save.gs.attributes, 0);
	assert_true(vmcb.save.efer & EFER_SVME);
	svm_get_sregs(&vcpu, &back);
	for (u32 i = 0; i < SEG_COUNT; i++)
		assert_same_segment(&in.seg[i], &back.seg[i]);
	assert_same_segment(&in.tr, &back.tr);
	assert_same_segment(&in.ldtr, &back.ldtr);
	assert_int_equal(back.efer, in.efer);
	assert_int_equal(back.cr0, in.cr0);
	assert_int_equal(back.cpl, 3);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nested_faults_tell_the_access),
		TEST(a_reserved_bit_in_our_tables_stops_the_vm),
		TEST(port_accesses_tell_all),
		TEST(lengths_come_from_next_rip_or_from_the_opcode),
		TEST(msr_accesses_tell_index_and_value),
		TEST(exceptions_are_reflected_and_replace_what_was_delivered),
		TEST(int1_is_a_trap),
		TEST(host_interrupts_are_taken_and_told_from_the_time),
		TEST(what_is_not_offered_is_undefined),
		TEST(ends_are_told_apart),
		TEST(segments_survive_the_change_of_format),
	};

	return cmocka_run_group_tests_name("unit/svm_exit", tests, NULL, NULL);
}
