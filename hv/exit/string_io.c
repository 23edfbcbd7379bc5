/* String I/O, item by item. */
#include "hv/exit/string_io.h"
#include "hv/hv_ops.h"
#include "hv/exit/operand.h"
#include "hv/vm/vm.h"
#include "hv/x86/msr.h"
#include "hv/x86/time.h"

#define ITEMS_PER_EXIT 32
#define INSN_MAX_BYTES 15
#define SEGMENT_DB     BIT(14) /* D/B, in the access-rights layout */

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

/* How the instruction names its memory: told by the hardware, or by its prefixes. */
struct shape {
	u8 address_bytes, segment;
};

static err_t read_prefixes(
	struct vcpu *vcpu, const struct virt_sregs *sregs, u8 insn_bytes, struct shape *shape)
{
	u8 code[INSN_MAX_BYTES];
	bool code_16 = !operand_is_64bit(sregs) && !(sregs->seg[SEG_CS].attributes & SEGMENT_DB);
	s64 count = operand_fetch(vcpu, sregs, true, code, min(insn_bytes, (u8)INSN_MAX_BYTES));

	if (count < 0)
		return (err_t)count;
	*shape = (struct shape){operand_is_64bit(sregs) ? 8 : code_16 ? 2 : 4, SEG_DS};
	for (s64 i = 0; i < count; i++) {
		static const u8 overrides[SEG_COUNT] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};

		if (code[i] == 0x67)
			shape->address_bytes = operand_is_64bit(sregs) || code_16 ? 4 : 2;
		for (u8 segment = 0; segment < SEG_COUNT; segment++) {
			if (code[i] == overrides[segment])
				shape->segment = segment;
		}
	}
	return 0;
}

err_t string_io(struct vcpu *vcpu, const struct vm_exit *exit, u8 insn_bytes)
{
	struct shape shape = {exit->io.address_bytes, exit->io.segment};
	struct virt_sregs sregs;
	u64 *reg = &vcpu->virt.gpr[exit->io.in ? GPR_RDI : GPR_RSI];
	u64 *counter = &vcpu->virt.gpr[GPR_RCX];
	u64 step = vcpu->virt.rflags & RFLAGS_DF ? -(u64)exit->io.bytes : exit->io.bytes;
	u64 mask;

	hv_ops->get_sregs(&vcpu->virt, &sregs);
	if (!shape.address_bytes) {
		err_t err = read_prefixes(vcpu, &sregs, insn_bytes, &shape);

		if (err)
			return err;
	}
	mask = address_mask(shape.address_bytes);
	for (u32 i = 0; i < ITEMS_PER_EXIT; i++) {
		u8 segment = exit->io.in ? SEG_ES : shape.segment;
		struct operand memory;
		err_t err;

		if (exit->io.rep && (*counter & mask) == 0)
			break;
		err = operand_gather(vcpu, &sregs, operand_linear(&sregs, segment, *reg & mask),
			exit->io.bytes, exit->io.in ? WALK_WRITE : 0, &memory);
		if (err)
			return err;
		if (!operand_is_ram(&memory)) {
			vm_break(vcpu->vm,
				"string I/O on port %#x with an operand outside its memory: %#llx",
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
