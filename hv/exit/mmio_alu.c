/* Arithmetic with flags. Intel SDM vol. 1, "EFLAGS Register". */
#include "hv/exit/mmio_alu.h"

#define FLAG_CF   BIT(0)
#define FLAG_PF   BIT(2)
#define FLAG_AF   BIT(4)
#define FLAG_ZF   BIT(6)
#define FLAG_SF   BIT(7)
#define FLAG_OF   BIT(11)
#define FLAGS_ALL (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static u64 result_flags(u64 result, u64 sign)
{
	return (result == 0 ? FLAG_ZF : 0) | (result & sign ? FLAG_SF : 0) |
	       (__builtin_parity((u32)result & 0xff) ? 0 : FLAG_PF);
}

static u64 add(u64 a, u64 b, u64 carry, u64 mask, u64 sign, u64 *flags)
{
	u64 result = (a + b + carry) & mask;

	*flags = result_flags(result, sign) | ((a ^ b ^ result) & 0x10 ? FLAG_AF : 0) |
		 (~(a ^ b) & (a ^ result) & sign ? FLAG_OF : 0) |
		 (((a & b) | ((a | b) & ~result)) & sign ? FLAG_CF : 0);
	return result;
}

static u64 sub(u64 a, u64 b, u64 borrow, u64 mask, u64 sign, u64 *flags)
{
	u64 result = (a - b - borrow) & mask;

	*flags = result_flags(result, sign) | ((a ^ b ^ result) & 0x10 ? FLAG_AF : 0) |
		 ((a ^ b) & (a ^ result) & sign ? FLAG_OF : 0) |
		 (((~a & b) | (~(a ^ b) & result)) & sign ? FLAG_CF : 0);
	return result;
}

static u64 logic(enum decode_alu op, u64 a, u64 b, u64 sign, u64 *flags)
{
	u64 result = op == DECODE_OR ? a | b : op == DECODE_XOR ? a ^ b : a & b;

	*flags = result_flags(result, sign);
	return result;
}

u64 mmio_alu(enum decode_alu op, u64 a, u64 b, u32 bytes, u64 *rflags)
{
	u64 mask = bytes == 8 ? ~0ull : BIT(bytes * 8) - 1;
	u64 sign = BIT(bytes * 8 - 1);
	u64 carry = *rflags & FLAG_CF ? 1 : 0;
	u64 flags = 0;
	u64 result;

	a &= mask;
	b &= mask;
	switch (op) {
	case DECODE_ADD:
		result = add(a, b, 0, mask, sign, &flags);
		break;
	case DECODE_ADC:
		result = add(a, b, carry, mask, sign, &flags);
		break;
	case DECODE_SUB:
		result = sub(a, b, 0, mask, sign, &flags);
		break;
	case DECODE_SBB:
		result = sub(a, b, carry, mask, sign, &flags);
		break;
	case DECODE_CMP:
		sub(a, b, 0, mask, sign, &flags);
		result = a;
		break;
	case DECODE_TEST:
		logic(DECODE_TEST, a, b, sign, &flags);
		result = a;
		break;
	default:
		result = logic(op, a, b, sign, &flags);
	}
	*rflags = (*rflags & ~FLAGS_ALL) | flags;
	return result;
}
