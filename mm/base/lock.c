/*
 * Spin locks: a ticket for fairness, and in debug builds a record of the ranks that each CPU holds,
 * so that an acquire against the order fails at once and every time, not only in the unlucky
 * interleaving.
 *
 * The record is one word a CPU, written by that CPU alone: bit N stands for rank N. That one bit is
 * enough, since no CPU may hold two locks of one rank.
 */
#include "mm/base/lock.h"
#include "mm/base/check.h"
#include "mm/platform.h"

#if defined(BELLOWS_DEBUG) || defined(BELLOWS_HOST)

_Static_assert(LOCK_RANK_COUNT <= 32, "a CPU's held ranks fit one word");

static u32 boot_held;
static u32 *held_ranks = &boot_held; /* [I] by CPU; each word its CPU's alone */
static u32 held_cpu_count = 1;       /* [I] */

static u32 *held_here(void)
{
	u32 cpu = platform_cpu_id();

	CHECK(cpu < held_cpu_count);
	return &held_ranks[cpu];
}

/* Before waiting, so that a deadlock is told instead of entered. */
static void rank_check(const struct spinlock *lock)
{
	CHECK(lock->rank != 0 && lock->rank < LOCK_RANK_COUNT);
	CHECK((*held_here() >> lock->rank) == 0);
}

static void rank_take(const struct spinlock *lock)
{
	*held_here() |= 1u << lock->rank;
}

static void rank_drop(const struct spinlock *lock)
{
	u32 *held = held_here();

	CHECK((*held & (1u << lock->rank)) != 0);
	*held &= ~(1u << lock->rank);
}

void lock_init_cpus(u32 *held, u32 cpu_count)
{
	CHECK(boot_held == 0);
	held_ranks = held;
	held_cpu_count = cpu_count;
}

void lock_forget_held(void)
{
	u32 cpu = platform_cpu_id();

	if (cpu < held_cpu_count)
		held_ranks[cpu] = 0;
}

#else

static inline void rank_check(const struct spinlock *lock)
{
	(void)lock;
}

static inline void rank_take(const struct spinlock *lock)
{
	(void)lock;
}

static inline void rank_drop(const struct spinlock *lock)
{
	(void)lock;
}

void lock_init_cpus(u32 *held, u32 cpu_count)
{
	(void)held;
	(void)cpu_count;
}

void lock_forget_held(void)
{
}

#endif

#ifdef BELLOWS_HOST
int sched_yield(void); /* the C library's */

/* The thread that plays a CPU which holds the lock, or is next, may not be running. */
static void wait_a_little(u32 turns)
{
	if (turns % 64 == 63)
		sched_yield();
}
#else
static inline void wait_a_little(u32 turns)
{
	(void)turns;
	__builtin_ia32_pause();
}
#endif

void spin_init(struct spinlock *lock, enum lock_rank rank)
{
	lock->next = 0;
	lock->owner = 0;
	lock->rank = (u8)rank;
}

void spin_lock(struct spinlock *lock)
{
	rank_check(lock);
	u32 ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	for (u32 turns = 0; __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket; turns++)
		wait_a_little(turns);
	rank_take(lock);
}

bool spin_trylock(struct spinlock *lock)
{
	u32 ticket = __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE);

	rank_check(lock);
	/* Only the holder of the ticket being served may draw the next one without waiting. */
	if (!__atomic_compare_exchange_n(
		    &lock->next, &ticket, ticket + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	rank_take(lock);
	return true;
}

void spin_unlock(struct spinlock *lock)
{
	rank_drop(lock);
	__atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
}

bool spin_is_locked(const struct spinlock *lock)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&lock->next, __ATOMIC_RELAXED);
}
