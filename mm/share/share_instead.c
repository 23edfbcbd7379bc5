/*
 * Sharing a page instead of evicting it. Eviction has taken it out of its guest's reach, so it
 * needs neither write-protection nor a flush; the shared frame cannot change, for there is a
 * reference to it. Hints are not followed: their pages would have to be protected first, and a scan
 * does that.
 */
#include "mm/share/share_batch.h"
#include "mm/space/space_entry.h"

bool share_instead(struct space *space, pfn_t frame, u64 *leaf)
{
	struct share_id id;
	pfn_t shared;
	bool zero;

	id = share_identify(space, frame, &zero);
	if (!share_index_find_shared(id, &shared))
		return false;
	if (!share_pages_equal(frame, shared)) {
		share_index_put(shared);
		return false;
	}
	share_count_merged(space, shared);
	*leaf = slat_make_leaf(space->format, shared, SPACE_RIGHTS_READ_ONLY, PAGE_SHARED, false);
	return true;
}
