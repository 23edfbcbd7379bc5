/*
 * Which files lie on a volume, and what room is left. The directory is the volume's list of files,
 * guarded by its lock: what no file's extents cover is free. An abandoned file stays in it, without
 * a name, until its last I/O is done.
 */
#ifndef MM_SWAP_SWAP_DIRECTORY_H
#define MM_SWAP_SWAP_DIRECTORY_H

#include "mm/swap/swap_file.h"

/* Slots that no file has; *@longest: the most that lie together. Cost: O(extents squared). */
u64 swap_directory_room(struct swap_volume *volume, u64 *longest);

/**
 * Is there room for a new file of @slots?
 * *@coming: slots of abandoned files, which come back when the last I/O of each is done: within the
 * time that the disk's driver gives a request, for one that is dead fails them all.
 * Returns 0 (now); E_WAIT (with what is coming: ask again); E_LIMIT (nor then). Others may take the
 * room meanwhile. Cost: O(files) where so many slots are neither free nor coming; else a walk of
 * O(extents squared) for each extent that the file would have, and that twice at most, with the
 * volume locked.
 */
must_check err_t swap_directory_ask(struct swap_volume *volume, u64 slots, u64 *coming);

/* --- For swap_file ---------------------------------------------------------------------------- */

/*
 * Give a new file, of which volume and slot_count are set, its extents: as few as can be. Returns
 * 0, and it is in the list; E_LIMIT (not so many are free, or too scattered). Cost: O(extents
 * squared), for each extent that it gets, with the volume locked.
 */
must_check err_t swap_directory_add(struct swap_file *file);
void swap_directory_forget_name(struct swap_file *file);
void swap_directory_remove(struct swap_file *file);

bool swap_directory_has(struct swap_volume *volume, const char *name);

#endif
