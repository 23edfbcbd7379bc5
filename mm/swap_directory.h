/*
 * Which files lie on a volume, and what room is left. The directory is the volume's list of files,
 * guarded by its lock: what no file's extents cover is free. An abandoned file stays in it, without
 * a name, until its last I/O is done.
 */
#ifndef MM_SWAP_DIRECTORY_H
#define MM_SWAP_DIRECTORY_H

#include "mm/swap_file.h"

/* Slots that no file has; *@longest: the most that lie together. Cost: O(extents squared). */
u64 swap_directory_room(struct swap_volume *volume, u64 *longest);

/* --- For swap_file ---------------------------------------------------------------------------- */

/*
 * Give a new file, of which volume and slot_count are set, its extents: as few as can be. Returns
 * 0, and it is in the list; E_LIMIT (not so many are free, or too scattered). Cost: O(extents
 * squared).
 */
must_check err_t swap_directory_add(struct swap_file *file);
void swap_directory_forget_name(struct swap_file *file);
void swap_directory_remove(struct swap_file *file);

bool swap_directory_has(struct swap_volume *volume, const char *name);

#endif
