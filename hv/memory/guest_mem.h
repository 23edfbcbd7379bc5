/*
 * The hypervisor's own accesses to a guest's memory, by guest-physical address. Each page is pinned
 * while it is touched, which brings it in first; nothing is kept pinned between calls. Restartable:
 * where a page is not to be had yet, nothing was changed, and the caller parks the vCPU and does
 * the same again.
 *
 * Errors of all functions: E_RANGE (not all of it is RAM), E_WAIT (later), E_NOMEM (the VM must
 * stop), E_CORRUPT (likewise). Locks: takes the space's; none of that rank or above may be held.
 */
#ifndef HV_MEMORY_GUEST_MEM_H
#define HV_MEMORY_GUEST_MEM_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/space/space.h"

/* A write of up to so many bytes is all or nothing. */
#define GUEST_MEM_ATOMIC_BYTES (7 * PAGE_BYTES)

must_check err_t guest_mem_read(struct space *space, gpa_t gpa, void *to, size_t bytes);

/* Gathers all pages first and then commits (in pieces beyond GUEST_MEM_ATOMIC_BYTES). */
must_check err_t guest_mem_write(struct space *space, gpa_t gpa, const void *from, size_t bytes);

/* One byte written over and over; for clearing. In pieces, as above. */
must_check err_t guest_mem_fill(struct space *space, gpa_t gpa, u8 byte, size_t bytes);

#endif
