/* Operands: translate with the guest's tables, pin, copy. */
#include "hv/exit/operand.h"
#include "hv/memory/guest_mem.h"
#include "hv/vm/vm.h"
#include "mm/base/str.h"
#include "mm/platform.h"

#define EFER_LMA          BIT(10)
#define SEGMENT_LONG      BIT(13) /* L, in the access-rights layout */
#define VECTOR_PAGE_FAULT 14

static err_t read_guest(void *context, gpa_t gpa, void *to, size_t bytes)
{
	return guest_mem_read(context, gpa, to, bytes);
}

static err_t mark_guest(void *context, gpa_t gpa, u8 bits)
{
	pfn_t pfn;
	err_t err = space_pin(context, gpa_to_gfn(gpa), true, &pfn);

	if (err)
		return err;
	__atomic_fetch_or(
		(u8 *)platform_frame_va(pfn) + (gpa.v & (PAGE_BYTES - 1)), bits, __ATOMIC_RELAXED);
	space_unpin(context, pfn);
	return 0;
}

bool operand_is_64bit(const struct virt_sregs *sregs)
{
	return (sregs->efer & EFER_LMA) && (sregs->seg[SEG_CS].attributes & SEGMENT_LONG);
}

u64 operand_linear(const struct virt_sregs *sregs, u8 segment, u64 offset)
{
	if (operand_is_64bit(sregs))
		return segment == SEG_FS || segment == SEG_GS ? offset + sregs->seg[segment].base
							      : offset;
	return (u32)(offset + sregs->seg[segment].base);
}

static err_t translate(
	struct vcpu *vcpu, const struct virt_sregs *sregs, u64 linear, u32 access, gpa_t *out)
{
	struct guest_walk walk = {
		.sregs = sregs,
		.rflags = vcpu->virt.rflags,
		.read = read_guest,
		.mark = mark_guest,
		.context = vcpu->virt.space,
	};
	u32 pf_error;
	err_t err;

	if (sregs->cpl == 3)
		access |= WALK_USER;
	err = guest_walk(&walk, linear, access, out, &pf_error);
	if (err == E_INVAL) {
		vcpu->virt.cr2 = linear;
		vcpu_queue_exception(vcpu, VECTOR_PAGE_FAULT, true, pf_error);
	} else if (err == E_RANGE) {
		vm_break(vcpu->vm,
			"page tables outside its memory: cr3 %#llx, linear address %#llx, rip %#llx",
			(unsigned long long)sregs->cr3, (unsigned long long)linear,
			(unsigned long long)vcpu->virt.rip);
	}
	return err;
}

void operand_release(struct vcpu *vcpu, struct operand *operand)
{
	for (u32 i = 0; i < operand->count; i++) {
		if (!pfn_is_none(operand->piece[i].pfn))
			space_unpin(vcpu->virt.space, operand->piece[i].pfn);
	}
	operand->count = 0;
}

static err_t gather_piece(struct vcpu *vcpu, const struct virt_sregs *sregs, u64 linear, u32 bytes,
	u32 access, struct operand_piece *piece)
{
	err_t err = translate(vcpu, sregs, linear, access, &piece->gpa);

	if (err)
		return err;
	piece->bytes = bytes;
	piece->pfn = PFN_NONE;
	err = space_pin(vcpu->virt.space, gpa_to_gfn(piece->gpa), access & WALK_WRITE, &piece->pfn);
	if (err == E_RANGE) {
		piece->pfn = PFN_NONE;
		return 0;
	}
	return err;
}

err_t operand_gather(struct vcpu *vcpu, const struct virt_sregs *sregs, u64 linear, u32 bytes,
	u32 access, struct operand *out)
{
	u32 room = (u32)(PAGE_BYTES - (linear & (PAGE_BYTES - 1)));
	u32 first = min(room, bytes);
	err_t err;

	out->count = 0;
	err = gather_piece(vcpu, sregs, linear, first, access, &out->piece[0]);
	if (err)
		return err;
	out->count = 1;
	if (first < bytes) {
		err = gather_piece(
			vcpu, sregs, linear + first, bytes - first, access, &out->piece[1]);
		if (err) {
			operand_release(vcpu, out);
			return err;
		}
		out->count = 2;
	}
	return 0;
}

static u8 *piece_va(const struct operand_piece *piece)
{
	return (u8 *)platform_frame_va(piece->pfn) + (piece->gpa.v & (PAGE_BYTES - 1));
}

void operand_get(const struct operand *operand, void *to)
{
	u8 *at = to;

	for (u32 i = 0; i < operand->count; i++) {
		memcpy(at, piece_va(&operand->piece[i]), operand->piece[i].bytes);
		at += operand->piece[i].bytes;
	}
}

void operand_put(const struct operand *operand, const void *from)
{
	const u8 *at = from;

	for (u32 i = 0; i < operand->count; i++) {
		memcpy(piece_va(&operand->piece[i]), at, operand->piece[i].bytes);
		at += operand->piece[i].bytes;
	}
}

s64 operand_fetch(
	struct vcpu *vcpu, const struct virt_sregs *sregs, bool both_pages, u8 *bytes, u32 want)
{
	u64 linear = operand_linear(sregs, SEG_CS, vcpu->virt.rip);
	u32 room = (u32)(PAGE_BYTES - (linear & (PAGE_BYTES - 1)));
	u32 count = both_pages ? want : min(want, room);
	struct operand code;
	err_t err = operand_gather(vcpu, sregs, linear, count, WALK_FETCH, &code);

	if (err)
		return err;
	if (operand_is_ram(&code))
		operand_get(&code, bytes);
	else
		count = 0;
	operand_release(vcpu, &code);
	return count;
}
