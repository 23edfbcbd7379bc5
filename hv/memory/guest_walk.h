/*
 * A guest's own page tables, walked in software: what the hypervisor needs where it reads an
 * instruction or moves an operand for the guest. All of the architecture's forms (none, 32-bit with
 * 4 MiB pages, PAE, four and five levels), with the rights of each level. Accessed and dirty bits
 * are set as the CPU would: it has done so for the access that exited, but not for the memory that
 * a string instruction names besides, and a guest may throw away a page that is not marked dirty.
 * Pure but for the accesses to memory that it is given; tested on Linux.
 *
 * Intel SDM vol. 3, "Paging"; AMD APM vol. 2, "Page Translation and Protection".
 */
#ifndef HV_MEMORY_GUEST_WALK_H
#define HV_MEMORY_GUEST_WALK_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "hv/x86/virt.h"

#define WALK_WRITE 1u
#define WALK_USER  2u
#define WALK_FETCH 4u

/* Error code of a page fault. */
#define PF_PRESENT  1u
#define PF_WRITE    2u
#define PF_USER     4u
#define PF_RESERVED 8u
#define PF_FETCH    16u

struct guest_walk {
	const struct virt_sregs *sregs;
	u64 rflags; /* AC opens user pages to supervisor accesses under SMAP */
	/* Reads guest-physical memory; its errors are passed on. */
	err_t (*read)(void *context, gpa_t gpa, void *to, size_t bytes);
	/* Sets bits in the byte there, atomically. */
	err_t (*mark)(void *context, gpa_t gpa, u8 bits);
	void *context;
};

/*
 * Translate one linear address.
 * Returns 0; E_INVAL: the guest's tables do not allow it, *pf_error is what #PF would say; or what
 * the reader returned (E_RANGE: a table lies where there is no memory).
 */
must_check err_t guest_walk(
	const struct guest_walk *walk, u64 linear, u32 access, gpa_t *out, u32 *pf_error);

#endif
