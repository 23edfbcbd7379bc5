/*
 * The stress of all of mm/ by real threads: see stress.c. What its parts share.
 */
#ifndef TESTS_MODEL_STRESS_H
#define TESTS_MODEL_STRESS_H

#include "mm/space/space.h"
#include "mm/space/space_peek.h"
#include "tests/fake/rng.h"
#include <pthread.h>

#define STRESS_CPUS      4u
#define STRESS_VMS       3u
#define STRESS_PAGES_MAX 1536u
#define PAGE_WORDS       (PAGE_BYTES / 8)
/* Every so many pages one is a single CPU's, which may give it to the balloon. */
#define STRESS_SPARE_EVERY 8u

/* A place for VMs, one after the other. */
struct stress_vm {
	pthread_rwlock_t life; /* who uses the VM reads it; who makes, resets or ends it writes */
	struct space *space;   /* [life] NULL: none */
	u64 generation;        /* [life] counts VMs */
	/* By CPU and page: what the CPU wrote last; its own, or all of who writes life. */
	u64 seeds[STRESS_CPUS][STRESS_PAGES_MAX];
};

/* What one CPU has of a page for its own: words, and what they hold by its last seed. */
struct stress_part {
	u32 first, count;
};

/* A page that is held pinned for a while, and maybe longer than its VM lives. */
struct stress_pin {
	struct stress_vm *vm; /* NULL: none */
	u64 generation;
	pfn_t frame;
};

enum stress_peek_state { PEEK_IDLE, PEEK_UNDER_WAY, PEEK_DONE };

struct stress_peek {
	struct space_peek peek;
	u32 state; /* [a] enum stress_peek_state */
	err_t result;
	u64 page, seed; /* as of its beginning */
};

struct stress_counts {
	u64 made, ended, unverified, cleared, lost, verified_pages;
	u64 accesses, waits, no_frame, pins, overwrites, peeks, peeks_read, balloons;
	u64 zipped, swapped, clean, objects, faults_swap, merged, shared_instead, taken, joined;
};

struct stress_worker {
	u32 cpu;
	u64 steps;
	struct rng rng;
	pthread_t thread;
	struct stress_pin pin;
	struct stress_peek peek;
	struct stress_counts counts;
};

extern struct stress_vm stress_vms[STRESS_VMS];

/*
 * Run @steps of each CPU, in too little memory or in plenty; 0 if no byte was wrong, everything
 * came back, and, where @all is asked for, all that is to be stressed took place.
 */
int stress_run(u64 seed, u64 steps, bool scarce, bool all);

/* Commands to the disk complete: @most of them, in random order. Not in a guest. */
u32 stress_disk(u32 most);
/* A wrong byte, or whatever else must not be: told, counted. */
void stress_wrong(const char *what, u64 page);

/* --- stress_vm.c: VMs' lives, and what their pages must hold --- */

struct stress_part stress_part(u64 page, u32 cpu);
/* The @i'th word of what was written with @seed. */
u64 stress_word(u64 seed, u32 i);
/* Are @words, the part's first one on, what @seed says? Else it is told. */
void stress_compare(const u64 *words, u32 count, u64 seed, u64 page);

/* Make one, if there is none and room. Not in a guest. */
void stress_vm_make(struct stress_worker *w, struct stress_vm *vm);
/* End or reset @vm if nobody uses it just now, mostly after looking at every byte. */
void stress_vm_end(struct stress_worker *w, struct stress_vm *vm);
void stress_vm_clear(struct stress_worker *w, struct stress_vm *vm);
/* Nobody else runs. Compare everything, check the account of slots, and end it. */
void stress_vm_finish(struct stress_worker *w, struct stress_vm *vm);

#endif
