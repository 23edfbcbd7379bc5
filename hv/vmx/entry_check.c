/*
 * Why the CPU refused to enter a guest. It says only "invalid guest state" or a number, so this
 * walks the manual's own list of checks over the VMCS and prints each field that breaks one. SDM
 * vol. 3C, "VM Entries": "Checks on VMX Controls and Host-State Area", "Checking and Loading Guest
 * State"; "VM Instruction Error Numbers".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/msr.h"
#include "mm/base/log.h"

#define X(v) ((unsigned long long)(v))

struct checker {
	const char *vm;
	u32 found;
	bool in_long, protected, paging; /* IA-32e mode entry, CR0.PE, CR0.PG */
	u64 rflags;
};

static void wrong(struct checker *c, const char *field, u64 value, const char *rule)
{
	c->found++;
	log_error("%s: %s is 0x%llx: %s", c->vm, field, X(value), rule);
}

static void expect(struct checker *c, bool good, const char *field, u64 value, const char *rule)
{
	if (!good)
		wrong(c, field, value, rule);
}

static void expect_canonical(struct checker *c, u32 field, const char *name)
{
	u64 value = vmread(field);

	expect(c, is_canonical(value), name, value, "must be canonical");
}

static u64 physical_reserved(void)
{
	return ~BITS(vmx_caps.physical_bits - 1, 0);
}

static void check_control_registers(struct checker *c)
{
	u64 cr0 = vmread(VMCS_GUEST_CR0), cr4 = vmread(VMCS_GUEST_CR4),
	    cr3 = vmread(VMCS_GUEST_CR3);
	u64 efer = vmread(VMCS_GUEST_EFER);
	u64 must0 = vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG);

	expect(c, (cr0 & must0) == must0, "CR0", cr0, "a bit of CR0_FIXED0 is clear");
	expect(c, !(cr0 & ~vmx_caps.cr0_fixed1), "CR0", cr0, "a bit outside CR0_FIXED1 is set");
	expect(c, !c->paging || c->protected, "CR0", cr0, "PG without PE");
	expect(c, (cr4 & vmx_caps.cr4_fixed0) == vmx_caps.cr4_fixed0, "CR4", cr4,
		"a bit of CR4_FIXED0 is clear");
	expect(c, !(cr4 & ~vmx_caps.cr4_fixed1), "CR4", cr4, "a bit outside CR4_FIXED1 is set");
	expect(c, !c->in_long || (c->paging && (cr4 & CR4_PAE)), "CR4", cr4,
		"IA-32e mode needs PG and PAE");
	expect(c, c->in_long || !(cr4 & CR4_PCIDE), "CR4", cr4, "PCIDE outside IA-32e mode");
	expect(c, !(cr3 & physical_reserved()), "CR3", cr3, "beyond the physical-address width");
	expect(c, !(efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)), "EFER", efer,
		"reserved bits");
	expect(c, !!(efer & EFER_LMA) == c->in_long, "EFER", efer,
		"LMA must equal the IA-32e mode control");
	expect(c, !c->paging || !!(efer & EFER_LMA) == !!(efer & EFER_LME), "EFER", efer,
		"LMA differs from LME with paging on");
}

static void check_msrs(struct checker *c)
{
	u64 pat = vmread(VMCS_GUEST_PAT), debugctl = vmread(VMCS_GUEST_DEBUGCTL),
	    dr7 = vmread(VMCS_GUEST_DR7);
	u32 i;

	for (i = 0; i < 8; i++) {
		u8 type = (u8)(pat >> 8 * i);

		if (type > 7 || type == 2 || type == 3) {
			wrong(c, "PAT", pat, "a byte is not 0, 1, 4, 5, 6 or 7");
			break;
		}
	}
	expect(c, !(debugctl & ~0xdfc3ull), "DEBUGCTL", debugctl, "reserved bits");
	expect(c, !(dr7 >> 32), "DR7", dr7, "bits 63:32 must be 0");
	expect_canonical(c, VMCS_GUEST_SYSENTER_ESP, "SYSENTER_ESP");
	expect_canonical(c, VMCS_GUEST_SYSENTER_EIP, "SYSENTER_EIP");
}

struct segment_view {
	const char *name;
	u32 index, rights, limit, type, dpl;
	u16 selector;
	u64 base;
	bool usable;
};

static struct segment_view segment_view(const char *name, u32 index)
{
	struct segment_view s = {
		.name = name,
		.index = index,
		.rights = (u32)vmread(VMCS_GUEST_ES_RIGHTS + 2 * index),
		.limit = (u32)vmread(VMCS_GUEST_ES_LIMIT + 2 * index),
		.selector = (u16)vmread(VMCS_GUEST_ES_SELECTOR + 2 * index),
		.base = vmread(VMCS_GUEST_ES_BASE + 2 * index),
	};

	s.type = s.rights & RIGHTS_TYPE;
	s.dpl = RIGHTS_DPL(s.rights);
	s.usable = !(s.rights & RIGHTS_UNUSABLE);
	return s;
}

/* What holds for the rights of every usable segment. */
static void check_rights(struct checker *c, const struct segment_view *s)
{
	bool granular = (s->rights & RIGHTS_GRANULAR) != 0;

	expect(c, s->rights & RIGHTS_PRESENT, s->name, s->rights, "access rights: not present");
	expect(c, !(s->rights & (BITS(11, 8) | BITS(31, 17))), s->name, s->rights,
		"access rights: reserved bits");
	expect(c, (s->limit & 0xfff) == 0xfff || !granular, s->name, s->limit,
		"limit: bits 11:0 not all ones, but G is set");
	expect(c, !(s->limit >> 20) || granular, s->name, s->limit,
		"limit: over 1 MiB, but G is clear");
}

static void check_v8086(struct checker *c, const struct segment_view *s)
{
	expect(c, s->base == (u64)s->selector << 4, s->name, s->base,
		"base: virtual-8086 wants selector * 16");
	expect(c, s->limit == 0xffff, s->name, s->limit, "limit: virtual-8086 wants 0xffff");
	expect(c, s->rights == 0xf3, s->name, s->rights, "access rights: virtual-8086 wants 0xf3");
}

static void check_code(
	struct checker *c, const struct segment_view *cs, const struct segment_view *ss)
{
	expect(c, cs->type == 3 || (cs->type & 9) == 9, "CS", cs->rights,
		"type: must be 3, 9, 11, 13 or 15");
	expect(c, cs->rights & RIGHTS_S, "CS", cs->rights, "S must be 1");
	if (cs->type == 3)
		expect(c, cs->dpl == 0, "CS", cs->rights, "type 3 needs DPL 0");
	else if (cs->type < 12)
		expect(c, cs->dpl == ss->dpl, "CS", cs->rights, "DPL must equal that of SS");
	else
		expect(c, cs->dpl <= ss->dpl, "CS", cs->rights, "conforming: DPL above that of SS");
	expect(c, !(c->in_long && (cs->rights & RIGHTS_LONG) && (cs->rights & RIGHTS_DB)), "CS",
		cs->rights, "L and D/B both set in IA-32e mode");
	expect(c, !(cs->base >> 32), "CS", cs->base, "base: bits 63:32 must be 0");
	check_rights(c, cs);
}

static void check_stack(
	struct checker *c, const struct segment_view *cs, const struct segment_view *ss)
{
	if (cs->type == 3 || !c->protected)
		expect(c, ss->dpl == 0, "SS", ss->rights, "DPL must be 0 in real mode");
	if (!ss->usable)
		return;
	expect(c, ss->type == 3 || ss->type == 7, "SS", ss->rights, "type: must be 3 or 7");
	expect(c, ss->rights & RIGHTS_S, "SS", ss->rights, "S must be 1");
	expect(c, !(ss->base >> 32), "SS", ss->base, "base: bits 63:32 must be 0");
	check_rights(c, ss);
}

static void check_data(struct checker *c, const struct segment_view *s)
{
	bool long_base = s->index == SEG_FS || s->index == SEG_GS;

	if (long_base)
		expect(c, is_canonical(s->base), s->name, s->base, "base: must be canonical");
	if (!s->usable)
		return;
	expect(c, (s->type & 1) && (s->type & 10) != 8, s->name, s->rights,
		"type: not accessed, or unreadable code");
	expect(c, s->rights & RIGHTS_S, s->name, s->rights, "S must be 1");
	expect(c, long_base || !(s->base >> 32), s->name, s->base, "base: bits 63:32 must be 0");
	check_rights(c, s);
}

static void check_system_segments(struct checker *c)
{
	struct segment_view ldtr = segment_view("LDTR", 6), tr = segment_view("TR", 7);

	expect(c, tr.usable, "TR", tr.rights, "must be usable");
	expect(c, tr.type == 11 || (!c->in_long && tr.type == 3), "TR", tr.rights,
		"type: must be 11 (busy), or 3 outside IA-32e mode");
	expect(c, !(tr.rights & RIGHTS_S), "TR", tr.rights, "S must be 0");
	expect(c, !(tr.selector & 4), "TR", tr.selector, "selector: TI must be 0");
	expect(c, is_canonical(tr.base), "TR", tr.base, "base: must be canonical");
	check_rights(c, &tr);
	if (!ldtr.usable)
		return;
	expect(c, ldtr.type == 2 && !(ldtr.rights & RIGHTS_S), "LDTR", ldtr.rights,
		"type must be 2, S 0");
	expect(c, !(ldtr.selector & 4), "LDTR", ldtr.selector, "selector: TI must be 0");
	expect(c, is_canonical(ldtr.base), "LDTR", ldtr.base, "base: must be canonical");
	check_rights(c, &ldtr);
}

static void check_segments(struct checker *c)
{
	static const char *const names[SEG_COUNT] = {"ES", "CS", "SS", "DS", "FS", "GS"};
	struct segment_view cs = segment_view("CS", SEG_CS), ss = segment_view("SS", SEG_SS);
	u32 i;

	if (c->rflags & RFLAGS_VM) {
		for (i = 0; i < SEG_COUNT; i++) {
			struct segment_view s = segment_view(names[i], i);

			check_v8086(c, &s);
		}
	} else {
		check_code(c, &cs, &ss);
		check_stack(c, &cs, &ss);
		for (i = 0; i < SEG_COUNT; i++) {
			struct segment_view s = segment_view(names[i], i);

			if (i != SEG_CS && i != SEG_SS)
				check_data(c, &s);
		}
	}
	check_system_segments(c);
	expect_canonical(c, VMCS_GUEST_GDTR_BASE, "GDTR base");
	expect_canonical(c, VMCS_GUEST_IDTR_BASE, "IDTR base");
	expect(c, !(vmread(VMCS_GUEST_GDTR_LIMIT) >> 16), "GDTR limit",
		vmread(VMCS_GUEST_GDTR_LIMIT), "over 0xffff");
	expect(c, !(vmread(VMCS_GUEST_IDTR_LIMIT) >> 16), "IDTR limit",
		vmread(VMCS_GUEST_IDTR_LIMIT), "over 0xffff");
}

static void check_flags_and_rip(struct checker *c)
{
	u64 rip = vmread(VMCS_GUEST_RIP), reserved = BITS(63, 22) | BIT(15) | BIT(5) | BIT(3);
	u32 event = (u32)vmread(VMCS_ENTRY_EVENT);
	bool in_64 = c->in_long && (vmread(VMCS_GUEST_CS_RIGHTS) & RIGHTS_LONG);

	expect(c, in_64 || !(rip >> 32), "RIP", rip, "bits 63:32 must be 0 outside 64-bit mode");
	expect(c, !in_64 || is_canonical(rip), "RIP", rip, "must be canonical");
	expect(c, !(c->rflags & reserved) && (c->rflags & RFLAGS_FIXED), "RFLAGS", c->rflags,
		"reserved bits");
	expect(c, !(c->rflags & RFLAGS_VM) || (!c->in_long && c->protected), "RFLAGS", c->rflags,
		"VM in a mode without it");
	if ((event & EVENT_INFO_VALID) && EVENT_INFO_TYPE(event) == EVENT_INTR)
		expect(c, c->rflags & RFLAGS_IF, "RFLAGS", c->rflags,
			"IF is 0 but an external interrupt is injected");
}

static void check_non_register_state(struct checker *c)
{
	u32 blocking = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY),
	    event = (u32)vmread(VMCS_ENTRY_EVENT);
	u64 activity = vmread(VMCS_GUEST_ACTIVITY), pending = vmread(VMCS_GUEST_PENDING_DEBUG);
	bool shadow = (blocking & (BLOCKING_STI | BLOCKING_MOV_SS)) != 0,
	     injects = (event & EVENT_INFO_VALID) != 0;
	u32 type = EVENT_INFO_TYPE(event);

	expect(c, activity <= 3, "activity state", activity, "over 3");
	expect(c, !shadow || activity == ACTIVITY_ACTIVE, "activity state", activity,
		"must be active in an interrupt shadow");
	expect(c, !(blocking & ~0x1fu), "interruptibility", blocking, "reserved bits");
	expect(c, (blocking & 3) != 3, "interruptibility", blocking,
		"blocking by STI and MOV SS both set");
	expect(c, !(blocking & BLOCKING_STI) || (c->rflags & RFLAGS_IF), "interruptibility",
		blocking, "blocking by STI, but IF is 0");
	expect(c, !(injects && type == EVENT_INTR && shadow), "interruptibility", blocking,
		"an interrupt is injected into a shadow");
	expect(c, !(injects && type == EVENT_NMI && (blocking & (BLOCKING_MOV_SS | BLOCKING_NMI))),
		"interruptibility", blocking, "an NMI is injected while blocked");
	expect(c, !(pending & ~(0xfull | BIT(12) | BIT(14) | BIT(16))), "pending debug exceptions",
		pending, "reserved bits");
	if (shadow) {
		bool want = (c->rflags & RFLAGS_TF) && !(vmread(VMCS_GUEST_DEBUGCTL) & 2);

		expect(c, want == !!(pending & PENDING_DEBUG_BS), "pending debug exceptions",
			pending, "BS must follow TF in a shadow");
	}
	expect(c, vmread(VMCS_LINK_POINTER) == ~0ull, "VMCS link pointer",
		vmread(VMCS_LINK_POINTER), "must be all ones");
}

static void check_pdptes(struct checker *c)
{
	u64 reserved = physical_reserved() | BITS(2, 1) | BITS(8, 5);
	u32 i;

	if (!c->paging || c->in_long || !(vmread(VMCS_GUEST_CR4) & CR4_PAE))
		return;
	for (i = 0; i < 4; i++) {
		u64 e = vmread(VMCS_GUEST_PDPTE0 + 2 * i);

		expect(c, !(e & 1) || !(e & reserved), "PDPTE", e,
			"reserved bits of a present entry");
	}
}

static struct checker checker_new(const struct virt_vcpu *vcpu)
{
	u64 cr0 = vmread(VMCS_GUEST_CR0);

	return (struct checker){
		.vm = vcpu->name,
		.in_long = (vmread(VMCS_ENTRY_CONTROLS) & ENTRYCTL_IA32E) != 0,
		.protected = (cr0 & CR0_PE) != 0,
		.paging = (cr0 & CR0_PG) != 0,
		.rflags = vmread(VMCS_GUEST_RFLAGS),
	};
}

static void check_guest(const struct virt_vcpu *vcpu)
{
	struct checker c = checker_new(vcpu);

	check_control_registers(&c);
	check_msrs(&c);
	check_segments(&c);
	check_flags_and_rip(&c);
	check_non_register_state(&c);
	check_pdptes(&c);
	if (!c.found)
		log_error("%s: none of the checks known here fails", vcpu->name);
}

/* "Checks on VMX Controls": what we vary; the rest comes from the capability MSRs. */
static void check_controls(struct checker *c)
{
	const u64 page = PAGE_BYTES - 1;
	u32 event = (u32)vmread(VMCS_ENTRY_EVENT), type = EVENT_INFO_TYPE(event);
	u64 eptp = vmread(VMCS_EPT_POINTER), length = vmread(VMCS_ENTRY_INSN_BYTES);

	expect(c, !(vmread(VMCS_IO_BITMAP_A) & page), "I/O bitmap A", vmread(VMCS_IO_BITMAP_A),
		"not page aligned");
	expect(c, !(vmread(VMCS_IO_BITMAP_B) & page), "I/O bitmap B", vmread(VMCS_IO_BITMAP_B),
		"not page aligned");
	expect(c, !(vmread(VMCS_MSR_BITMAP) & page), "MSR bitmap", vmread(VMCS_MSR_BITMAP),
		"not page aligned");
	expect(c, !(vmread(VMCS_VIRTUAL_APIC_PAGE) & page), "virtual-APIC page",
		vmread(VMCS_VIRTUAL_APIC_PAGE), "not page aligned");
	expect(c,
		(eptp & 0x3f) == (EPTP_WRITE_BACK | EPTP_4_LEVEL) &&
			!(eptp & (BITS(11, 7) | physical_reserved())),
		"EPT pointer", eptp, "wrong memory type, levels or reserved bits");
	expect(c, vmread(VMCS_VPID) != 0, "VPID", 0, "must not be 0");
	if (!(event & EVENT_INFO_VALID))
		return;
	expect(c, type != 1 && type != 7, "entry event", event, "reserved or unsupported type");
	expect(c, !(type == EVENT_NMI && (event & 0xff) != 2), "entry event", event,
		"NMI with a vector other than 2");
	expect(c, !(type == EVENT_EXCEPTION && (event & 0xff) > 31), "entry event", event,
		"exception vector over 31");
	expect(c, type < EVENT_SOFT_INTR || (length >= 1 && length <= 15),
		"entry instruction length", length, "must be 1 to 15");
	expect(c, !(event & (BITS(30, 12))), "entry event", event, "reserved bits");
	if (event & EVENT_INFO_ERROR)
		expect(c, !(vmread(VMCS_ENTRY_EVENT_ERROR) >> 15), "entry error code",
			vmread(VMCS_ENTRY_EVENT_ERROR), "over 15 bits");
}

/* "Checks on Host Control Registers, MSRs, and SSP", "...Segment and Descriptor-Table Registers" */
static void check_host(struct checker *c)
{
	static const char *const names[] = {
		"host ES", "host CS", "host SS", "host DS", "host FS", "host GS", "host TR"};
	u64 cr0 = vmread(VMCS_HOST_CR0), cr4 = vmread(VMCS_HOST_CR4), efer = vmread(VMCS_HOST_EFER);
	u32 i;

	expect(c, (cr0 & vmx_caps.cr0_fixed0) == vmx_caps.cr0_fixed0, "host CR0", cr0,
		"a bit of CR0_FIXED0 is clear");
	expect(c, (cr4 & vmx_caps.cr4_fixed0) == vmx_caps.cr4_fixed0, "host CR4", cr4,
		"a bit of CR4_FIXED0 is clear");
	expect(c, (efer & (EFER_LMA | EFER_LME)) == (EFER_LMA | EFER_LME), "host EFER", efer,
		"not in long mode");
	for (i = 0; i < ARRAY_COUNT(names); i++) {
		u64 selector = vmread(VMCS_HOST_ES_SELECTOR + 2 * i);

		expect(c, !(selector & 7), names[i], selector, "RPL and TI must be 0");
		expect(c, selector || (i != 1 && i != 6), names[i], selector, "must not be null");
	}
	expect_canonical(c, VMCS_HOST_FS_BASE, "host FS base");
	expect_canonical(c, VMCS_HOST_GS_BASE, "host GS base");
	expect_canonical(c, VMCS_HOST_TR_BASE, "host TR base");
	expect_canonical(c, VMCS_HOST_GDTR_BASE, "host GDTR base");
	expect_canonical(c, VMCS_HOST_IDTR_BASE, "host IDTR base");
	expect_canonical(c, VMCS_HOST_RIP, "host RIP");
	expect(c, !(vmread(VMCS_HOST_CR3) & physical_reserved()), "host CR3", vmread(VMCS_HOST_CR3),
		"too wide");
}

static const char *instruction_error_name(u32 error)
{
	static const char *const names[] = {
		[2] = "VMCLEAR with an invalid address",
		[3] = "VMCLEAR with the VMXON pointer",
		[4] = "VMLAUNCH with a VMCS that is not clear",
		[5] = "VMRESUME with a VMCS that was not launched",
		[6] = "VMRESUME after VMXOFF and VMXON",
		[7] = "entry with invalid control fields",
		[8] = "entry with invalid host state",
		[9] = "VMPTRLD with an invalid address",
		[10] = "VMPTRLD with the VMXON pointer",
		[11] = "VMPTRLD with a wrong revision identifier",
		[12] = "VMREAD or VMWRITE of a field that is not there",
		[13] = "VMWRITE of a read-only field",
		[15] = "VMXON in VMX operation",
		[26] = "entry with events blocked by MOV SS",
		[28] = "invalid operand to INVEPT or INVVPID",
	};

	return error < ARRAY_COUNT(names) && names[error] ? names[error] : "unnamed error";
}

void vmx_report_vmfail(struct virt_vcpu *vcpu)
{
	struct checker c = checker_new(vcpu);
	u32 error = (u32)vmread(VMCS_INSTRUCTION_ERROR);

	log_error("%s: the CPU refused %s: error %u, %s", vcpu->name,
		vmx_of(vcpu)->launched ? "VMRESUME" : "VMLAUNCH", error,
		instruction_error_name(error));
	check_controls(&c);
	check_host(&c);
	vmx_dump(vcpu);
}

void vmx_report_entry_failure(struct virt_vcpu *vcpu, u32 reason, u64 qualification)
{
	log_error("%s: VM entry failed: %s (qualification %llu%s)", vcpu->name,
		vmx_reason_name(reason), X(qualification),
		qualification == 2   ? ": PDPTEs"
		: qualification == 3 ? ": NMI into blocking by STI"
		: qualification == 4 ? ": VMCS link pointer"
				     : "");
	if (reason == REASON_ENTRY_GUEST_STATE)
		check_guest(vcpu);
	vmx_dump(vcpu);
}
