/*
 * Spin locks with a rank. The order is one enum: a CPU may take a lock only if it holds none of
 * equal or higher rank. Debug builds (BELLOWS_DEBUG, and all host tests) check that on every
 * acquire. Nothing is held across I/O or a return to a guest. Root mode runs with interrupts off,
 * so locks need not disable them; NMI and #MC handlers take none.
 */
#ifndef MM_BASE_LOCK_H
#define MM_BASE_LOCK_H

#include "mm/base/types.h"

enum lock_rank {
	LOCK_RANK_LIVES = 1,  /* hv: VMs' life cycles, and who works on their memory */
	LOCK_RANK_VM_VCPUS,   /* hv: the vCPUs that a VM has */
	LOCK_RANK_VM,         /* hv: one VM's life cycle and devices */
	LOCK_RANK_VCPU,       /* hv: run queue */
	LOCK_RANK_PROMISES,   /* hv: what memsched knows of the VMs */
	LOCK_RANK_SHARE_SCAN, /* mm: who scans for pages to share */
	LOCK_RANK_RECLAIM,    /* mm: who reclaims in the background */
	LOCK_RANK_JOIN,       /* mm: who rejoins a space's regions */
	LOCK_RANK_SPACE,      /* mm: which spaces there are */
	LOCK_RANK_REGION,     /* mm: entries of one 2 MiB region */
	LOCK_RANK_SHARE,
	LOCK_RANK_ZCACHE,
	LOCK_RANK_SWAP,
	LOCK_RANK_DISK_TEST,   /* hv: the console's disk test */
	LOCK_RANK_BOUNCE,      /* mm: frames that compressed objects leave through */
	LOCK_RANK_TABLES,      /* mm: a space's reserve of table frames */
	LOCK_RANK_FRAME_CACHE, /* mm: one CPU's cache of free frames */
	LOCK_RANK_FRAMES,      /* mm: the global frame pool behind the per-CPU caches */
	LOCK_RANK_FLUSH,       /* hv/x86: the shoot-down mailbox */
	LOCK_RANK_DISK,        /* drivers: the state of a disk's controller */
	LOCK_RANK_DISK_QUEUE,  /* drivers: one of its queues */
	LOCK_RANK_LOG,
	LOCK_RANK_CONSOLE, /* hv: the console's line under way */
	LOCK_RANK_UART,
	LOCK_RANK_COUNT
};

struct spinlock {
	u32 next, owner; /* ticket lock: [a] */
	u8 rank;
};

#define SPINLOCK(r)                                                                                \
	{                                                                                          \
		.next = 0, .owner = 0, .rank = (r)                                                 \
	}

void spin_init(struct spinlock *lock, enum lock_rank rank);
void spin_lock(struct spinlock *lock);
bool spin_trylock(struct spinlock *lock);
void spin_unlock(struct spinlock *lock);
bool spin_is_locked(const struct spinlock *lock);

/*
 * Where the ranks that each CPU holds are recorded. @held: a zeroed word for each CPU, kept for
 * good. Until this is called only CPU 0 may take locks. No lock may be held. Does nothing where
 * ranks are not checked.
 */
void lock_init_cpus(u32 *held, u32 cpu_count);

/* Forget this CPU's held ranks: only for a panic. */
void lock_forget_held(void);

#endif
