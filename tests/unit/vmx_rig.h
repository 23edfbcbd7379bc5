/* A VMCS in memory, for tests of hv/vmx: fields by encoding, and a vCPU in 64-bit mode as Linux
 * starts. */
#ifndef TESTS_UNIT_VMX_RIG_H
#define TESTS_UNIT_VMX_RIG_H

#include "hv/vmx/vmx.h"
#include "hv/x86/msr.h"
#include "tests/fake/cmocka.h"
#include <string.h>

struct vmx_caps vmx_caps;

static u64 fields[0x8000];
static u8 apic_page[4096];
static struct vmx_vcpu vmx;
static struct virt_vcpu vcpu;
static u32 flush_count;

u64 vmread(u64 field)
{
	assert_true(field < ARRAY_COUNT(fields));
	return fields[field];
}

void vmwrite(u64 field, u64 value)
{
	assert_true(field < ARRAY_COUNT(fields));
	fields[field] = value;
}

bool insn_invvpid(u64 type, u16 vpid)
{
	assert_int_equal(type, INVVPID_SINGLE);
	assert_int_equal(vpid, vmx.vpid);
	flush_count++;
	return true;
}

static inline void rig_reset(void)
{
	memset(fields, 0, sizeof(fields));
	memset(&vmx, 0, sizeof(vmx));
	memset(&vcpu, 0, sizeof(vcpu));
	flush_count = 0;
	vmx_caps = (struct vmx_caps){
		.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = CR4_VMXE,
		.cr4_fixed1 = 0x7ffff7,
		.cr4_forced = CR4_VMXE | CR4_MCE,
		.cr4_guest_allowed = CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR |
				     CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP,
		.proc = PROC_HLT | PROC_MOV_DR | PROC_SECONDARY,
		.physical_bits = 40,
		.timer = true,
		.timer_shift = 5,
		.string_io_info = true,
	};
	vmx.vpid = 7;
	vmx.apic_page = apic_page;
	vmx.windows_dirty = true;
	vcpu.backend = &vmx;
	vcpu.name = "test";
	vcpu.rflags = RFLAGS_FIXED;
}

static inline struct virt_sregs rig_sregs_long(void)
{
	const struct virt_segment data = {0x18, 0xffffffff, 0xc093, 0};
	struct virt_sregs s = {
		.cr0 = CR0_PE | CR0_PG | CR0_ET,
		.cr3 = 0x1000,
		.cr4 = CR4_PAE,
		.efer = EFER_LME | EFER_LMA,
		.seg = {data, {0x10, 0xffffffff, 0xa09b, 0}, data, data, data, data},
		.tr = {0x20, 0x67, 0x8b, 0},
		.ldtr = {0, 0, RIGHTS_UNUSABLE, 0},
	};

	return s;
}

#endif
