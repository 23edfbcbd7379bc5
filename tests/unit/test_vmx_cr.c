/* SRCS: hv/vmx/cr.c hv/vmx/sregs.c mm/base/check.c mm/base/fmt.c mm/base/log.c */
/* A guest's way from real mode through protected and PAE to long mode, and what it may not do to
 * CR0 and CR4. */
#include "tests/unit/vmx_rig.h"
#include "mm/fault/fault.h"
#include "mm/platform.h"
#include "mm/space/space.h"
#include <stdlib.h>

enum { TO_CR0 = 0, TO_CR4 = 4, CLTS = 2 << 4, LMSW = 3 << 4 };

static u64 guest_page[512];
static u64 present_gpa; /* the one page that can be pinned */
static u32 pin_count;
static struct vm_exit out;

void platform_log(enum log_level level, const char *line)
{
	(void)level, (void)line;
}

noreturn_fn void platform_panic(const char *what)
{
	print_error("%s\n", what);
	abort();
}

void *platform_frame_va(pfn_t pfn)
{
	(void)pfn;
	return guest_page;
}

err_t space_pin(struct space *space, gfn_t gfn, bool write, pfn_t *pfn)
{
	(void)space;
	assert_false(write);
	if (gfn.v != present_gpa >> PAGE_SHIFT)
		return E_WAIT;
	*pfn = PFN(1);
	pin_count++;
	return E_OK;
}

void space_unpin(struct space *space, pfn_t pfn)
{
	(void)space;
	assert_int_equal(pfn.v, 1);
	pin_count--;
}

void vmx_skip(struct virt_vcpu *which, u8 bytes)
{
	which->rip += bytes;
}

static int setup(void **state)
{
	struct virt_sregs s = rig_sregs_long();

	(void)state;
	rig_reset();
	memset(guest_page, 0, sizeof(guest_page));
	present_gpa = 0x1000;
	pin_count = 0;
	s.cr0 = CR0_ET;
	s.cr4 = s.efer = 0;
	s.seg[SEG_CS].attributes = 0x9b;
	vmx_set_sregs(&vcpu, &s);
	return 0;
}

static enum vm_exit_kind access_cr(u64 qualification, u64 value)
{
	vcpu.gpr[GPR_RBX] = value;
	out = (struct vm_exit){.raw_info = qualification | GPR_RBX << 8, .insn_bytes = 3};
	vmx_cr_exit(&vcpu, &out);
	assert_int_equal(pin_count, 0);
	return out.kind;
}

static void set(u64 which, u64 value)
{
	u64 rip = vcpu.rip;

	assert_int_equal(access_cr(which, value), EXIT_AGAIN);
	assert_int_equal(vcpu.rip, rip + 3);
}

static void refused(u64 which, u64 value)
{
	u64 cr0 = vmread(VMCS_GUEST_CR0), cr4 = vmread(VMCS_GUEST_CR4), rip = vcpu.rip;

	assert_int_equal(access_cr(which, value), EXIT_GP);
	assert_int_equal(vmread(VMCS_GUEST_CR0), cr0);
	assert_int_equal(vmread(VMCS_GUEST_CR4), cr4);
	assert_int_equal(vcpu.rip, rip);
}

static void the_cpu_keeps_what_vmx_needs(void **state)
{
	(void)state;
	set(TO_CR0, CR0_PE | CR0_CD | CR0_NW);
	assert_int_equal(vmread(VMCS_GUEST_CR0), CR0_PE | CR0_NE | CR0_ET);
	assert_int_equal(vmx_cr0_get(), CR0_PE | CR0_CD | CR0_NW | CR0_ET);
	set(TO_CR4, CR4_PGE);
	assert_int_equal(vmread(VMCS_GUEST_CR4), CR4_PGE | CR4_VMXE | CR4_MCE);
	assert_int_equal(vmx_cr4_get(), CR4_PGE);
}

static void guest_owned_bits_are_read_from_the_cpu(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_CR0, vmread(VMCS_GUEST_CR0) | CR0_TS | CR0_WP);
	assert_int_equal(vmx_cr0_get() & (CR0_TS | CR0_WP), CR0_TS | CR0_WP);
	vmwrite(VMCS_GUEST_CR4, vmread(VMCS_GUEST_CR4) | CR4_PGE);
	assert_int_equal(vmx_cr4_get(), CR4_PGE);
	set(CLTS, 0);
	assert_int_equal(vmx_cr0_get() & CR0_TS, 0);
}

static void lmsw_sets_pe_and_never_clears_it(void **state)
{
	(void)state;
	set(LMSW | (u64)(CR0_PE | CR0_MP) << 16, 0);
	assert_int_equal(vmx_cr0_get(), CR0_PE | CR0_MP | CR0_ET);
	set(LMSW, 0);
	assert_int_equal(vmx_cr0_get(), CR0_PE | CR0_ET);
}

static void impossible_values_are_the_guests_fault(void **state)
{
	(void)state;
	refused(TO_CR0, CR0_PG);
	refused(TO_CR0, CR0_PE | CR0_NW);
	refused(TO_CR4, CR4_VMXE);
	refused(TO_CR4, CR4_LA57);
	refused(TO_CR4, CR4_PCIDE);
	/* Outside 64-bit mode the upper half of the register does not count. */
	set(TO_CR0, 1ull << 32 | CR0_PE);
}

static void long_mode_begins_and_ends_with_paging(void **state)
{
	(void)state;
	set(TO_CR0, CR0_PE);
	vmx_efer_set(EFER_LME);
	refused(TO_CR0, CR0_PE | CR0_PG); /* without PAE */
	set(TO_CR4, CR4_PAE);
	vmwrite(VMCS_GUEST_TR_RIGHTS, 0x83);
	refused(TO_CR0, CR0_PE | CR0_PG); /* with a 16-bit TSS */
	vmwrite(VMCS_GUEST_TR_RIGHTS, 0x8b);
	flush_count = 0;
	set(TO_CR0, CR0_PE | CR0_PG);
	assert_int_equal(flush_count, 1);
	assert_int_equal(vmread(VMCS_GUEST_EFER), EFER_LME | EFER_LMA);
	assert_true(vmread(VMCS_ENTRY_CONTROLS) & ENTRYCTL_IA32E);

	refused(TO_CR4, 0); /* PAE must stay */
	vmwrite(VMCS_GUEST_CS_RIGHTS, 0xa09b);
	refused(TO_CR0, CR0_PE); /* not from 64-bit code */
	refused(TO_CR0, 1ull << 32 | CR0_PE | CR0_PG);
	vmwrite(VMCS_GUEST_CS_RIGHTS, 0xc09b);
	set(TO_CR0, CR0_PE);
	assert_int_equal(vmread(VMCS_GUEST_EFER), EFER_LME);
	assert_false(vmread(VMCS_ENTRY_CONTROLS) & ENTRYCTL_IA32E);
}

static void pcid_needs_long_mode_and_goes_before_it(void **state)
{
	(void)state;
	set(TO_CR0, CR0_PE);
	vmx_efer_set(EFER_LME);
	set(TO_CR4, CR4_PAE);
	set(TO_CR0, CR0_PE | CR0_PG);
	vmwrite(VMCS_GUEST_CR3, 0x1001);
	refused(TO_CR4, CR4_PAE | CR4_PCIDE); /* with a PCID in CR3 already */
	vmwrite(VMCS_GUEST_CR3, 0x1000);
	set(TO_CR4, CR4_PAE | CR4_PCIDE);
	refused(TO_CR0, CR0_PE);
}

static void pae_paging_loads_four_entries(void **state)
{
	(void)state;
	guest_page[4] = 0x2001;
	guest_page[5] = 0;
	guest_page[6] = 0x3009;
	guest_page[7] = 0x4011;
	vmwrite(VMCS_GUEST_CR3, 0x1020);
	set(TO_CR0, CR0_PE);
	set(TO_CR4, CR4_PAE);
	set(TO_CR0, CR0_PE | CR0_PG);
	assert_int_equal(vmread(VMCS_GUEST_PDPTE0), 0x2001);
	assert_int_equal(vmread(VMCS_GUEST_PDPTE0 + 2), 0);
	assert_int_equal(vmread(VMCS_GUEST_PDPTE0 + 4), 0x3009);
	assert_int_equal(vmread(VMCS_GUEST_PDPTE0 + 6), 0x4011);
	guest_page[5] = 1ull << 40 | 1;
	refused(TO_CR4, CR4_PAE | CR4_PGE);
}

static void an_absent_table_is_faulted_in_first(void **state)
{
	(void)state;
	set(TO_CR0, CR0_PE);
	set(TO_CR4, CR4_PAE);
	vmwrite(VMCS_GUEST_CR3, 0x9000);
	assert_int_equal(access_cr(TO_CR0, CR0_PE | CR0_PG), EXIT_GPA_FAULT);
	assert_int_equal(out.fault.gpa.v, 0x9000);
	assert_int_equal(out.fault.access, SLAT_READ | FAULT_WALK);
	assert_int_equal(vmx_cr0_get(), CR0_PE | CR0_ET);
	present_gpa = 0x9000;
	set(TO_CR0, CR0_PE | CR0_PG);
}

static void start_states_survive(void **state)
{
	struct virt_sregs in = rig_sregs_long(), back;

	(void)state;
	in.seg[SEG_DS].attributes = RIGHTS_UNUSABLE;
	in.seg[SEG_ES].attributes = 0xc092; /* not accessed yet: loading sets that */
	in.tr.attributes = 0x89;            /* not busy yet */
	in.cr2 = 5;
	vmx_set_sregs(&vcpu, &in);
	vmx_get_sregs(&vcpu, &back);
	assert_int_equal(back.cr0, in.cr0);
	assert_int_equal(back.cr4, in.cr4);
	assert_int_equal(back.efer, in.efer);
	assert_int_equal(back.cr2, 5);
	assert_int_equal(back.seg[SEG_DS].attributes, RIGHTS_UNUSABLE);
	assert_int_equal(back.seg[SEG_ES].attributes, 0xc093);
	assert_int_equal(back.tr.attributes, 0x8b);
	assert_true(vcpu.started);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_cpu_keeps_what_vmx_needs),
		TEST(guest_owned_bits_are_read_from_the_cpu),
		TEST(lmsw_sets_pe_and_never_clears_it),
		TEST(impossible_values_are_the_guests_fault),
		TEST(long_mode_begins_and_ends_with_paging),
		TEST(pcid_needs_long_mode_and_goes_before_it),
		TEST(pae_paging_loads_four_entries),
		TEST(an_absent_table_is_faulted_in_first),
		TEST(start_states_survive),
	};

	return cmocka_run_group_tests_name("unit/vmx_cr", tests, NULL, NULL);
}
