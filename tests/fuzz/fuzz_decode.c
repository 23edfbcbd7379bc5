/* SRCS: hv/vdev/decode.c LIBS: -lZydis */
/*
 * The MMIO decoder against Zydis: whatever it accepts, Zydis must know as well, with the same
 * length, the same memory operand and the same other operand. The first byte of the input chooses
 * the mode; the rest is code.
 */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/vdev/decode.h"
#include "hv/x86/virt.h"

static const u8 *code;
static size_t code_bytes;

#define AGREE(what, condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			disagree(what, #condition);                                                \
	} while (0)

static void disagree(const char *what, const char *condition)
{
	fprintf(stderr, "%s: not %s; code", what, condition);
	for (size_t i = 0; i < code_bytes && i < DECODE_MAX_BYTES; i++)
		fprintf(stderr, " %02x", code[i]);
	fprintf(stderr, "\n");
	abort();
}

/* Number and bytes of a general register, or -1. */
static int number_of(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_NONE ? -1 : ZydisRegisterGetId(reg);
}

static u8 segment_of(ZydisRegister reg)
{
	switch (reg) {
	case ZYDIS_REGISTER_ES:
		return SEG_ES;
	case ZYDIS_REGISTER_CS:
		return SEG_CS;
	case ZYDIS_REGISTER_SS:
		return SEG_SS;
	case ZYDIS_REGISTER_FS:
		return SEG_FS;
	case ZYDIS_REGISTER_GS:
		return SEG_GS;
	default:
		return SEG_DS;
	}
}

static u64 mask_to(u64 value, u32 bytes)
{
	return bytes < 8 ? value & ((1ull << (8 * bytes)) - 1) : value;
}

static void check_memory(
	const struct decode_insn *got, enum decode_mode mode, const ZydisDecodedOperand *want)
{
	bool flat = mode == DECODE_64 && want->mem.segment != ZYDIS_REGISTER_FS &&
		    want->mem.segment != ZYDIS_REGISTER_GS;

	AGREE("size", got->access_bytes * 8 == want->size);
	if (want->mem.base == ZYDIS_REGISTER_RIP || want->mem.base == ZYDIS_REGISTER_EIP) {
		AGREE("base", got->base == -2);
	} else if (want->mem.base == ZYDIS_REGISTER_NONE &&
		   want->mem.index != ZYDIS_REGISTER_NONE && want->mem.scale == 1 &&
		   got->index < 0) {
		AGREE("base", got->base == number_of(want->mem.index));
	} else {
		AGREE("base", got->base == number_of(want->mem.base));
		AGREE("index", got->index == number_of(want->mem.index));
		if (got->index >= 0)
			AGREE("scale", got->scale == max(want->mem.scale, 1));
	}
	AGREE("displacement", mask_to((u64)got->displacement, got->address_bytes) ==
				      mask_to((u64)want->mem.disp.value, got->address_bytes));
	/* Which of the four flat segments it is makes no difference in 64-bit mode. */
	if (flat)
		AGREE("segment", got->segment != SEG_FS && got->segment != SEG_GS);
	else
		AGREE("segment", got->segment == segment_of(want->mem.segment));
}

static void check_register(
	const struct decode_insn *got, u32 bytes, const ZydisDecodedOperand *want)
{
	bool high = want->reg.value >= ZYDIS_REGISTER_AH && want->reg.value <= ZYDIS_REGISTER_BH;
	int number = ZydisRegisterGetId(want->reg.value);

	AGREE("register bytes", bytes * 8 == want->size);
	AGREE("high byte", got->high_byte == high);
	/* Zydis numbers AL CL DL BL AH CH DH BH SPL...: byte registers are told apart by name. */
	if (bytes > 1) {
		AGREE("register", got->reg == number);
	} else if (high) {
		AGREE("register", got->reg == want->reg.value - ZYDIS_REGISTER_AH);
	} else if (want->reg.value <= ZYDIS_REGISTER_BL) {
		AGREE("register", got->reg == want->reg.value - ZYDIS_REGISTER_AL);
	} else {
		AGREE("register", got->reg == want->reg.value - ZYDIS_REGISTER_SPL + 4);
	}
}

static const ZydisDecodedOperand *other_operand(const ZydisDecodedOperand *operands)
{
	return operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? &operands[1] : &operands[0];
}

static const ZydisDecodedOperand *memory_operand(const ZydisDecodedOperand *operands)
{
	return operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? &operands[0] : &operands[1];
}

static void check_mnemonic(const struct decode_insn *got, ZydisMnemonic want)
{
	static const ZydisMnemonic alus[] = {
		[DECODE_ADD] = ZYDIS_MNEMONIC_ADD,
		[DECODE_OR] = ZYDIS_MNEMONIC_OR,
		[DECODE_ADC] = ZYDIS_MNEMONIC_ADC,
		[DECODE_SBB] = ZYDIS_MNEMONIC_SBB,
		[DECODE_AND] = ZYDIS_MNEMONIC_AND,
		[DECODE_SUB] = ZYDIS_MNEMONIC_SUB,
		[DECODE_XOR] = ZYDIS_MNEMONIC_XOR,
		[DECODE_CMP] = ZYDIS_MNEMONIC_CMP,
		[DECODE_TEST] = ZYDIS_MNEMONIC_TEST,
	};

	switch (got->op) {
	case DECODE_LOAD:
		if (got->extend == DECODE_PLAIN)
			AGREE("mnemonic", want == ZYDIS_MNEMONIC_MOV);
		else if (got->extend == DECODE_ZERO_EXTEND)
			AGREE("mnemonic", want == ZYDIS_MNEMONIC_MOVZX);
		else
			AGREE("mnemonic",
				want == ZYDIS_MNEMONIC_MOVSX || want == ZYDIS_MNEMONIC_MOVSXD);
		return;
	case DECODE_STORE:
		AGREE("mnemonic", want == ZYDIS_MNEMONIC_MOV);
		return;
	case DECODE_STOS:
		AGREE("mnemonic", want >= ZYDIS_MNEMONIC_STOSB && want <= ZYDIS_MNEMONIC_STOSW);
		return;
	case DECODE_MOVS:
		AGREE("mnemonic", want == ZYDIS_MNEMONIC_MOVSB || want == ZYDIS_MNEMONIC_MOVSW ||
					  want == ZYDIS_MNEMONIC_MOVSD ||
					  want == ZYDIS_MNEMONIC_MOVSQ);
		return;
	case DECODE_ALU:
		AGREE("mnemonic", want == alus[got->alu]);
		return;
	}
	disagree("operation", "known");
}

static void check(const struct decode_insn *got, enum decode_mode mode,
	const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
	const ZydisDecodedOperand *memory = memory_operand(operands),
				  *other = other_operand(operands);

	AGREE("length", got->bytes == insn->length);
	AGREE("address size", got->address_bytes * 8 == insn->address_width);
	check_mnemonic(got, insn->mnemonic);
	AGREE("memory operand", memory->type == ZYDIS_OPERAND_TYPE_MEMORY);
	if (got->op == DECODE_STOS || got->op == DECODE_MOVS) {
		ZyanU64 reps =
			ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;

		AGREE("size", got->access_bytes * 8 == memory->size);
		/* Zydis knows no REPNE here, though CPUs repeat with it. */
		if (insn->attributes & reps)
			AGREE("rep", got->rep);
		if (got->op == DECODE_MOVS && (mode != DECODE_64 || got->segment >= SEG_FS))
			AGREE("segment", got->segment == segment_of(operands[1].mem.segment));
		return;
	}
	check_memory(got, mode, memory);
	AGREE("immediate", got->immediate == (other->type == ZYDIS_OPERAND_TYPE_IMMEDIATE));
	if (got->immediate)
		AGREE("value", got->value == mask_to(other->imm.value.u, got->access_bytes));
	else
		check_register(
			got, got->op == DECODE_LOAD ? got->reg_bytes : got->access_bytes, other);
	if (got->op == DECODE_ALU)
		AGREE("direction", got->to_memory == (memory == &operands[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ZydisMachineMode modes[] = {ZYDIS_MACHINE_MODE_REAL_16,
		ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_MACHINE_MODE_LONG_64};
	static const ZydisStackWidth widths[] = {
		ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64};
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	struct decode_insn got, shorter;
	ZydisDecoder decoder;
	enum decode_mode mode;
	ZyanStatus status;
	err_t err;

	if (size < 2)
		return 0;
	mode = data[0] % 3;
	code = data + 1;
	code_bytes = size - 1;
	err = decode_insn(code, code_bytes, mode, &got);
	if (err)
		return 0;
	ZydisDecoderInit(&decoder, modes[mode], widths[mode]);
	status = ZydisDecoderDecodeFull(&decoder, code, code_bytes, &insn, operands);
	AGREE("validity", ZYAN_SUCCESS(status));
	check(&got, mode, &insn, operands);
	/* One byte less is never enough, and never read beyond. */
	AGREE("cut short", decode_insn(code, got.bytes - 1u, mode, &shorter) == E_RANGE);
	return 0;
}
