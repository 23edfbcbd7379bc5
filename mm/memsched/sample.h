/*
 * How much of a VM's memory is in use, by the accessed bits of some of its pages, drawn by chance.
 *
 * A period begins with a new sample, whose bits are cleared; how many of its pages have been
 * touched since can be asked at any time. Pages in the balloon are not drawn. A page that reclaim's
 * sweeps found in use counts too, and so do pages that came back to memory because somebody touched
 * them. Where the CPU sets no accessed bits, nothing is sampled. See memsched_active.h for what
 * becomes of the numbers.
 */
#ifndef MM_MEMSCHED_SAMPLE_H
#define MM_MEMSCHED_SAMPLE_H

#include "mm/space/space.h"

/*
 * Draw a new sample, and let its period begin. One caller at a time for each space. Locks: takes
 * regions'. Cost: SPACE_SAMPLE_PAGES pages and a flush round.
 */
void sample_begin(struct space *space);

/*
 * Of the sample's *@sampled pages, *@accessed have been touched since it began. What was seen once
 * stays seen; a page that is gone again before anybody looks is not. Locks: takes regions'.
 */
void sample_look(struct space *space, u32 *sampled, u32 *accessed);

#endif
