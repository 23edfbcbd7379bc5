/*
 * Telling the disk which slots need not be kept, so that it need not move them about when it makes
 * room (NVMe: "Dataset Management", deallocate).
 *
 * A chunk of a file none of whose slots is in use, and that has been written since, or may have
 * been before the file was made, is taken out of the search for free slots, deallocated with one
 * command, and put back: so no write can overtake the command. One that lies in several extents is
 * left alone. The last free slots are never taken out. Of a file one chunk at a time; nobody waits
 * for it, and what is not found in time is found the next time. A disk that failed one such command
 * is given no more.
 */
#ifndef MM_SWAP_SWAP_TRIM_H
#define MM_SWAP_SWAP_TRIM_H

#include "mm/swap/swap_file.h"

/*
 * Begin with a chunk of @file, if there is one and the disk can do it: when the file was made, when
 * a chunk has become free. It goes on by itself. Locks: takes the file's; none of its rank or above
 * may be held. Cost: a bounded search.
 */
void swap_trim(struct swap_file *file);

#endif
