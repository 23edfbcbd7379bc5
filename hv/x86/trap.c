/*
 * What an exception in root mode means: an MSR that is not there (fix-up), a CPU that panicked
 * wants this one to stop (NMI), else the hypervisor is broken. Vectors from 32 on are interrupts
 * (irq.c).
 */
#include "hv/x86/trap.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/irq.h"
#include "hv/x86/panic.h"

#define DR6_BREAKPOINTS 0xfull
#define DR6_RESET       0xffff0ff0ull
#define DR7_RESET       0x400ull

static const char *const names[32] = {
	"#DE (divide error)",
	"#DB (debug)",
	PANIC_NMI,
	"#BP (breakpoint)",
	"#OF (overflow)",
	"#BR (bound range)",
	"#UD (invalid opcode)",
	"#NM (device not available)",
	"#DF (double fault)",
	"coprocessor segment overrun",
	"#TS (invalid TSS)",
	"#NP (segment not present)",
	"#SS (stack fault)",
	"#GP (general protection)",
	"#PF (page fault)",
	"vector 15",
	"#MF (x87 error)",
	"#AC (alignment check)",
	"#MC (machine check)",
	"#XM (SIMD exception)",
	"#VE (virtualization exception)",
	"#CP (control protection)",
	[28] = "#HV (hypervisor injection)",
	[29] = "#VC (VMM communication)",
	[30] = "#SX (security exception)",
};

struct fixup {
	u64 fault, resume;
};
extern const struct fixup fixup_table_start[], fixup_table_end[];

const char *trap_name(u64 vector)
{
	if (vector >= ARRAY_COUNT(names))
		return "interrupt";
	return names[vector] ? names[vector] : "reserved vector";
}

static bool fixup_apply(struct trap_frame *frame)
{
	for (const struct fixup *f = fixup_table_start; f < fixup_table_end; f++) {
		if (f->fault == frame->rip) {
			frame->rip = f->resume;
			return true;
		}
	}
	return false;
}

/*
 * A VM exit switches breakpoints off (DR7), but QEMU's TCG leaves the guest's armed behind #VMEXIT,
 * and those may name addresses of the hypervisor, which sets none itself. It may come before
 * VMLOAD, with the guest's GS: nothing of this CPU's own may be touched here.
 */
static bool is_guests_breakpoint(struct trap_frame *frame)
{
	if (!(read_dr6() & DR6_BREAKPOINTS))
		return false;
	write_dr7(DR7_RESET);
	write_dr6(DR6_RESET);
	frame->rflags |= RFLAGS_RF;
	return true;
}

void trap_handle(struct trap_frame *frame)
{
	if (frame->vector == TRAP_DEBUG && is_guests_breakpoint(frame))
		return;
	if (frame->vector >= 32) {
		irq_dispatch(frame->vector);
		return;
	}
	if (frame->vector == TRAP_NMI && !panic_nmi_is_news())
		return;
	if (frame->vector == TRAP_GP && fixup_apply(frame))
		return;
	panic_trap(frame);
}
