/*
 * A VM's balloon: what its driver has told, what the administrator asks for, and where the two
 * meet. balloon.c answers the driver's hypercalls; balloon_host.c moves the target, signals the
 * guest, and is the console's command.
 *
 * Legend: [v] the VM's lock held.
 */
#ifndef HV_MEMORY_BALLOON_H
#define HV_MEMORY_BALLOON_H

#include "mm/balloon/balloon_policy.h"
#include "hv/abi/balloon.h"

struct vm;

struct vm_balloon {
	u64 asked_pages;             /* [v] by the administrator; outlives a reset. The memory
					scheduler may want more: memsched_host.h */
	struct balloon_pace pace;    /* [v] */
	struct balloon_bucket calls; /* [v] */
	bool driver;                 /* [v] it has said hello */
	u32 kind, driver_version;    /* [v] its words, like all up to the statistics */
	u64 os_minimum_pages, swap_pages, flags;
	struct bellows_balloon_stats stats;
	bool stats_known;                   /* [v] */
	u64 heard_ns;                       /* [v] its last call */
	u64 kept_up_ns;                     /* [v] when the balloon last kept up with its target */
	u64 hellos, signals, refused_calls; /* [v] */
	u64 release_cursor;                 /* [v] of what an earlier driver left inflated */
	u64 list[BELLOWS_BALLOON_LIST_MAX]; /* [v] the guest's list, as it was when it was read */
};

/* The guest's memory begins, at power-on or reset: no driver, nothing inflated. */
void balloon_began(struct vm *vm);

/*
 * One of the balloon's hypercalls, from ring 0 and after the version. @gpr: the guest's registers.
 * The answer is RAX's. Locks: takes the VM's and its space's. Never waits; bounded work.
 */
s64 balloon_call(struct vm *vm, u64 number, const u64 *gpr);

/* What bounds the balloon now, and the maximum that follows. Locks: the VM's. */
u64 balloon_maximum_of(const struct vm *vm, enum balloon_limit *which);

/*
 * Promise the VM what it holds outside its balloon: less at once; more as far as what the guest
 * took back, or forgot by a reset, is still there. Locks: the VM's.
 */
void balloon_promise(struct vm *vm);

/* The least that the balloon can be, for what it gave up is promised to others. Locks: the VM's. */
u64 balloon_floor_of(const struct vm *vm);

/* How it fares; *@since_ns as balloon_status() tells it. Locks: the VM's. */
enum balloon_status balloon_status_of(const struct vm *vm, u64 *since_ns);

/* Now and then, from the scheduler's loop: targets move, and guests are told. */
void balloon_work(u64 now_ns);

/* balloon; balloon NAME SIZE|off */
void command_balloon(u32 count, char **words);

#endif
