/*
 * What touching a page does: the one place where a guest's access that the second-level tables did
 * not allow is answered. Restartable: it either changes the page's state and the guest re-executes
 * the instruction, or it changes nothing and says why.
 */
#ifndef MM_FAULT_FAULT_H
#define MM_FAULT_FAULT_H

#include "mm/space/space.h"

enum fault_result {
	FAULT_DONE,    /* re-enter the guest at the same instruction */
	FAULT_WAIT,    /* park the vCPU; it re-executes when woken */
	FAULT_NOT_RAM, /* the address is not RAM: MMIO, or nowhere */
	FAULT_NOMEM,   /* no frame, and none to be had by reclaiming: the VM must stop */
	FAULT_CORRUPT, /* the page's contents are lost: the VM must stop */
};

/*
 * @access: SLAT_READ, SLAT_WRITE, SLAT_EXEC, or'ed, and FAULT_WALK where the guest's page walk did
 * it, or FAULT_FETCH where nobody did, and the page is brought back ahead (fetch.h).
 */
#define FAULT_WALK  8u
#define FAULT_FETCH 16u

/*
 * The page is protected for the vCPU that this CPU answers for: fault_guard.h.
 * Locks: takes the region's lock; none may be held of that rank or above. Never waits.
 * Cost: O(1) and zeroing or copying one page (512 with a large page), or a decompression; where no
 * frame is free, some batches of reclaim besides.
 */
must_check enum fault_result fault_handle(struct space *space, gpa_t gpa, u32 access);

/*
 * The inside of fault_handle(), for those who already hold the region's lock: make @gfn, which is
 * RAM and whose entry does not allow @access (SLAT_*, FAULT_WALK), allow it. Returns as
 * fault_handle() does, but that FAULT_NOMEM says only that no frame is free now: nothing is
 * reclaimed with the lock held.
 */
must_check enum fault_result fault_resolve(struct space *space, gfn_t gfn, u32 access);

#endif
