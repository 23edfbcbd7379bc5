/*
 * One virtual CPU: what the backend needs (struct virt_vcpu), where the scheduler has it, and what
 * it waits for. vcpu.c brings events to it before each entry and keeps the time of its timers.
 *
 * "attention" is the hot loop's economy: it is set by whatever may have changed the answer to
 * "which event next, and when is the next timer": any device access, a kick, a window that opened.
 * Exits that touch no device (CPUID, page faults) leave it clear, and the next entry asks nothing.
 *
 * Legend: [I] fixed after creation, [a] atomic, [v] its VM's lock held; the rest is its home CPU's.
 */
#ifndef HV_VM_VCPU_H
#define HV_VM_VCPU_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/base/list.h"
#include "hv/exit/recurrence.h"
#include "hv/vm/steal_time.h"
#include "hv/x86/virt.h"

struct vm;

enum vcpu_state {
	VCPU_OFF,      /* waits for INIT and SIPI, or the VM is not running */
	VCPU_RUNNABLE, /* in a run queue, or running */
	VCPU_HALTED,   /* HLT: waits for an event */
	VCPU_PARKED,   /* waits for memory (FAULT_WAIT); re-executes when woken */
};

/* Where the scheduler has it: run_queue.h. */
enum vcpu_place {
	VCPU_NOWHERE, /* its VM does not run */
	VCPU_IN_RUNNABLE,
	VCPU_IN_SLEEPING,
	VCPU_TAKEN, /* out of its queue: its home CPU runs it, or looks at it */
};

#define VCPU_UNLOADED (~0u)

struct vcpu {
	struct virt_vcpu virt; /* first: this_cpu()->fpu_owner and ->loaded point here */
	struct vm *vm;         /* [I] */
	u32 index;             /* [I] in its VM */
	u32 home_cpu;          /* [a] whose run queue it belongs to; changes with that locked */
	u32 loaded_on;         /* [a] the CPU whose hardware holds its state, or VCPU_UNLOADED */
	enum vcpu_place place; /* home's run queue locked */
	u32 state;             /* [a] enum vcpu_state */
	u32 attention;         /* [a] */
	u32 memory_came;       /* [a] what it is parked for may be there */
	u32 unhalted;          /* [a] by KVM_HC_KICK_CPU: its HLT, or else the next one, ends */
	u64 guarded_rip;       /* whose pages are protected: mm/fault/fault_guard.h */
	u64 parks;             /* how often it had to wait for memory */
	u64 parked_tsc;        /* ticks that took; without the wait under way */
	u64 parked_at;         /* [a] host TSC: when that began; 0: none is */
	struct list queue;     /* in a run queue */
	u64 wake_tsc;  /* host TSC of its next timer, ~0 if none; valid while attention is clear */
	u64 run_until; /* host TSC: end of slice, as of the run under way */
	u8 tpr_class;  /* as the local APIC has it */
	bool nmi_pending; /* [v] taken from the local APIC, not yet injected */
	bool nmi_blocked; /* as it halted; others read it under [v] while is_stuck */
	bool is_stuck;    /* [v] it halted with interrupts off, and nothing has come: vcpu_halt.h */
	struct recurrence recurrence;
	struct virt_event pending;           /* an exception for the guest, not yet injected */
	u64 wall_clock_msr, system_time_msr; /* pvclock.c */
	struct steal_time steal;
	u64 run_tsc; /* ticks spent on a CPU */
	u64 exits[EXIT_KIND_COUNT];
	u64 unknown_msr_count;
};

static inline struct vcpu *vcpu_of(struct virt_vcpu *virt)
{
	return (struct vcpu *)virt;
}

/* Queue a fault for the guest, delivered with the next entry. */
void vcpu_queue_exception(struct vcpu *vcpu, u8 vector, bool has_error, u32 error);
void vcpu_inject_gp(struct vcpu *vcpu);
void vcpu_inject_ud(struct vcpu *vcpu);

/*
 * Run the vCPU on this CPU until @slice_end (host TSC), or until it halts, parks, or its VM is
 * ending. Its state tells which. The vCPU is RUNNABLE and in no queue. Interrupts off.
 */
void vcpu_run(struct vcpu *vcpu, u64 slice_end);

/* Make it the one whose state this CPU's hardware holds. No other CPU's does. */
void vcpu_attach(struct vcpu *vcpu);

/* If this CPU's hardware holds its state, put that into memory: any CPU may run it next. */
void vcpu_release(struct vcpu *vcpu);

/* The same, and forget its floating-point state: before its VM ends or is reset. */
void vcpu_detach(struct vcpu *vcpu);

/* A VM that is ending is to have nothing left in this CPU. */
void vcpu_detach_ending(void);

/*
 * The vCPU, which this CPU's hardware holds, has executed HLT. Runs the timers that are due, and
 * sets wake_tsc. Returns whether it goes on at once, for something is there already that it must
 * not sleep through; else it is HALTED, and its VM may be ending, if nothing can ever wake it.
 * Locks: takes the VM's.
 */
bool vcpu_halt(struct vcpu *vcpu);

/*
 * A sleeper with a reason to look up: it becomes RUNNABLE, or sleeps on. On its home CPU. Locks:
 * takes the VM's.
 */
void vcpu_wake(struct vcpu *vcpu);

/* As INIT leaves it: OFF until a SIPI comes. Not loaded by another CPU. */
void vcpu_init_registers(struct vcpu *vcpu);

/* Something is there for it to look at: from a device, another vCPU, or memory that arrived. */
void vcpu_kick(struct vcpu *vcpu);

#endif
