/*
 * A memory operand of an instruction that the hypervisor performs for a guest: a few bytes at a
 * linear address, on one page or two. Gathering it translates and pins; then the instruction can be
 * committed without waiting or failing; releasing it unpins.
 */
#ifndef HV_EXIT_OPERAND_H
#define HV_EXIT_OPERAND_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "hv/memory/guest_walk.h"
#include "hv/vm/vcpu.h"

struct operand_piece {
	gpa_t gpa;
	u32 bytes;
	pfn_t pfn; /* pinned, or PFN_NONE: not RAM, so perhaps a device's */
};

struct operand {
	u32 count; /* of pieces: 1, or 2 where it crosses a page */
	struct operand_piece piece[2];
};

/*
 * Gather @bytes, at most a page of them, at @linear.
 * @access: WALK_*. Returns 0 (pinned; release it); E_INVAL: the guest's tables forbid it, and its
 * #PF has been queued; E_RANGE: a guest page table lies outside its memory, the VM was broken;
 * E_WAIT: later; E_NOMEM, E_CORRUPT: the VM must stop. With an error nothing stays pinned. Locks:
 * takes the space's, and so does release.
 */
must_check err_t operand_gather(struct vcpu *vcpu, const struct virt_sregs *sregs, u64 linear,
	u32 bytes, u32 access, struct operand *out);
void operand_release(struct vcpu *vcpu, struct operand *operand);

static inline bool operand_is_ram(const struct operand *o)
{
	return !pfn_is_none(o->piece[0].pfn) && (o->count == 1 || !pfn_is_none(o->piece[1].pfn));
}

/* Copy out of, and into, an operand that is RAM all through. */
void operand_get(const struct operand *operand, void *to);
void operand_put(const struct operand *operand, const void *from);

/*
 * The bytes of the instruction at RIP, as many of @want as lie on its page, or with @both_pages on
 * the next one too. Returns the count, or an error as above. Locks: takes the space's.
 */
must_check s64 operand_fetch(
	struct vcpu *vcpu, const struct virt_sregs *sregs, bool both_pages, u8 *bytes, u32 want);

/* Linear address of @offset in @segment: bases count in 64-bit mode only for FS and GS. */
u64 operand_linear(const struct virt_sregs *sregs, u8 segment, u64 offset);
bool operand_is_64bit(const struct virt_sregs *sregs);

#endif
