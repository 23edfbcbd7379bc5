/*
 * Guests' floating-point and vector state. The hypervisor itself is compiled without vector
 * registers, so the registers keep the last vCPU's state until it leaves this CPU, or a library
 * wants them (library.h); then XSAVE and XRSTOR switch it, explicitly. XCR0 (and IA32_XSS = 0)
 * switch with it.
 */
#ifndef HV_X86_FPU_H
#define HV_X86_FPU_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct fpu_state {
	void *area; /* XSAVE area, 64-byte aligned, fpu_area_bytes(); or FXSAVE's 512 bytes */
	u64 xcr0;   /* the guest's */
};

/* Enable what this CPU has (CR4.OSFXSR, OSXSAVE, XCR0). On every CPU. */
void fpu_init_cpu(void);

/* XCR0 bits that a guest may set here: state components that are switched properly. */
u64 fpu_guest_xcr0_mask(void);
/* Bytes of an XSAVE area with all of these. */
u32 fpu_area_bytes(void);

must_check err_t fpu_state_init(struct fpu_state *state); /* E_NOMEM */
void fpu_state_destroy(struct fpu_state *state);
/* Power-on contents: x87 and MXCSR defaults, XCR0 = 1. The state must not be in registers. */
void fpu_state_reset(struct fpu_state *state);

/* Keep the state that is in the registers, which may be used then; XCR0 stays as it is. */
void fpu_save(struct fpu_state *state);

/* XCR0 of the guest whose state is, or was last, in the registers: the CPU's. Kept in @state. */
u64 fpu_live_xcr0(struct fpu_state *state);

/* Take the state into the registers, XCR0 included; nobody's is in them. */
void fpu_load(struct fpu_state *state);

/* XSETBV by the guest whose state is in the registers. E_INVAL: the value deserves #GP. */
must_check err_t fpu_set_xcr0(struct fpu_state *state, u64 value);

#endif
