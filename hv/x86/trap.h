/*
 * What an exception or interrupt finds on the stack: the registers that traps.S saved, what the CPU
 * pushed, and the number of the vector. Root mode is interrupted in few places (DESIGN.md, Five
 * rules, 2), so all but device vectors, NMI and faults with a fix-up are the end.
 */
#ifndef HV_X86_TRAP_H
#define HV_X86_TRAP_H

#include "mm/base/types.h"

struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "traps.S builds it");

#define TRAP_DEBUG         1
#define TRAP_NMI           2
#define TRAP_DOUBLE_FAULT  8
#define TRAP_GP            13
#define TRAP_PAGE_FAULT    14
#define TRAP_MACHINE_CHECK 18
#define TRAP_VECTOR_COUNT  256
#define TRAP_STUB_BYTES    16

/* The code that vector N's gate leads to lies at trap_stubs + N * TRAP_STUB_BYTES. */
extern const char trap_stubs[];

/* From traps.S, for every vector. Interrupts are off. */
void trap_handle(struct trap_frame *frame);

/* "#GP (general protection)"; "interrupt" for vectors from 32 on. */
const char *trap_name(u64 vector);

#endif
