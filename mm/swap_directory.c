/* Gaps between extents: found by walking all files' extents, which are few, each time that one is
 * wanted. */
#include "mm/swap_directory.h"
#include "mm/base/str.h"

/* The first extent at or after @at, of all files and of @file, which is not in the list yet. */
static struct swap_extent next_extent(
	const struct swap_volume *volume, const struct swap_file *file, u64 at)
{
	struct swap_extent next = {volume->slot_count, 0};
	const struct swap_file *f;

	list_for_each_entry (f, &volume->files, in_volume) {
		for (u32 i = 0; i < f->extent_count; i++) {
			if (f->extents[i].first >= at && f->extents[i].first < next.first)
				next = f->extents[i];
		}
	}
	for (u32 i = 0; file && i < file->extent_count; i++) {
		if (file->extents[i].first >= at && file->extents[i].first < next.first)
			next = file->extents[i];
	}
	return next;
}

/* Step to the next gap between extents from *@at on; false when there is none. */
static bool next_gap(const struct swap_volume *volume, const struct swap_file *file, u64 *at,
	struct swap_extent *gap)
{
	while (*at < volume->slot_count) {
		struct swap_extent next = next_extent(volume, file, *at);

		*gap = (struct swap_extent){*at, next.first - *at};
		*at = next.first + next.count;
		if (gap->count)
			return true;
	}
	return false;
}

/* The smallest gap that holds @wanted, else the largest. .count 0: there is none. */
static struct swap_extent best_gap(
	const struct swap_volume *volume, const struct swap_file *file, u64 wanted)
{
	struct swap_extent best = {0, 0}, gap;
	u64 at = 0;

	while (next_gap(volume, file, &at, &gap)) {
		bool fits = gap.count >= wanted, best_fits = best.count >= wanted;

		if (fits && best_fits ? gap.count < best.count : gap.count > best.count)
			best = gap;
	}
	return best;
}

static err_t find_room(const struct swap_volume *volume, struct swap_file *file)
{
	u64 wanted = file->slot_count;

	while (wanted && file->extent_count < SWAP_EXTENTS) {
		struct swap_extent gap = best_gap(volume, file, wanted);

		if (gap.count == 0)
			return E_LIMIT;
		gap.count = min(gap.count, wanted);
		file->extents[file->extent_count++] = gap;
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
	err_t err;

	spin_lock(&volume->lock);
	file->extent_count = 0;
	err = find_room(volume, file);
	if (!err)
		list_add_tail(&volume->files, &file->in_volume);
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
	struct swap_extent gap;
	u64 at = 0, sum = 0;

	*longest = 0;
	spin_lock(&volume->lock);
	while (next_gap(volume, NULL, &at, &gap)) {
		sum += gap.count;
		*longest = max(*longest, gap.count);
	}
	spin_unlock(&volume->lock);
	return sum;
}
