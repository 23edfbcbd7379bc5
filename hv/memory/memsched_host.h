/*
 * The memory scheduler at work: it looks at the host and at every running VM, has mm decide, and
 * hands the orders to those who carry them out: balloon_host.c balloons, mm/reclaim evicts
 * and brings back, sched.c keeps a blocked VM from running.
 *
 * A state is looked at in each turn of the loop, and decided upon when it changes, each second
 * while it is soft or worse, else each Mem.BalancePeriod. Once a second the samples of accessed
 * bits are looked at, and VMs that began with less than their memory may get more. All on the boot
 * CPU; whoever reads the figures is there too.
 */
#ifndef HV_MEMORY_MEMSCHED_HOST_H
#define HV_MEMORY_MEMSCHED_HOST_H

#include "mm/memsched/memsched_active.h"
#include "mm/memsched/memsched_state.h"
#include "mm/memsched/memsched_vm.h"

struct vm;

/* Why something is taken from a VM, given back to it, or it stands still. */
enum memory_cause {
	MEMORY_NOTHING,     /* is ordered */
	MEMORY_GRANT,       /* it began with less than its memory, and has more than that */
	MEMORY_LIMIT,       /* it has more than its limit */
	MEMORY_ENTITLEMENT, /* memory is short, and it has more than it is entitled to */
	MEMORY_PLENTY,      /* it gets back what was taken */
	MEMORY_COMMAND,     /* reclaim NAME SIZE */
	MEMORY_NO_FRAME,    /* a fault, of whichever VM, found no free frame */
	MEMORY_EXCHANGE,    /* it gives up a page for each that it gets: promise_pays_itself() */
	MEMORY_CAUSE_COUNT
};
const char *memory_cause_name(enum memory_cause cause);

/*
 * What an order is carried out with; compression is tried before swapping, and both are told. What
 * the administrator orders and what faults do themselves stands beside the scheduler's orders.
 */
enum memory_technique {
	MEMORY_BALLOON_UP,
	MEMORY_BALLOON_DOWN,
	MEMORY_EVICT,
	MEMORY_FETCH,
	MEMORY_BLOCK,
	MEMORY_EVICT_COMMAND,
	MEMORY_EVICT_FAULT,
	MEMORY_EVICT_EXCHANGE,
	MEMORY_TECHNIQUE_COUNT
};
const char *memory_technique_name(enum memory_technique technique);

/* Of pages that were evicted, or shared instead, ever: how. */
struct memory_gone {
	u64 zipped, written, clean, shared;
};

/* An entry of a VM's log: noted when its cause or technique is another than before, and with its
 * end; while it lasts, .pages is the most that was ordered. */
struct memory_order {
	u64 from_ns, to_ns; /* to_ns: when it was last given */
	enum memory_cause cause;
	enum memory_technique technique;
	enum mem_state state; /* of the host when it began */
	u64 pages;            /* to take or give; by faults: taken; BLOCK: above entitlement */
	struct memory_gone gone_before, gone_after; /* EVICT_*: till from_ns, to_ns, by anybody */
};

/* Pages that faults have taken, as counted when the log last looked. */
struct memory_taken {
	u64 pages;
	u64 begin_pages; /* and before the newest entry began */
};

#define MEMORY_ORDERS 16u

/* Of a VM that runs; zeroed at power-on. */
struct vm_memory {
	struct mem_vm now; /* as of the last decision: what it has, and what was decided */
	u64 decided_ns;    /* 0: it began after that */
	u64 tax_pages;     /* of its pages, the idle ones: those that the tax is levied on */
	enum memory_cause cause[MEMORY_TECHNIQUE_COUNT]; /* of what is ordered now */
	u64 balloon_pages; /* that the scheduler wants; the administrator may want more */
	struct mem_active active;
	u64 granted_pages;                      /* memory.startup, and what was added since */
	bool blocked;                           /* [a] its vCPUs stand still */
	u64 blocked_from_ns;                    /* valid while blocked */
	u64 blocked_ns, blocks;                 /* before that, and how often */
	struct memory_order log[MEMORY_ORDERS]; /* newest: (order_count - 1) % MEMORY_ORDERS */
	u64 order_count;
	struct memory_taken for_faults, in_exchange;
	u64 looked_ns;           /* when the log last looked for what faults have taken */
	struct memory_gone gone; /* until then */
};

/* Of the host, as of the last turn or decision. */
struct memsched_figures {
	struct mem_levels levels; /* .min_free */
	enum mem_state state;
	u64 state_since_ns;
	u64 entered[MEM_STATE_COUNT]; /* how often */
	u64 free_frames;              /* that .state goes by: none that a VM is still owed */
	u64 decisions;
	u64 memory_pages;  /* of all running VMs: configured */
	u64 demand_pages;  /* what they would use if they had it */
	u64 machine_pages; /* what there is for VMs: free, and theirs already */
};
const struct memsched_figures *memsched_figures(void);

/* What @vm, running, has at this moment, in the first two parts of @out. Locks: takes the VM's. */
void memsched_look(struct vm *vm, struct mem_vm *out);

/* Room for so many VMs. Once. E_NOMEM. */
must_check err_t memsched_host_init(u32 vm_count);

/* A turn of the loop: mostly a look at the clock. */
void memsched_turn(u64 now_ns);

/* @vm, running, began or was reset. */
void memsched_vm_began(struct vm *vm);

/* Something was changed by command: decide with the next turn. */
void memsched_decide_soon(void);

/* memsched: what the scheduler sees and has decided. */
void command_memsched(u32 count, char **words);

#endif
