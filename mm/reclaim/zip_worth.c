/* Failures as a moving average, in parts of FAILS_ALL: see zip_worth.h. A new space has had none.
 */
#include "mm/reclaim/zip_worth.h"

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

bool zip_is_worth_it(struct space *space)
{
	struct space_zip_worth *worth = &space->zip_worth;

	if (load(&worth->fails) <= FAILS_MOST)
		return true;
	store(&worth->skipped, load(&worth->skipped) + 1);
	return load(&worth->skipped) % TRY_EVERY == 0;
}

void zip_worth_note(struct space *space, bool shrank)
{
	u32 *fails = &space->zip_worth.fails, before = load(fails);

	store(fails, before - before / MEMORY + (shrank ? 0 : FAILS_ALL / MEMORY));
}
