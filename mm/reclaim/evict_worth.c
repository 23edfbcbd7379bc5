/* Failures as a moving average, in parts of FAILS_ALL: see evict_worth.h. A new space has had none.
 */
#include "mm/reclaim/evict_worth.h"

#define FAILS_ALL  65536u
#define FAILS_MOST (FAILS_ALL / 8 * 7)
#define MEMORY     16u /* attempts that the average looks back */
#define TRY_EVERY  16u

static u32 load(const u32 *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static void store(u32 *value, u32 to)
{
	__atomic_store_n(value, to, __ATOMIC_RELAXED);
}

bool evict_is_worth_it(struct space_worth *worth)
{
	if (load(&worth->fails) <= FAILS_MOST)
		return true;
	store(&worth->skipped, load(&worth->skipped) + 1);
	return load(&worth->skipped) % TRY_EVERY == 0;
}

void evict_worth_note(struct space_worth *worth, bool came)
{
	u32 before = load(&worth->fails);

	store(&worth->fails, before - before / MEMORY + (came ? 0 : FAILS_ALL / MEMORY));
}
