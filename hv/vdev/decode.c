/*
 * One pass over the bytes: prefixes, opcode, ModRM and its address, immediate. A table by opcode
 * says what is known; the rest is refused. What hardware would refuse too (LOCK where it is not
 * allowed, more than 15 bytes) need not be told apart: an instruction that got to its memory access
 * was a legal one.
 */
#include "hv/vdev/decode.h"
#include "hv/x86/virt.h"
#include "mm/base/str.h"

#define REX_W 8u
#define REX_R 4u
#define REX_X 2u
#define REX_B 1u

struct reader {
	const u8 *at;
	size_t count; /* bytes there are */
	size_t used;
	bool ended; /* more was wanted than there is */
};

struct prefixes {
	bool operand_size, address_size, lock, rep, repne;
	int segment; /* -1: none */
	u8 rex;
};

struct state {
	struct reader in;
	struct prefixes prefix;
	enum decode_mode mode;
	u8 operand_bytes;
	u8 modrm;
	struct decode_insn *out;
};

static u64 take(struct reader *in, u32 bytes)
{
	u64 value = 0;

	for (u32 i = 0; i < bytes; i++) {
		if (in->used == in->count) {
			in->ended = true;
			return 0;
		}
		value |= (u64)in->at[in->used++] << (8 * i);
	}
	return value;
}

static s64 take_signed(struct reader *in, u32 bytes)
{
	u32 shift = 64 - 8 * bytes;

	return (s64)(take(in, bytes) << shift) >> shift;
}

/* In 64-bit mode the overrides other than FS and GS do nothing, not even undo an FS before them. */
static void note_segment(struct prefixes *p, enum decode_mode mode, int segment)
{
	if (mode != DECODE_64 || segment == SEG_FS || segment == SEG_GS)
		p->segment = segment;
}

/* True if @byte was a legacy prefix and has been noted. */
static bool note_prefix(struct prefixes *p, enum decode_mode mode, u8 byte)
{
	switch (byte) {
	case 0x66:
		p->operand_size = true;
		return true;
	case 0x67:
		p->address_size = true;
		return true;
	case 0xf0:
		p->lock = true;
		return true;
	case 0xf2:
		p->repne = true;
		p->rep = false;
		return true;
	case 0xf3:
		p->rep = true;
		p->repne = false;
		return true;
	case 0x26:
		note_segment(p, mode, SEG_ES);
		return true;
	case 0x2e:
		note_segment(p, mode, SEG_CS);
		return true;
	case 0x36:
		note_segment(p, mode, SEG_SS);
		return true;
	case 0x3e:
		note_segment(p, mode, SEG_DS);
		return true;
	case 0x64:
		note_segment(p, mode, SEG_FS);
		return true;
	case 0x65:
		note_segment(p, mode, SEG_GS);
		return true;
	}
	return false;
}

/* Prefixes up to the opcode's first byte, which is returned. A REX counts only right before it. */
static u8 take_prefixes(struct state *s)
{
	for (;;) {
		u8 byte = (u8)take(&s->in, 1);

		if (s->in.ended)
			return 0;
		if (note_prefix(&s->prefix, s->mode, byte)) {
			s->prefix.rex = 0;
			continue;
		}
		if (s->mode == DECODE_64 && (byte & 0xf0) == 0x40) {
			s->prefix.rex = byte;
			continue;
		}
		return byte;
	}
}

static void set_sizes(struct state *s)
{
	struct decode_insn *out = s->out;
	bool wide = (s->mode == DECODE_16) == s->prefix.operand_size;

	if (s->prefix.rex & REX_W)
		s->operand_bytes = 8;
	else
		s->operand_bytes = wide ? 4 : 2;
	if (s->mode == DECODE_64)
		out->address_bytes = s->prefix.address_size ? 4 : 8;
	else
		out->address_bytes = (s->mode == DECODE_16) == s->prefix.address_size ? 4 : 2;
}

static void set_segment(struct state *s, u8 fallback)
{
	s->out->segment = s->prefix.segment >= 0 ? (u8)s->prefix.segment : fallback;
}

static void address_16(struct state *s)
{
	static const s8 bases[8] = {
		GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP, GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX};
	static const s8 indexes[8] = {GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI, -1, -1, -1, -1};
	struct decode_insn *out = s->out;
	u32 mod = s->modrm >> 6, rm = s->modrm & 7;

	out->base = bases[rm];
	out->index = indexes[rm];
	if (mod == 0 && rm == 6) {
		out->base = -1;
		out->displacement = take_signed(&s->in, 2);
	} else if (mod) {
		out->displacement = take_signed(&s->in, mod);
	}
	set_segment(s, out->base == GPR_RBP ? SEG_SS : SEG_DS);
}

/* Returns whether there is a base register. */
static bool sib(struct state *s, u32 mod)
{
	u8 byte = (u8)take(&s->in, 1);
	u8 index = (byte >> 3 & 7) | (s->prefix.rex & REX_X ? 8 : 0);

	if (index != GPR_RSP) {
		s->out->index = (s8)index;
		s->out->scale = (u8)(1 << (byte >> 6));
	}
	if ((byte & 7) == 5 && mod == 0)
		return false;
	s->out->base = (s8)((byte & 7) | (s->prefix.rex & REX_B ? 8 : 0));
	return true;
}

static void address_32_64(struct state *s)
{
	struct decode_insn *out = s->out;
	u32 mod = s->modrm >> 6, rm = s->modrm & 7;
	bool based = true;

	if (rm == 4) {
		based = sib(s, mod);
	} else if (mod == 0 && rm == 5) {
		based = false;
		if (s->mode == DECODE_64)
			out->base = -2;
	} else {
		out->base = (s8)(rm | (s->prefix.rex & REX_B ? 8 : 0));
	}
	if (!based)
		out->displacement = take_signed(&s->in, 4);
	else if (mod)
		out->displacement = take_signed(&s->in, mod == 1 ? 1 : 4);
	set_segment(s, out->base == GPR_RSP || out->base == GPR_RBP ? SEG_SS : SEG_DS);
}

/* ModRM and the memory operand; E_UNSUPPORTED if it names a register instead. */
static err_t take_modrm(struct state *s)
{
	s->modrm = (u8)take(&s->in, 1);
	if (s->in.ended)
		return E_RANGE;
	if (s->modrm >> 6 == 3)
		return E_UNSUPPORTED;
	if (s->out->address_bytes == 2)
		address_16(s);
	else
		address_32_64(s);
	return 0;
}

static u32 modrm_reg(const struct state *s)
{
	return s->modrm >> 3 & 7;
}

/* The register operand of @bytes: 4..7 are AH..BH for bytes when there is no REX. */
static void set_register(struct state *s, u8 bytes)
{
	u8 reg = (u8)(modrm_reg(s) | (s->prefix.rex & REX_R ? 8 : 0));

	s->out->high_byte = bytes == 1 && !s->prefix.rex && reg >= 4;
	s->out->reg = s->out->high_byte ? reg - 4 : reg;
}

static void set_immediate(struct state *s, u8 bytes)
{
	s->out->immediate = true;
	s->out->value = (u64)take_signed(&s->in, bytes);
	if (s->out->access_bytes < 8)
		s->out->value &= (1ull << (8 * s->out->access_bytes)) - 1;
}

static err_t decode_mov(struct state *s, u8 opcode)
{
	u8 bytes = opcode & 1 ? s->operand_bytes : 1;
	err_t err = take_modrm(s);

	if (err)
		return err;
	s->out->op = opcode & 2 ? DECODE_LOAD : DECODE_STORE;
	s->out->access_bytes = s->out->reg_bytes = bytes;
	set_register(s, bytes);
	return 0;
}

/* MOV between rAX and an absolute address. */
static err_t decode_mov_offset(struct state *s, u8 opcode)
{
	u8 bytes = opcode & 1 ? s->operand_bytes : 1;

	s->out->op = opcode & 2 ? DECODE_STORE : DECODE_LOAD;
	s->out->access_bytes = s->out->reg_bytes = bytes;
	s->out->reg = GPR_RAX;
	s->out->displacement = (s64)take(&s->in, s->out->address_bytes);
	set_segment(s, SEG_DS);
	return 0;
}

static err_t decode_mov_immediate(struct state *s, u8 opcode)
{
	u8 bytes = opcode & 1 ? s->operand_bytes : 1;
	err_t err = take_modrm(s);

	if (err)
		return err;
	if (modrm_reg(s) != 0)
		return E_UNSUPPORTED;
	s->out->op = DECODE_STORE;
	s->out->access_bytes = s->out->reg_bytes = bytes;
	set_immediate(s, min(bytes, (u8)4));
	return 0;
}

static err_t decode_extending(struct state *s, u8 bytes, enum decode_extend extend)
{
	err_t err = take_modrm(s);

	if (err)
		return err;
	s->out->op = DECODE_LOAD;
	s->out->extend = extend;
	s->out->access_bytes = bytes;
	s->out->reg_bytes = s->operand_bytes;
	set_register(s, s->operand_bytes);
	return 0;
}

static err_t decode_string(struct state *s, u8 opcode)
{
	bool moves = opcode < 0xaa;
	u8 bytes = opcode & 1 ? s->operand_bytes : 1;

	s->out->op = moves ? DECODE_MOVS : DECODE_STOS;
	s->out->access_bytes = s->out->reg_bytes = bytes;
	s->out->reg = GPR_RAX;
	/* REPNE repeats these as REP does. */
	s->out->rep = s->prefix.rep || s->prefix.repne;
	if (moves)
		set_segment(s, SEG_DS); /* of the source; the destination is ES, always */
	else
		s->out->segment = SEG_ES;
	return 0;
}

/* ADD OR ADC SBB AND SUB XOR CMP, in their four forms with ModRM: 00-03 + 8n. */
static err_t decode_alu(struct state *s, u8 opcode)
{
	u8 bytes = opcode & 1 ? s->operand_bytes : 1;
	err_t err = take_modrm(s);

	if (err)
		return err;
	s->out->op = DECODE_ALU;
	s->out->alu = opcode >> 3;
	s->out->to_memory = !(opcode & 2);
	s->out->access_bytes = s->out->reg_bytes = bytes;
	set_register(s, bytes);
	return 0;
}

/* The same with an immediate: 80, 81, 83. */
static err_t decode_alu_immediate(struct state *s, u8 opcode)
{
	u8 bytes = opcode & 1 ? s->operand_bytes : 1;
	err_t err = take_modrm(s);

	if (err)
		return err;
	s->out->op = DECODE_ALU;
	s->out->alu = (enum decode_alu)modrm_reg(s);
	s->out->to_memory = true;
	s->out->access_bytes = s->out->reg_bytes = bytes;
	set_immediate(s, opcode == 0x81 ? min(bytes, (u8)4) : 1);
	return 0;
}

/* TEST: 84, 85 with a register; F6 /0, F7 /0 with an immediate. */
static err_t decode_test(struct state *s, u8 opcode)
{
	u8 bytes = opcode & 1 ? s->operand_bytes : 1;
	err_t err = take_modrm(s);

	if (err)
		return err;
	s->out->op = DECODE_ALU;
	s->out->alu = DECODE_TEST;
	s->out->to_memory = true;
	s->out->access_bytes = s->out->reg_bytes = bytes;
	if (opcode < 0x88) {
		set_register(s, bytes);
		return 0;
	}
	if (modrm_reg(s) > 1)
		return E_UNSUPPORTED;
	set_immediate(s, min(bytes, (u8)4));
	return 0;
}

static err_t decode_two_byte(struct state *s)
{
	u8 opcode = (u8)take(&s->in, 1);

	switch (opcode) {
	case 0xb6:
		return decode_extending(s, 1, DECODE_ZERO_EXTEND);
	case 0xb7:
		return decode_extending(s, 2, DECODE_ZERO_EXTEND);
	case 0xbe:
		return decode_extending(s, 1, DECODE_SIGN_EXTEND);
	case 0xbf:
		return decode_extending(s, 2, DECODE_SIGN_EXTEND);
	}
	return s->in.ended ? E_RANGE : E_UNSUPPORTED;
}

static err_t decode_opcode(struct state *s, u8 opcode)
{
	if (opcode < 0x40 && (opcode & 7) < 4)
		return decode_alu(s, opcode);
	switch (opcode) {
	case 0x0f:
		return decode_two_byte(s);
	case 0x63:
		/* Elsewhere ARPL; with 16 bits vendors disagree on what is read. */
		if (s->mode != DECODE_64 || s->operand_bytes == 2)
			return E_UNSUPPORTED;
		return decode_extending(s, 4, DECODE_SIGN_EXTEND);
	case 0x80:
	case 0x81:
	case 0x83:
		return decode_alu_immediate(s, opcode);
	case 0x84:
	case 0x85:
	case 0xf6:
	case 0xf7:
		return decode_test(s, opcode);
	case 0x88 ... 0x8b:
		return decode_mov(s, opcode);
	case 0xa0 ... 0xa3:
		return decode_mov_offset(s, opcode);
	case 0xa4:
	case 0xa5:
	case 0xaa:
	case 0xab:
		return decode_string(s, opcode);
	case 0xc6:
	case 0xc7:
		return decode_mov_immediate(s, opcode);
	}
	return E_UNSUPPORTED;
}

/* LOCK is legal on read-modify-write forms only. */
static bool lock_ok(const struct state *s)
{
	const struct decode_insn *out = s->out;

	return !s->prefix.lock || (out->op == DECODE_ALU && out->to_memory &&
					  out->alu != DECODE_CMP && out->alu != DECODE_TEST);
}

err_t decode_insn(const u8 *bytes, size_t count, enum decode_mode mode, struct decode_insn *out)
{
	struct state s = {
		.in = {.at = bytes, .count = min(count, (size_t)DECODE_MAX_BYTES)},
		.prefix = {.segment = -1},
		.mode = mode,
		.out = out,
	};
	u8 opcode;
	err_t err;

	*out = (struct decode_insn){.base = -1, .index = -1, .scale = 1};
	opcode = take_prefixes(&s);
	if (!s.in.ended) {
		set_sizes(&s);
		err = decode_opcode(&s, opcode);
	} else {
		err = E_RANGE;
	}
	/* Fifteen bytes and no end: no instruction at all. */
	if (s.in.ended || err == E_RANGE)
		return count >= DECODE_MAX_BYTES ? E_UNSUPPORTED : E_RANGE;
	if (err)
		return err;
	if (!lock_ok(&s))
		return E_UNSUPPORTED;
	out->bytes = (u8)s.in.used;
	return 0;
}
