/*
 * mm/base/lock.c with one rank's locks that lock nothing: linked in its place by
 * model_stress_canary_tsan.c alone.
 */
#include "tests/model/lock_broken.h"

#include "mm/base/lock.h"
#include <sched.h>

enum lock_rank lock_broken_rank;

void lock_init_cpus(u32 *held, u32 cpu_count)
{
	(void)held;
	(void)cpu_count;
}

void spin_init(struct spinlock *lock, enum lock_rank rank)
{
	*lock = (struct spinlock){.rank = (u8)rank};
}

bool spin_trylock(struct spinlock *lock)
{
	u32 ticket = 0;

	return lock->rank == lock_broken_rank ||
	       __atomic_compare_exchange_n(
		       &lock->owner, &ticket, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void spin_lock(struct spinlock *lock)
{
	while (!spin_trylock(lock))
		sched_yield();
}

void spin_unlock(struct spinlock *lock)
{
	if (lock->rank != lock_broken_rank)
		__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
}
