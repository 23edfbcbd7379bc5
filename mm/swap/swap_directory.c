/* Gaps between extents: found by walking all files' extents, which are few, each time that one is
 * wanted. */
#include "mm/swap/swap_directory.h"
#include "mm/base/str.h"

/* A volume with a new file, which gets its extents one after the other. */
struct plan {
	const struct swap_volume *volume;
	bool later; /* when nothing is under way any more for abandoned files */
	struct swap_extent extents[SWAP_EXTENTS];
	u32 extent_count;
};

static bool is_abandoned(const struct swap_file *file)
{
	return file->name[0] == '\0';
}

/* Make *@next the first extent at or after @at, if one of these is before it. */
static void find_next(
	const struct swap_extent *extents, u32 count, u64 at, struct swap_extent *next)
{
	for (u32 i = 0; i < count; i++) {
		if (extents[i].first >= at && extents[i].first < next->first)
			*next = extents[i];
	}
}

static struct swap_extent next_extent(const struct plan *plan, u64 at)
{
	struct swap_extent next = {plan->volume->slot_count, 0};
	const struct swap_file *f;

	list_for_each_entry (f, &plan->volume->files, in_volume) {
		if (!plan->later || !is_abandoned(f))
			find_next(f->extents, f->extent_count, at, &next);
	}
	find_next(plan->extents, plan->extent_count, at, &next);
	return next;
}

/* Step to the next gap between extents from *@at on; false when there is none. */
static bool next_gap(const struct plan *plan, u64 *at, struct swap_extent *gap)
{
	while (*at < plan->volume->slot_count) {
		struct swap_extent next = next_extent(plan, *at);

		*gap = (struct swap_extent){*at, next.first - *at};
		*at = next.first + next.count;
		if (gap->count)
			return true;
	}
	return false;
}

/* The smallest gap that holds @wanted, else the largest. .count 0: there is none. */
static struct swap_extent best_gap(const struct plan *plan, u64 wanted)
{
	struct swap_extent best = {0, 0}, gap;
	u64 at = 0;

	while (next_gap(plan, &at, &gap)) {
		bool fits = gap.count >= wanted, best_fits = best.count >= wanted;

		if (fits && best_fits ? gap.count < best.count : gap.count > best.count)
			best = gap;
	}
	return best;
}

static err_t find_room(struct plan *plan, u64 wanted)
{
	while (wanted && plan->extent_count < SWAP_EXTENTS) {
		struct swap_extent gap = best_gap(plan, wanted);

		if (gap.count == 0)
			return E_LIMIT;
		gap.count = min(gap.count, wanted);
		plan->extents[plan->extent_count++] = gap;
		wanted -= gap.count;
	}
	return wanted ? E_LIMIT : 0;
}

bool swap_directory_has(struct swap_volume *volume, const char *name)
{
	const struct swap_file *f;
	bool found = false;

	spin_lock(&volume->lock);
	list_for_each_entry (f, &volume->files, in_volume)
		found |= strcmp(f->name, name) == 0;
	spin_unlock(&volume->lock);
	return found;
}

err_t swap_directory_add(struct swap_file *file)
{
	struct swap_volume *volume = file->volume;
	struct plan plan = {.volume = volume};
	err_t err;

	spin_lock(&volume->lock);
	err = find_room(&plan, file->slot_count);
	if (!err) {
		memcpy(file->extents, plan.extents, sizeof(file->extents));
		file->extent_count = plan.extent_count;
		list_add_tail(&volume->files, &file->in_volume);
	}
	spin_unlock(&volume->lock);
	return err;
}

void swap_directory_forget_name(struct swap_file *file)
{
	spin_lock(&file->volume->lock);
	file->name[0] = '\0';
	spin_unlock(&file->volume->lock);
}

void swap_directory_remove(struct swap_file *file)
{
	spin_lock(&file->volume->lock);
	list_remove(&file->in_volume);
	spin_unlock(&file->volume->lock);
}

u64 swap_directory_room(struct swap_volume *volume, u64 *longest)
{
	struct plan plan = {.volume = volume};
	struct swap_extent gap;
	u64 at = 0, sum = 0;

	*longest = 0;
	spin_lock(&volume->lock);
	while (next_gap(&plan, &at, &gap)) {
		sum += gap.count;
		*longest = max(*longest, gap.count);
	}
	spin_unlock(&volume->lock);
	return sum;
}

/* Slots that no file has, and those of abandoned ones. The volume is locked. */
static u64 count_free(const struct swap_volume *volume, u64 *abandoned)
{
	const struct swap_file *f;
	u64 free = volume->slot_count;

	*abandoned = 0;
	list_for_each_entry (f, &volume->files, in_volume) {
		free -= f->slot_count;
		*abandoned += is_abandoned(f) ? f->slot_count : 0;
	}
	return free;
}

err_t swap_directory_ask(struct swap_volume *volume, u64 slots, u64 *coming)
{
	struct plan now = {.volume = volume}, later = {.volume = volume, .later = true};
	err_t err = E_LIMIT;
	u64 free;

	spin_lock(&volume->lock);
	free = count_free(volume, coming);
	if (slots <= free)
		err = find_room(&now, slots);
	if (err && *coming && slots <= free + *coming && find_room(&later, slots) == 0)
		err = E_WAIT;
	spin_unlock(&volume->lock);
	return err;
}
