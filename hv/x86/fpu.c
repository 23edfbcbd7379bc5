/*
 * XSAVE and XRSTOR of guests' state, always with every component that a guest may have (so nothing
 * is lost while a guest has some switched off in its XCR0), in the standard format. Where there is
 * no XSAVE: FXSAVE. SDM vol. 1, "Managing State Using the XSAVE Feature Set".
 */
#include "hv/x86/fpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 BITS(7, 5)

#define FXSAVE_BYTES     512
#define FCW_OFFSET       0
#define MXCSR_OFFSET     24
#define XSTATE_BV_OFFSET 512
#define FCW_RESET        0x37f
#define MXCSR_RESET      0x1f80

static u64 guest_mask; /* [I] 0: no XSAVE */
static u32 area_bytes = FXSAVE_BYTES;

void fpu_init_cpu(void)
{
	u64 supported;

	write_cr0(read_cr0() & ~(CR0_EM | CR0_TS));
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	if (!(cpuid(1).ecx >> 26 & 1))
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	supported = cpuid_count(0xd, 0).eax;
	guest_mask = supported & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
	if ((supported & XCR0_AVX512) == XCR0_AVX512)
		guest_mask |= XCR0_AVX512;
	xsetbv(0, guest_mask);
	area_bytes = cpuid_count(0xd, 0).ebx; /* for what is in XCR0 now */
	if (cpuid_count(0xd, 1).eax >> 3 & 1)
		wrmsr(MSR_IA32_XSS, 0);
}

u64 fpu_guest_xcr0_mask(void)
{
	return guest_mask;
}

u32 fpu_area_bytes(void)
{
	return area_bytes;
}

err_t fpu_state_init(struct fpu_state *state)
{
	state->area = kmem_alloc(area_bytes);
	if (!state->area)
		return E_NOMEM;
	fpu_state_reset(state);
	return 0;
}

void fpu_state_destroy(struct fpu_state *state)
{
	kmem_free(state->area, area_bytes);
	state->area = NULL;
}

void fpu_state_reset(struct fpu_state *state)
{
	u8 *area = state->area;

	memset(area, 0, area_bytes);
	*(u16 *)(area + FCW_OFFSET) = FCW_RESET;
	*(u32 *)(area + MXCSR_OFFSET) = MXCSR_RESET;
	if (guest_mask) /* components that this leaves out are put into their initial state */
		*(u64 *)(area + XSTATE_BV_OFFSET) = XCR0_X87 | XCR0_SSE;
	state->xcr0 = XCR0_X87;
}

static void registers_save(struct fpu_state *state)
{
	if (guest_mask)
		__asm__ volatile(
			"xsave64 (%0)"
			:
			: "r"(state->area), "a"((u32)guest_mask), "d"((u32)(guest_mask >> 32))
			: "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(state->area) : "memory");
}

static void registers_load(const struct fpu_state *state)
{
	if (guest_mask)
		__asm__ volatile(
			"xrstor64 (%0)"
			:
			: "r"(state->area), "a"((u32)guest_mask), "d"((u32)(guest_mask >> 32))
			: "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(state->area) : "memory");
}

u64 fpu_live_xcr0(struct fpu_state *state)
{
	/* QEMU's TCG lets a guest change it without an exit. */
	if (guest_mask)
		state->xcr0 = xgetbv(0) & guest_mask;
	return state->xcr0;
}

void fpu_save(struct fpu_state *state)
{
	u64 xcr0 = fpu_live_xcr0(state);
	bool is_narrow = guest_mask && xcr0 != guest_mask;

	if (is_narrow)
		xsetbv(0, guest_mask);
	registers_save(state);
	if (is_narrow)
		xsetbv(0, xcr0);
}

void fpu_load(struct fpu_state *state)
{
	if (guest_mask)
		xsetbv(0, guest_mask);
	registers_load(state);
	if (guest_mask)
		xsetbv(0, state->xcr0);
}

err_t fpu_set_xcr0(struct fpu_state *state, u64 value)
{
	u64 avx512 = value & XCR0_AVX512;

	if ((value & ~guest_mask) || !(value & XCR0_X87))
		return E_INVAL;
	if ((value & XCR0_AVX) && !(value & XCR0_SSE))
		return E_INVAL;
	if (avx512 && (avx512 != XCR0_AVX512 || !(value & XCR0_AVX)))
		return E_INVAL;
	state->xcr0 = value;
	xsetbv(0, value);
	return 0;
}
