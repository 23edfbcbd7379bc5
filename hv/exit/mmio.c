/* MMIO: which device, which instruction, and its effect. */
#include "hv/exit/mmio.h"
#include "hv/hv_ops.h"
#include "hv/exit/mmio_alu.h"
#include "hv/exit/operand.h"
#include "hv/vdev/decode.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"
#include "mm/fault/fault.h"

#define ITEMS_PER_EXIT 32
#define RFLAGS_DF      BIT(10)
#define SEGMENT_DB     BIT(14) /* D/B, in the access-rights layout */
#define CR0_PE         BIT(0)
#define BYTES_TEXT     (DECODE_MAX_BYTES * 3 + 1)

/* All that the steps below share. */
struct mmio {
	struct vcpu *vcpu;
	struct virt_sregs sregs;
	struct decode_insn insn;
	u8 code[DECODE_MAX_BYTES];
	u32 code_bytes;
	gpa_t gpa;
};

static void format_bytes(char *text, const u8 *bytes, u32 count)
{
	text[0] = '\0';
	for (u32 i = 0; i < count; i++)
		fmt_snprintf(text + i * 3, 4, "%02x ", bytes[i]);
	if (count)
		text[count * 3 - 1] = '\0';
}

/* Stop the VM: where, by which instruction. */
static err_t refuse(struct mmio *m, const char *what)
{
	char text[BYTES_TEXT];

	format_bytes(text, m->code, m->code_bytes);
	vm_break(m->vcpu->vm, "%s: address %#llx, rip %#llx, instruction bytes %s", what,
		(unsigned long long)m->gpa.v, (unsigned long long)m->vcpu->virt.rip,
		m->code_bytes ? text : "(not readable)");
	return 0;
}

static bool is_owned(const struct vm *vm, gpa_t gpa)
{
	return (gpa.v >= MMIO_CHIPSET_FIRST && gpa.v < MMIO_CHIPSET_END) ||
	       vdev_is_mmio(vm->vdev, gpa);
}

/* Where nobody lives, all ones are read. Other errors: nothing was done, and may be later. */
static err_t device_access(struct vcpu *vcpu, gpa_t gpa, u32 bytes, bool write, u64 *value)
{
	struct vm *vm = vcpu->vm;
	u64 mask = bytes == 8 ? ~0ull : BIT(bytes * 8) - 1;
	err_t err;

	*value &= mask;
	spin_lock(&vm->lock);
	err = vdev_mmio(vm->vdev, vcpu->index, time_now_ns(), gpa, bytes, write, value);
	spin_unlock(&vm->lock);
	if (err == E_RANGE)
		*value = ~0ull;
	*value &= mask;
	return err == E_RANGE ? 0 : err;
}

static u64 reg_get(const struct mmio *m, u32 bytes)
{
	const struct decode_insn *in = &m->insn;
	u64 value = m->vcpu->virt.gpr[in->reg];

	if (in->immediate)
		return in->value;
	if (in->high_byte)
		value >>= 8;
	return bytes == 8 ? value : value & (BIT(bytes * 8) - 1);
}

static void reg_set(struct mmio *m, u64 value)
{
	const struct decode_insn *in = &m->insn;
	u64 *reg = &m->vcpu->virt.gpr[in->reg];

	if (in->reg_bytes == 8)
		*reg = value;
	else if (in->reg_bytes == 4)
		*reg = (u32)value;
	else if (in->reg_bytes == 2)
		*reg = (*reg & ~0xffffull) | (value & 0xffff);
	else if (in->high_byte)
		*reg = (*reg & ~0xff00ull) | ((value & 0xff) << 8);
	else
		*reg = (*reg & ~0xffull) | (value & 0xff);
	if (in->reg == GPR_RSP)
		m->vcpu->virt.state_dirty = true;
}

static u64 extend(const struct decode_insn *in, u64 value)
{
	u32 shift = 64 - in->access_bytes * 8;

	if (in->extend == DECODE_SIGN_EXTEND)
		return (u64)((s64)(value << shift) >> shift);
	return value;
}

static err_t do_alu(struct mmio *m)
{
	const struct decode_insn *in = &m->insn;
	struct virt_vcpu *virt = &m->vcpu->virt;
	bool compares = in->alu == DECODE_CMP || in->alu == DECODE_TEST;
	u64 other = reg_get(m, in->access_bytes), flags = virt->rflags, memory = 0, result;
	err_t err = device_access(m->vcpu, m->gpa, in->access_bytes, false, &memory);

	if (!err && in->to_memory) {
		result = mmio_alu(in->alu, memory, other, in->access_bytes, &flags);
		if (!compares)
			err = device_access(m->vcpu, m->gpa, in->access_bytes, true, &result);
	} else if (!err) {
		result = mmio_alu(in->alu, other, memory, in->access_bytes, &flags);
		if (!compares)
			reg_set(m, result);
	}
	if (err)
		return err;
	virt->rflags = flags;
	virt->state_dirty = true;
	return 0;
}

/* One operand of a string instruction: RAM, or a device's register. False: neither. */
static bool string_operand_ok(const struct mmio *m, const struct operand *o)
{
	return operand_is_ram(o) || (o->count == 1 && pfn_is_none(o->piece[0].pfn) &&
					    is_owned(m->vcpu->vm, o->piece[0].gpa));
}

static err_t operand_load(struct mmio *m, const struct operand *o, u64 *value)
{
	*value = 0;
	if (!operand_is_ram(o))
		return device_access(m->vcpu, o->piece[0].gpa, m->insn.access_bytes, false, value);
	operand_get(o, value);
	return 0;
}

static err_t operand_store(struct mmio *m, const struct operand *o, u64 value)
{
	if (!operand_is_ram(o))
		return device_access(m->vcpu, o->piece[0].gpa, m->insn.access_bytes, true, &value);
	operand_put(o, &value);
	return 0;
}

static u64 address_mask(const struct decode_insn *in)
{
	return in->address_bytes == 8 ? ~0ull : BIT(in->address_bytes * 8) - 1;
}

static void advance(u64 *reg, u64 delta, u64 mask)
{
	u64 value = (*reg + delta) & mask;

	*reg = mask == 0xffff ? (*reg & ~mask) | value : value;
}

/* One item of STOS or MOVS. *stop: the VM was broken. */
static err_t do_string_item(struct mmio *m, bool *stop)
{
	struct vcpu *vcpu = m->vcpu;
	const struct decode_insn *in = &m->insn;
	u64 *gpr = vcpu->virt.gpr;
	u64 mask = address_mask(in);
	u64 step = vcpu->virt.rflags & RFLAGS_DF ? -(u64)in->access_bytes : in->access_bytes;
	struct operand to, from = {.count = 0};
	u64 value = gpr[GPR_RAX];
	err_t err = operand_gather(vcpu, &m->sregs,
		operand_linear(&m->sregs, SEG_ES, gpr[GPR_RDI] & mask), in->access_bytes,
		WALK_WRITE, &to);

	if (err)
		return err;
	if (in->op == DECODE_MOVS) {
		err = operand_gather(vcpu, &m->sregs,
			operand_linear(&m->sregs, in->segment, gpr[GPR_RSI] & mask),
			in->access_bytes, 0, &from);
		if (err)
			goto release_to;
	}
	if (!string_operand_ok(m, &to) || (from.count && !string_operand_ok(m, &from))) {
		*stop = true;
		refuse(m, "string instruction outside its memory");
	} else {
		if (from.count)
			err = operand_load(m, &from, &value);
		if (!err)
			err = operand_store(m, &to, value);
		if (!err)
			advance(&gpr[GPR_RDI], step, mask);
		if (!err && from.count)
			advance(&gpr[GPR_RSI], step, mask);
	}
	operand_release(vcpu, &from);
release_to:
	operand_release(vcpu, &to);
	return err;
}

static err_t do_string(struct mmio *m)
{
	u64 *counter = &m->vcpu->virt.gpr[GPR_RCX];
	u64 mask = address_mask(&m->insn);
	bool stop = false;

	for (u32 i = 0; i < ITEMS_PER_EXIT; i++) {
		err_t err;

		if (m->insn.rep && (*counter & mask) == 0)
			break;
		err = do_string_item(m, &stop);
		if (err || stop)
			return err;
		if (!m->insn.rep)
			break;
		advance(counter, ~0ull, mask);
	}
	if (!m->insn.rep || (*counter & mask) == 0)
		hv_ops->skip(&m->vcpu->virt, m->insn.bytes);
	return 0;
}

static enum decode_mode mode_of(const struct virt_sregs *sregs, u64 rflags)
{
	if (operand_is_64bit(sregs))
		return DECODE_64;
	if (!(sregs->cr0 & CR0_PE) || (rflags & BIT(17)))
		return DECODE_16;
	return sregs->seg[SEG_CS].attributes & SEGMENT_DB ? DECODE_32 : DECODE_16;
}

/* Fetch and decode. The second page of an instruction is asked for only if it has bytes there. */
static err_t fetch_and_decode(struct mmio *m, err_t *decoded)
{
	struct virt_vcpu *virt = &m->vcpu->virt;
	enum decode_mode mode = mode_of(&m->sregs, virt->rflags);

	for (u32 both = 0; both < 2; both++) {
		s64 count = operand_fetch(m->vcpu, &m->sregs, both, m->code, DECODE_MAX_BYTES);

		if (count < 0)
			return (err_t)count;
		m->code_bytes = (u32)count;
		*decoded = decode_insn(m->code, m->code_bytes, mode, &m->insn);
		if (*decoded != E_RANGE || m->code_bytes == DECODE_MAX_BYTES)
			break;
	}
	return 0;
}

static err_t perform(struct mmio *m)
{
	const struct decode_insn *in = &m->insn;
	u64 value = 0;
	err_t err = 0;

	switch (in->op) {
	case DECODE_LOAD:
		err = device_access(m->vcpu, m->gpa, in->access_bytes, false, &value);
		if (!err)
			reg_set(m, extend(in, value));
		break;
	case DECODE_STORE:
		value = reg_get(m, in->access_bytes);
		err = device_access(m->vcpu, m->gpa, in->access_bytes, true, &value);
		break;
	case DECODE_ALU:
		err = do_alu(m);
		break;
	case DECODE_STOS:
	case DECODE_MOVS:
		return do_string(m);
	}
	if (err)
		return err;
	hv_ops->skip(&m->vcpu->virt, in->bytes);
	return 0;
}

err_t mmio_handle(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct mmio m = {.vcpu = vcpu, .gpa = exit->fault.gpa};
	err_t decoded, err;

	hv_ops->get_sregs(&vcpu->virt, &m.sregs);
	if (exit->fault.access & FAULT_WALK)
		return refuse(&m, "its page tables are not in its memory");
	if (exit->fault.access & SLAT_EXEC)
		return refuse(&m, "it executes what is not memory");
	/* Then no instruction did it, and no exception may be queued behind the event. */
	if (vcpu->virt.reinject.valid)
		return refuse(&m, "an event was delivered through what is not memory");
	err = fetch_and_decode(&m, &decoded);
	if (err)
		return err == E_RANGE || err == E_INVAL ? 0 : err;
	if (!is_owned(vcpu->vm, m.gpa))
		return refuse(&m, "access to an address that is neither memory nor a device");
	if (decoded)
		return refuse(&m, "an instruction on a device that is not understood");
	if ((m.gpa.v & (PAGE_BYTES - 1)) + m.insn.access_bytes > PAGE_BYTES)
		return refuse(&m, "an access to a device across a page's end");
	return perform(&m);
}
