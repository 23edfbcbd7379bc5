/*
 * The decoder of instructions that touch MMIO: the mov family (what kernels use for MMIO): MOV
 * 88-8B, A0-A3, C6/C7, MOVZX/MOVSX 0F B6/B7/BE/BF, MOVSXD, STOS/MOVS without and with REP, plus
 * ADD OR ADC SBB AND SUB XOR CMP TEST with a memory operand. Pure: bytes in, description out.
 * Anything else is E_UNSUPPORTED, and the VM is stopped with the bytes printed.
 */
#ifndef HV_VDEV_DECODE_H
#define HV_VDEV_DECODE_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define DECODE_MAX_BYTES 15

enum decode_mode { DECODE_16, DECODE_32, DECODE_64 };

enum decode_op {
	DECODE_LOAD,  /* register <- memory, .extend */
	DECODE_STORE, /* memory <- register or immediate */
	DECODE_STOS,  /* memory <- rAX, at ES:rDI, .rep */
	DECODE_MOVS,  /* memory at ES:rDI <- memory at seg:rSI, .rep */
	DECODE_ALU,   /* register OP= memory, or memory OP= register/immediate, .alu */
};

enum decode_alu {
	DECODE_ADD,
	DECODE_OR,
	DECODE_ADC,
	DECODE_SBB,
	DECODE_AND,
	DECODE_SUB,
	DECODE_XOR,
	DECODE_CMP,
	DECODE_TEST
};
enum decode_extend { DECODE_PLAIN, DECODE_ZERO_EXTEND, DECODE_SIGN_EXTEND };

struct decode_insn {
	enum decode_op op;
	enum decode_alu alu;
	u8 bytes;        /* length of the instruction */
	u8 access_bytes; /* 1, 2, 4, 8: of the memory operand */
	u8 reg_bytes;    /* of the register written by a load (after extension) */
	u8 reg;          /* 0..15 */
	bool high_byte;  /* AH, CH, DH, BH */
	bool immediate;  /* the source is .value instead of .reg */
	bool to_memory;  /* ALU: the memory operand is the destination */
	bool rep;
	u8 address_bytes; /* 2, 4, 8 */
	u8 segment;       /* SEG_* numbering of the memory operand, overrides applied */
	enum decode_extend extend;
	u64 value;
	/* The effective address: base + index * scale + displacement (before a segment's base). */
	s8 base, index; /* register, -1 = none, -2 (base) = RIP of the next instruction */
	u8 scale;
	s64 displacement;
};

/* E_UNSUPPORTED: not of the family; E_RANGE: the bytes end before the instruction does. */
must_check err_t decode_insn(
	const u8 *bytes, size_t count, enum decode_mode mode, struct decode_insn *out);

#endif
