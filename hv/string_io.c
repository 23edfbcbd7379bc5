/* String I/O, item by item. */
#include "hv/string_io.h"
#include "hv/hv_ops.h"
#include "hv/operand.h"
#include "hv/vm.h"
#include "hv/x86/time.h"

#define ITEMS_PER_EXIT 32
#define RFLAGS_DF      BIT(10)

static u64 address_mask(u8 address_bytes)
{
	return address_bytes == 2 ? 0xffffull : address_bytes == 4 ? 0xffffffffull : ~0ull;
}

/* Registers narrower than 32 bits keep their upper part; 32-bit results clear it. */
static void advance(u64 *reg, u64 delta, u64 mask)
{
	u64 value = (*reg + delta) & mask;

	*reg = mask == 0xffffull ? (*reg & ~mask) | value : value;
}

static void do_item(struct vcpu *vcpu, const struct vm_exit *exit, struct operand *memory)
{
	struct vm *vm = vcpu->vm;
	u32 value = 0;

	if (!exit->io.in)
		operand_get(memory, &value);
	spin_lock(&vm->lock);
	vdev_io(vm->vdev, vcpu->index, time_now_ns(), exit->io.port, exit->io.bytes, !exit->io.in,
		&value);
	spin_unlock(&vm->lock);
	if (exit->io.in)
		operand_put(memory, &value);
}

err_t string_io(struct vcpu *vcpu, const struct vm_exit *exit, u8 insn_bytes)
{
	struct virt_sregs sregs;
	u64 *reg = &vcpu->virt.gpr[exit->io.in ? GPR_RDI : GPR_RSI];
	u64 *counter = &vcpu->virt.gpr[GPR_RCX];
	u64 step = vcpu->virt.rflags & RFLAGS_DF ? -(u64)exit->io.bytes : exit->io.bytes;
	u64 mask;

	hv_ops->get_sregs(&vcpu->virt, &sregs);
	mask = address_mask(exit->io.address_bytes ? exit->io.address_bytes
						   : operand_is_64bit(&sregs) ? 8 : 4);
	for (u32 i = 0; i < ITEMS_PER_EXIT; i++) {
		u8 segment = exit->io.in ? SEG_ES : exit->io.segment;
		struct operand memory;
		err_t err;

		if (exit->io.rep && (*counter & mask) == 0)
			break;
		err = operand_gather(vcpu, &sregs, operand_linear(&sregs, segment, *reg & mask),
			exit->io.bytes, exit->io.in ? WALK_WRITE : 0, &memory);
		if (err)
			return err;
		if (!operand_is_ram(&memory)) {
			vm_break(vcpu->vm, "string I/O on port %#x with an operand outside its memory: %#llx",
				exit->io.port, (unsigned long long)memory.piece[0].gpa.v);
			operand_release(vcpu, &memory);
			return E_RANGE;
		}
		do_item(vcpu, exit, &memory);
		operand_release(vcpu, &memory);
		advance(reg, step, mask);
		if (!exit->io.rep)
			break;
		advance(counter, ~0ull, mask);
	}
	if (!exit->io.rep || (*counter & mask) == 0)
		hv_ops->skip(&vcpu->virt, insn_bytes);
	return 0;
}
