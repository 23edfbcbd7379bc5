/* SRCS: hv/exit/mmio_alu.c */
/* Arithmetic and its flags against the CPU that runs this test, for edges and random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "hv/exit/mmio_alu.h"

#define FLAG_CF 1u
#define FLAG_AF 0x10u
#define FLAGS   0x8d5u /* CF PF AF ZF SF OF */

/* AF is not defined after a logical operation. */
static bool is_logic(enum decode_alu op)
{
	return op == DECODE_AND || op == DECODE_OR || op == DECODE_XOR || op == DECODE_TEST;
}

#define ON_CPU(insn, type)                                                                         \
	{                                                                                          \
		type x = (type)a;                                                                  \
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\tbt $0, %k2\n\t" insn                   \
				 " %3, %0\n\tpushfq\n\tpopq %1\n\tlea 128(%%rsp), %%rsp"           \
				 : "+r"(x), "=&r"(flags)                                           \
				 : "r"(carry), "r"((type)b)                                        \
				 : "cc", "memory");                                                \
		result = x;                                                                        \
	}
#define BY_SIZE(name)                                                                              \
	switch (bytes) {                                                                           \
	case 1:                                                                                    \
		ON_CPU(name "b", u8) break;                                                        \
	case 2:                                                                                    \
		ON_CPU(name "w", u16) break;                                                       \
	case 4:                                                                                    \
		ON_CPU(name "l", u32) break;                                                       \
	default:                                                                                   \
		ON_CPU(name "q", u64) break;                                                       \
	}                                                                                          \
	break

/* pushfq must not write into the red zone, where the compiler may keep locals. */
__attribute__((noinline, no_sanitize("address", "undefined"))) static u64 on_cpu(
	enum decode_alu op, u64 a, u64 b, u32 bytes, u64 carry, u64 *out_flags)
{
	u64 flags = 0, result = 0;

	switch (op) {
	case DECODE_ADD:
		BY_SIZE("add");
	case DECODE_OR:
		BY_SIZE("or");
	case DECODE_ADC:
		BY_SIZE("adc");
	case DECODE_SBB:
		BY_SIZE("sbb");
	case DECODE_AND:
		BY_SIZE("and");
	case DECODE_SUB:
		BY_SIZE("sub");
	case DECODE_XOR:
		BY_SIZE("xor");
	case DECODE_CMP:
		BY_SIZE("cmp");
	case DECODE_TEST:
		BY_SIZE("test");
	}
	*out_flags = flags & FLAGS;
	return result;
}

static u64 number(void)
{
	static const u64 edges[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, ~0ull};

	if (random() % 2)
		return edges[random() % (sizeof(edges) / sizeof(edges[0]))];
	return ((u64)random() << 33) ^ ((u64)random() << 11) ^ (u64)random();
}

static void results_and_flags_are_the_cpus(void **state)
{
	(void)state;
	srandom(7);
	for (int i = 0; i < 400000; i++) {
		enum decode_alu op = (enum decode_alu)(i % (DECODE_TEST + 1));
		u32 bytes = 1u << (random() % 4);
		u64 a = number(), b = number(), carry = (u64)random() & 1, wanted_flags;
		u64 wanted = on_cpu(op, a, b, bytes, carry, &wanted_flags);
		u64 rflags = 0x202 | carry | ((u64)random() & FLAGS & ~1ull);
		u64 mask = is_logic(op) ? FLAGS & ~FLAG_AF : FLAGS;
		u64 got = mmio_alu(op, a, b, bytes, &rflags);

		assert_int_equal(got, wanted);
		assert_int_equal(rflags & mask, wanted_flags & mask);
		assert_int_equal(rflags & ~(u64)FLAGS, 0x202);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_and_flags_are_the_cpus),
	};

	return cmocka_run_group_tests_name("unit/mmio_alu", tests, NULL, NULL);
}
