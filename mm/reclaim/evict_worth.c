/* Failures as a moving average, in parts of FAILS_ALL: see evict_worth.h. A new space has had none.
 */
#include "mm/reclaim/evict_worth.h"

#define FAILS_ALL  65536u
#define FAILS_MOST (FAILS_ALL / 8 * 7)
#define MEMORY     16u /* attempts that the average looks back */
#define TRY_EVERY  16u

bool evict_is_worth_it(struct space_worth *worth)
{
	if (stats_get(&worth->fails) <= FAILS_MOST)
		return true;
	stats_set(&worth->skipped, stats_get(&worth->skipped) + 1);
	return stats_get(&worth->skipped) % TRY_EVERY == 0;
}

void evict_worth_note(struct space_worth *worth, bool came)
{
	u64 before = stats_get(&worth->fails);

	stats_set(&worth->fails, before - before / MEMORY + (came ? 0 : FAILS_ALL / MEMORY));
}
