/* Compressed objects going out to the swap file, as they are. Commands: evict_io.h. */
#ifndef MM_RECLAIM_EVICT_OBJECTS_H
#define MM_RECLAIM_EVICT_OBJECTS_H

#include "mm/base/err.h"
#include "mm/base/types.h"

struct space;

/* Set aside the frames that they leave through. E_NOMEM. */
must_check err_t evict_objects_init(void);

/**
 * Start writing @space's coldest compressed objects to its swap file as they are, through frames
 * set aside; the cache gets its room back when they are written. Returns how many are under way; 0:
 * no object, no record, no frame or no slot. Locks: none held.
 */
u32 evict_objects_write(struct space *space);

/* Objects now being written out, of all spaces. */
u64 evict_objects_leaving(void);

#endif
