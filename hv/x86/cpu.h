/*
 * A host CPU's own data, found through GS base; FS base is the same, for libraries. One is
 * allocated for each CPU that firmware reports; nothing is an array of a guessed size.
 */
#ifndef HV_X86_CPU_H
#define HV_X86_CPU_H

#include "mm/base/types.h"
#include "hv/x86/cpu_start.h"
#include "hv/x86/virt.h"

/* Work that an interrupt handler leaves for root mode: bits of cpu.pending. */
#define CPU_PENDING_TIMER  1u
#define CPU_PENDING_KICK   2u /* another CPU wants this one out of guest mode */
#define CPU_PENDING_DEVICE 4u

struct x86_tables; /* GDT, TSS, stacks: hv/x86/tables.c */

struct cpu {
	struct cpu *self;            /* [I] at GS:0 */
	u32 id;                      /* [I] 0 .. cpu_count() - 1 */
	u32 apic_id;                 /* [I] */
	u32 state;                   /* [a] enum cpu_state: cpu_start.h */
	u32 pending;                 /* [a] CPU_PENDING_* */
	u64 stack_top;               /* [I] */
	struct x86_tables *tables;   /* [I] */
	u64 canary;                  /* [I] at FS:0x28, where libraries look for it: library.h */
	struct virt_vcpu *loaded;    /* vCPU whose state is in this CPU, or NULL */
	struct virt_vcpu *fpu_owner; /* .loaded, where its FPU state is in the registers; or NULL */
	void *virt;                  /* the backend's own: VMXON region, host save area, ASIDs */
	const char *running;         /* name of the VM in progress, for a panic; or NULL */
	u64 idle_ns, vcpu_ns; /* [a] in HLT, and running vCPUs; written by this CPU, as the next */
	u64 interrupts, steals; /* [a] steals: vCPUs taken from others' queues */
	const char *why;        /* it FAILED; NULL before the boot CPU has seen that */
	u64 disk_requests;      /* [a] handed back here when their disk was done */
	u64 timer_tsc;   /* time.c: what the timer is armed for; ~0: nothing, or it has come */
	bool in_library; /* library.h */
};
_Static_assert(offsetof(struct cpu, canary) == 0x28,
	"the x86-64 ABI's place of the stack protector's canary");

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	/* volatile: read anew behind what gives GS its base. */
	__asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

u32 cpu_count(void);
struct cpu *cpu_by_id(u32 id);
const char *cpu_state_name(u32 state);

/* Interrupts on, wait for one, off again. Returns at once if something is pending already. */
void cpu_idle(void);

/* Take and clear this CPU's pending bits. */
u32 cpu_take_pending(void);

#endif
