/*
 * Single privileged instructions as inline functions, so that no other file needs assembler for
 * them. rdmsr_safe() and wrmsr_safe() survive the #GP of an MSR that is not there, through the
 * fix-up table that the exception handler searches (section .fixup_table: address of the
 * instruction, where to go on).
 */
#ifndef HV_X86_INSN_H
#define HV_X86_INSN_H

#include "mm/base/types.h"
#include "mm/base/err.h"

static inline u64 rdmsr(u32 index)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return ((u64)hi << 32) | lo;
}

static inline void wrmsr(u32 index, u64 value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
			 : "memory");
}

/* An entry of the fix-up table: when @fault raises #GP, go on at @resume. */
#define INSN_FIXUP(fault, resume)                                                                  \
	".pushsection .fixup_table, \"a\"\n"                                                       \
	".balign 8\n"                                                                              \
	".quad " fault ", " resume "\n"                                                            \
	".popsection\n"

/* Returns 0, or E_UNSUPPORTED (the CPU raised #GP; *value is then 0). */
must_check static inline err_t rdmsr_safe(u32 index, u64 *value)
{
	u32 lo = 0, hi = 0;
	err_t err = E_UNSUPPORTED;

	__asm__ volatile("1:	rdmsr\n"
			 "	xorl %0, %0\n"
			 "2:\n" INSN_FIXUP("1b", "2b")
			 : "+&r"(err), "+a"(lo), "+d"(hi)
			 : "c"(index)
			 : "memory", "cc");
	*value = ((u64)hi << 32) | lo;
	return err;
}

must_check static inline err_t wrmsr_safe(u32 index, u64 value)
{
	err_t err = E_UNSUPPORTED;

	__asm__ volatile("1:	wrmsr\n"
			 "	xorl %0, %0\n"
			 "2:\n" INSN_FIXUP("1b", "2b")
			 : "+&r"(err)
			 : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
			 : "memory", "cc");
	return err;
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid_count(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline struct cpuid cpuid(u32 leaf)
{
	return cpuid_count(leaf, 0);
}

/* As cpuid_count(), but all zero for a leaf beyond the highest of its range. */
static inline struct cpuid cpuid_or_zero(u32 leaf, u32 subleaf)
{
	struct cpuid top = cpuid(leaf & 0xffff0000u);

	if (top.eax < leaf || (top.eax & 0xffff0000u) != (leaf & 0xffff0000u))
		return (struct cpuid){0, 0, 0, 0};
	return cpuid_count(leaf, subleaf);
}

#define INSN_CR(n)                                                                                 \
	static inline u64 read_cr##n(void)                                                         \
	{                                                                                          \
		u64 value;                                                                         \
		__asm__ volatile("movq %%cr" #n ", %0" : "=r"(value) : : "memory");                \
		return value;                                                                      \
	}                                                                                          \
	static inline void write_cr##n(u64 value)                                                  \
	{                                                                                          \
		__asm__ volatile("movq %0, %%cr" #n : : "r"(value) : "memory");                    \
	}

INSN_CR(0)
INSN_CR(2)
INSN_CR(3)
INSN_CR(4)
INSN_CR(8)

#undef INSN_CR

#define INSN_DR(n)                                                                                 \
	static inline u64 read_dr##n(void)                                                         \
	{                                                                                          \
		u64 value;                                                                         \
		__asm__ volatile("movq %%dr" #n ", %0" : "=r"(value));                             \
		return value;                                                                      \
	}                                                                                          \
	static inline void write_dr##n(u64 value)                                                  \
	{                                                                                          \
		__asm__ volatile("movq %0, %%dr" #n : : "r"(value));                               \
	}

INSN_DR(0)
INSN_DR(1)
INSN_DR(2)
INSN_DR(3)
INSN_DR(6)
INSN_DR(7)

#undef INSN_DR

/* CR4.OSXSAVE must be set. */
static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return ((u64)hi << 32) | lo;
}

static inline void xsetbv(u32 index, u64 value)
{
	__asm__ volatile("xsetbv"
			 :
			 : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
			 : "memory");
}

static inline void invlpg(const void *address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline u16 inw(u16 port)
{
	u16 value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline u32 inl(u16 port)
{
	u32 value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void interrupts_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

static inline u64 read_rflags(void)
{
	u64 value;

	__asm__ volatile("pushfq; popq %0" : "=r"(value) : : "memory");
	return value;
}

/* What SGDT and SIDT store. */
struct __attribute__((packed)) descriptor_pointer {
	u16 limit;
	u64 base;
};

static inline struct descriptor_pointer read_gdtr(void)
{
	struct descriptor_pointer p;

	__asm__ volatile("sgdt %0" : "=m"(p));
	return p;
}

static inline struct descriptor_pointer read_idtr(void)
{
	struct descriptor_pointer p;

	__asm__ volatile("sidt %0" : "=m"(p));
	return p;
}

#define INSN_SELECTOR(name, insn)                                                                  \
	static inline u16 read_##name(void)                                                        \
	{                                                                                          \
		u16 value;                                                                         \
		__asm__ volatile(insn : "=r"(value));                                              \
		return value;                                                                      \
	}

INSN_SELECTOR(cs, "movw %%cs, %0")
INSN_SELECTOR(ss, "movw %%ss, %0")
INSN_SELECTOR(ds, "movw %%ds, %0")
INSN_SELECTOR(es, "movw %%es, %0")
INSN_SELECTOR(fs, "movw %%fs, %0")
INSN_SELECTOR(gs, "movw %%gs, %0")
INSN_SELECTOR(tr, "str %0")

#undef INSN_SELECTOR

static inline void write_ds(u16 selector)
{
	__asm__ volatile("movw %0, %%ds" : : "r"(selector) : "memory");
}

static inline void write_es(u16 selector)
{
	__asm__ volatile("movw %0, %%es" : : "r"(selector) : "memory");
}

#endif
