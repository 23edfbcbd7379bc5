/* SRCS: hv/vmx/entry_check.c hv/vmx/sregs.c hv/vmx/cr.c mm/base/log.c mm/base/fmt.c
   mm/base/check.c */
/* A refused entry is explained: each field that is made wrong is named, and a good state blames
 * none. */
#include "tests/unit/vmx_rig.h"
#include "mm/platform.h"
#include "mm/space/space.h"
#include <stdio.h>
#include <stdlib.h>

static char said[65536];

void platform_log(enum log_level level, const char *line)
{
	(void)level;
	strncat(said, line, sizeof(said) - strlen(said) - 2);
	strcat(said, "\n");
}

noreturn_fn void platform_panic(const char *what)
{
	print_error("%s\n", what);
	abort();
}

void *platform_frame_va(pfn_t pfn)
{
	(void)pfn;
	return NULL;
}

err_t space_pin(struct space *space, gfn_t gfn, bool write, pfn_t *out)
{
	(void)space, (void)gfn, (void)write, (void)out;
	return E_NOMEM;
}

void space_unpin(struct space *space, pfn_t pfn)
{
	(void)space, (void)pfn;
}

void vmx_dump(struct virt_vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
}

void vmx_skip(struct virt_vcpu *which, u8 bytes)
{
	(void)which, (void)bytes;
}

const char *vmx_reason_name(u32 reason)
{
	return reason == REASON_ENTRY_GUEST_STATE ? "invalid guest state" : "?";
}

static int setup(void **state)
{
	struct virt_sregs s = rig_sregs_long();

	(void)state;
	rig_reset();
	said[0] = '\0';
	vmx_set_sregs(&vcpu, &s);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(VMCS_GUEST_RIP, 0xffffffff81000000);
	vmwrite(VMCS_GUEST_PAT, 0x0007040600070406);
	vmwrite(VMCS_GUEST_DR7, 0x400);
	vmwrite(VMCS_LINK_POINTER, ~0ull);
	vmwrite(VMCS_VPID, 7);
	vmwrite(VMCS_EPT_POINTER, 0x5000 | EPTP_WRITE_BACK | EPTP_4_LEVEL);
	vmwrite(VMCS_HOST_CR0, CR0_PE | CR0_NE | CR0_PG);
	vmwrite(VMCS_HOST_CR4, CR4_VMXE);
	vmwrite(VMCS_HOST_EFER, EFER_LME | EFER_LMA);
	vmwrite(VMCS_HOST_CS_SELECTOR, 8);
	vmwrite(VMCS_HOST_TR_SELECTOR, 0x20);
	return 0;
}

static void a_good_state_blames_no_field(void **state)
{
	(void)state;
	vmx_report_entry_failure(&vcpu, REASON_ENTRY_GUEST_STATE, 0);
	assert_non_null(strstr(said, "none of the checks known here fails"));
	assert_null(strstr(said, " is 0x"));
}

static void a_good_host_blames_no_field(void **state)
{
	(void)state;
	vmx_report_vmfail(&vcpu);
	assert_null(strstr(said, " is 0x"));
}

struct break_case {
	u32 field;
	u64 value;
	const char *name; /* of the field, as the report has it */
};

static const struct break_case guest_cases[] = {
	{VMCS_GUEST_CR0, CR0_PE | CR0_PG, "CR0"},
	{VMCS_GUEST_CR0, CR0_PG | CR0_NE, "CR0"},
	{VMCS_GUEST_CR4, CR4_PAE, "CR4"},
	{VMCS_GUEST_CR4, CR4_VMXE, "CR4"},
	{VMCS_GUEST_CR4, CR4_VMXE | CR4_PAE | CR4_PKS, "CR4"},
	{VMCS_GUEST_CR3, 1ull << 40, "CR3"},
	{VMCS_GUEST_EFER, EFER_LME, "EFER"},
	{VMCS_GUEST_EFER, EFER_LMA, "EFER"},
	{VMCS_GUEST_EFER, EFER_LMA | EFER_LME | EFER_SVME, "EFER"},
	{VMCS_GUEST_PAT, 2, "PAT"},
	{VMCS_GUEST_DEBUGCTL, 1ull << 20, "DEBUGCTL"},
	{VMCS_GUEST_DR7, 1ull << 32, "DR7"},
	{VMCS_GUEST_SYSENTER_ESP, 1ull << 63, "SYSENTER_ESP"},
	{VMCS_GUEST_SYSENTER_EIP, 1ull << 63, "SYSENTER_EIP"},
	{VMCS_GUEST_RIP, 1ull << 63, "RIP"},
	{VMCS_GUEST_RFLAGS, RFLAGS_FIXED | 8, "RFLAGS"},
	{VMCS_GUEST_RFLAGS, 0, "RFLAGS"},
	{VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_VM, "RFLAGS"},
	{VMCS_ENTRY_EVENT, EVENT_INFO_VALID | 0x40, "RFLAGS"},
	{VMCS_GUEST_CS_RIGHTS, 0xa09a, "CS"},
	{VMCS_GUEST_CS_RIGHTS, 0xe09b, "CS"},
	{VMCS_GUEST_CS_RIGHTS, 0xa01b, "CS"},
	{VMCS_GUEST_CS_RIGHTS, 0xa0fb, "CS"},
	{VMCS_GUEST_ES_LIMIT + 2 * SEG_CS, 0x12345, "CS"},
	{VMCS_GUEST_SS_RIGHTS, 0xc09b, "SS"},
	{VMCS_GUEST_ES_RIGHTS, 0xc092, "ES"},
	{VMCS_GUEST_ES_RIGHTS, 0xc083, "ES"},
	{VMCS_GUEST_ES_BASE, 1ull << 32, "ES"},
	{VMCS_GUEST_FS_BASE, 1ull << 63, "FS"},
	{VMCS_GUEST_GS_BASE, 1ull << 63, "GS"},
	{VMCS_GUEST_TR_RIGHTS, 0x83, "TR"},
	{VMCS_GUEST_TR_RIGHTS, RIGHTS_UNUSABLE, "TR"},
	{VMCS_GUEST_TR_SELECTOR, 0x24, "TR"},
	{VMCS_GUEST_TR_BASE, 1ull << 63, "TR"},
	{VMCS_GUEST_LDTR_RIGHTS, 0x8b, "LDTR"},
	{VMCS_GUEST_GDTR_BASE, 1ull << 63, "GDTR base"},
	{VMCS_GUEST_IDTR_BASE, 1ull << 63, "IDTR base"},
	{VMCS_GUEST_GDTR_LIMIT, 0x10000, "GDTR limit"},
	{VMCS_GUEST_IDTR_LIMIT, 0x10000, "IDTR limit"},
	{VMCS_GUEST_ACTIVITY, 4, "activity state"},
	{VMCS_GUEST_INTERRUPTIBILITY, 0x20, "interruptibility"},
	{VMCS_GUEST_INTERRUPTIBILITY, 3, "interruptibility"},
	{VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_STI, "interruptibility"},
	{VMCS_GUEST_PENDING_DEBUG, 1ull << 20, "pending debug exceptions"},
	{VMCS_LINK_POINTER, 0, "VMCS link pointer"},
};

static void each_broken_guest_field_is_named(void **state)
{
	u32 i;

	for (i = 0; i < ARRAY_COUNT(guest_cases); i++) {
		const struct break_case *c = &guest_cases[i];
		char wanted[64];

		setup(state);
		vmwrite(c->field, c->value);
		vmx_report_entry_failure(&vcpu, REASON_ENTRY_GUEST_STATE, 0);
		snprintf(wanted, sizeof(wanted), "test: %s is 0x", c->name);
		if (!strstr(said, wanted))
			fail_msg("field 0x%x = 0x%llx: \"%s\" is not in:\n%s", c->field,
				(unsigned long long)c->value, wanted, said);
	}
}

static const struct break_case control_cases[] = {
	{VMCS_IO_BITMAP_A, 1, "I/O bitmap A"},
	{VMCS_IO_BITMAP_B, 1, "I/O bitmap B"},
	{VMCS_MSR_BITMAP, 1, "MSR bitmap"},
	{VMCS_VIRTUAL_APIC_PAGE, 8, "virtual-APIC page"},
	{VMCS_EPT_POINTER, 0x5000, "EPT pointer"},
	{VMCS_VPID, 0, "VPID"},
	{VMCS_ENTRY_EVENT, EVENT_INFO_VALID | EVENT_SOFT_INTR << 8 | 0x80,
		"entry instruction length"},
	{VMCS_ENTRY_EVENT, EVENT_INFO_VALID | EVENT_NMI << 8 | 3, "entry event"},
	{VMCS_ENTRY_EVENT, EVENT_INFO_VALID | EVENT_EXCEPTION << 8 | 32, "entry event"},
	{VMCS_HOST_CR0, CR0_PE, "host CR0"},
	{VMCS_HOST_CR4, 0, "host CR4"},
	{VMCS_HOST_EFER, 0, "host EFER"},
	{VMCS_HOST_TR_SELECTOR, 0, "host TR"},
	{VMCS_HOST_CS_SELECTOR, 0xb, "host CS"},
	{VMCS_HOST_GS_BASE, 1ull << 63, "host GS base"},
	{VMCS_HOST_RIP, 1ull << 63, "host RIP"},
	{VMCS_HOST_CR3, 1ull << 45, "host CR3"},
};

static void each_broken_control_or_host_field_is_named(void **state)
{
	u32 i;

	for (i = 0; i < ARRAY_COUNT(control_cases); i++) {
		const struct break_case *c = &control_cases[i];
		char wanted[64];

		setup(state);
		vmwrite(c->field, c->value);
		vmwrite(VMCS_INSTRUCTION_ERROR, 7);
		vmx_report_vmfail(&vcpu);
		snprintf(wanted, sizeof(wanted), "test: %s is 0x", c->name);
		if (!strstr(said, wanted))
			fail_msg("field 0x%x: \"%s\" is not in:\n%s", c->field, wanted, said);
		assert_non_null(strstr(said, "error 7, entry with invalid control fields"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_good_state_blames_no_field, setup),
		cmocka_unit_test_setup(a_good_host_blames_no_field, setup),
		cmocka_unit_test_setup(each_broken_guest_field_is_named, setup),
		cmocka_unit_test_setup(each_broken_control_or_host_field_is_named, setup),
	};

	return cmocka_run_group_tests_name("unit/vmx_entry_check", tests, NULL, NULL);
}
