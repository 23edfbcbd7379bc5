/*
 * Guards are rings of page numbers in the space. Only the CPU that runs a vCPU writes its ring;
 * whoever evicts reads them all, so each word is atomic. A word that is read a moment too early or
 * too late costs one more fault: the region's lock orders what matters (fault_guard.h).
 */
#include "mm/fault/fault_guard.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/space/space.h"

struct user {
	struct space *space; /* its CPU only */
	struct fault_guard *guard;
} __attribute__((aligned(CACHE_LINE_BYTES)));

static struct user *users; /* [I] by CPU */

err_t fault_guard_init_cpus(void)
{
	u64 bytes = platform_cpu_count() * sizeof(*users);
	pfn_t run = frame_alloc_run(FRAME_HV, (bytes + PAGE_BYTES - 1) / PAGE_BYTES);

	if (pfn_is_none(run))
		return E_NOMEM;
	users = platform_frame_va(run);
	return E_OK;
}

void fault_guard_use(struct space *space, u32 index)
{
	struct user *user = &users[platform_cpu_id()];

	user->space = space;
	user->guard = space && index < space->guard_count ? &space->guards[index] : NULL;
}

void fault_guard_moved_on(void)
{
	struct fault_guard *guard = users[platform_cpu_id()].guard;

	for (u32 i = 0; guard && i < FAULT_GUARD_PAGES && guard->pages[i]; i++)
		__atomic_store_n(&guard->pages[i], 0, __ATOMIC_RELAXED);
	if (guard)
		guard->next = 0;
}

static bool has(const struct fault_guard *guard, gfn_t gfn)
{
	/*
	 * Each fault looks, and mostly in vain. A ring fills from its beginning, so where eight
	 * places begin with a free one there is nothing from there on.
	 */
	for (u32 i = 0; i < FAULT_GUARD_PAGES; i += 8) {
		if (__atomic_load_n(&guard->pages[i], __ATOMIC_RELAXED) == 0)
			return false;
#pragma GCC unroll 8
		for (u32 j = 0; j < 8; j++) {
			if (__atomic_load_n(&guard->pages[i + j], __ATOMIC_RELAXED) == gfn.v + 1)
				return true;
		}
	}
	return false;
}

void fault_guard_add(struct space *space, gfn_t gfn)
{
	struct user *user = &users[platform_cpu_id()];

	/* A page may fault several times, to be read, be there, be written: it counts once. */
	if (user->space != space || !user->guard || has(user->guard, gfn))
		return;
	__atomic_store_n(&user->guard->pages[user->guard->next], gfn.v + 1, __ATOMIC_RELAXED);
	user->guard->next = (user->guard->next + 1) % FAULT_GUARD_PAGES;
}

bool fault_guard_covers(const struct space *space, gfn_t gfn)
{
	for (u32 i = 0; i < space->guard_count; i++) {
		if (has(&space->guards[i], gfn))
			return true;
	}
	return false;
}
