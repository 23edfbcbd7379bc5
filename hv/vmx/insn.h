/*
 * The VMX instructions. A VMREAD or VMWRITE of a field that is there cannot fail; failure is our
 * bug and panics. Host tests bring a VMCS of their own: there the same names are functions of the
 * test. SDM vol. 3C, "VMX Instruction Reference".
 */
#ifndef HV_VMX_INSN_H
#define HV_VMX_INSN_H

#include "mm/base/types.h"

#ifdef BELLOWS_HOST

u64 vmread(u64 field);
void vmwrite(u64 field, u64 value);
must_check bool insn_invept(u64 type, u64 eptp);
must_check bool insn_invvpid(u64 type, u16 vpid);

#else

noreturn_fn void vmx_field_failed(u64 field);

static inline u64 vmread(u64 field)
{
	u64 value;

	__asm__ goto volatile("vmread %1, %0\n\tjbe %l[failed]"
			      : "=rm"(value)
			      : "r"(field)
			      : "cc", "memory"
			      : failed);
	return value;
failed:
	vmx_field_failed(field);
}

static inline void vmwrite(u64 field, u64 value)
{
	__asm__ goto volatile("vmwrite %1, %0\n\tjbe %l[failed]"
			      :
			      : "r"(field), "rm"(value)
			      : "cc", "memory"
			      : failed);
	return;
failed:
	vmx_field_failed(field);
}

#define VMX_POINTER_INSN(name)                                                                     \
	must_check static inline bool insn_##name(u64 pa)                                          \
	{                                                                                          \
		bool failed;                                                                       \
		__asm__ volatile(#name " %1" : "=@ccbe"(failed) : "m"(pa) : "memory");             \
		return !failed;                                                                    \
	}

VMX_POINTER_INSN(vmxon)
VMX_POINTER_INSN(vmclear)
VMX_POINTER_INSN(vmptrld)

#undef VMX_POINTER_INSN

static inline void vmxoff(void)
{
	__asm__ volatile("vmxoff" : : : "cc", "memory");
}

struct vmx_invalidate {
	u64 tag; /* EPTP, or VPID */
	u64 address;
};

must_check static inline bool insn_invept(u64 type, u64 eptp)
{
	struct vmx_invalidate d = {eptp, 0};
	bool failed;

	__asm__ volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(type) : "memory");
	return !failed;
}

must_check static inline bool insn_invvpid(u64 type, u16 vpid)
{
	struct vmx_invalidate d = {vpid, 0};
	bool failed;

	__asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(type) : "memory");
	return !failed;
}

#endif
#endif
