/* SRCS: hv/vdev/decode.c */
/*
 * The MMIO decoder on instructions that kernels really use on devices, in all three modes, and on
 * what it must refuse. (fuzz/decode holds it against Zydis on anything else.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/vdev/decode.h"
#include "hv/x86/virt.h"

static struct decode_insn insn;

/* Decode bytes given in hexadecimal, in a buffer of exactly their number. */
static err_t decode(enum decode_mode mode, const char *hex)
{
	size_t count = 0;
	u8 bytes[32], *exact;
	err_t err;

	for (; *hex; hex++) {
		if (*hex != ' ') {
			char digits[3] = {hex[0], hex[1], 0};

			bytes[count++] = (u8)strtoul(digits, NULL, 16);
			hex++;
		}
	}
	exact = malloc(count ? count : 1);
	memcpy(exact, bytes, count);
	err = decode_insn(exact, count, mode, &insn);
	free(exact);
	return err;
}

static void linux_writes_an_apic_register(void **state)
{
	(void)state;
	/* mov %esi,0x300(%rdi) */
	assert_int_equal(decode(DECODE_64, "89 b7 00 03 00 00"), 0);
	assert_int_equal(insn.op, DECODE_STORE);
	assert_int_equal(insn.bytes, 6);
	assert_int_equal(insn.access_bytes, 4);
	assert_int_equal(insn.reg, GPR_RSI);
	assert_int_equal(insn.base, GPR_RDI);
	assert_int_equal(insn.index, -1);
	assert_int_equal(insn.displacement, 0x300);
	assert_int_equal(insn.address_bytes, 8);
	assert_int_equal(insn.segment, SEG_DS);
	/* movl $0x30,-0x10(%rip) */
	assert_int_equal(decode(DECODE_64, "c7 05 f0 ff ff ff 30 00 00 00"), 0);
	assert_int_equal(insn.base, -2);
	assert_int_equal(insn.displacement, -16);
	assert_true(insn.immediate);
	assert_int_equal(insn.value, 0x30);
	/* movq $-1,(%rax): the immediate is sign-extended */
	assert_int_equal(decode(DECODE_64, "48 c7 00 ff ff ff ff"), 0);
	assert_true(insn.value == ~0ull && insn.access_bytes == 8);
}

static void loads_extend_as_told(void **state)
{
	(void)state;
	/* movzbl 0x10(%r8),%r10d */
	assert_int_equal(decode(DECODE_64, "45 0f b6 50 10"), 0);
	assert_int_equal(insn.op, DECODE_LOAD);
	assert_int_equal(insn.extend, DECODE_ZERO_EXTEND);
	assert_int_equal(insn.access_bytes, 1);
	assert_int_equal(insn.reg_bytes, 4);
	assert_int_equal(insn.reg, 10);
	assert_int_equal(insn.base, 8);
	/* movslq 8(%rbx),%rax */
	assert_int_equal(decode(DECODE_64, "48 63 43 08"), 0);
	assert_int_equal(insn.extend, DECODE_SIGN_EXTEND);
	assert_int_equal(insn.access_bytes, 4);
	assert_int_equal(insn.reg_bytes, 8);
	/* movsww is movsx with a word destination */
	assert_int_equal(decode(DECODE_64, "66 0f be 01"), 0);
	assert_int_equal(insn.reg_bytes, 2);
}

static void byte_registers_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(decode(DECODE_64, "88 20"), 0); /* mov %ah,(%rax) */
	assert_true(insn.high_byte);
	assert_int_equal(insn.reg, GPR_RAX);
	assert_int_equal(decode(DECODE_64, "40 88 20"), 0); /* mov %spl,(%rax) */
	assert_false(insn.high_byte);
	assert_int_equal(insn.reg, GPR_RSP);
	assert_int_equal(decode(DECODE_32, "8a 18"), 0); /* mov (%eax),%bl */
	assert_false(insn.high_byte);
	assert_int_equal(insn.reg, GPR_RBX);
}

static void addresses_in_every_form(void **state)
{
	(void)state;
	/* mov %gs:0x12345678(%rbp,%rcx,8),%rax */
	assert_int_equal(decode(DECODE_64, "65 48 8b 84 cd 78 56 34 12"), 0);
	assert_int_equal(insn.segment, SEG_GS);
	assert_int_equal(insn.base, GPR_RBP);
	assert_int_equal(insn.index, GPR_RCX);
	assert_int_equal(insn.scale, 8);
	/* mov (%rsp),%eax: SIB without index, stack segment */
	assert_int_equal(decode(DECODE_64, "8b 04 24"), 0);
	assert_int_equal(insn.base, GPR_RSP);
	assert_int_equal(insn.index, -1);
	assert_int_equal(insn.segment, SEG_SS);
	/* mov 0xfee00030,%eax by SIB without base */
	assert_int_equal(decode(DECODE_64, "8b 04 25 30 00 e0 fe"), 0);
	assert_int_equal(insn.base, -1);
	assert_int_equal((u32)insn.displacement, 0xfee00030);
	/* r12 and r13 as bases */
	assert_int_equal(decode(DECODE_64, "41 8b 04 24"), 0);
	assert_int_equal(insn.base, 12);
	assert_int_equal(decode(DECODE_64, "41 8b 45 00"), 0);
	assert_int_equal(insn.base, 13);
	/* mov %al,0xfee00000abcd: 64-bit absolute */
	assert_int_equal(decode(DECODE_64, "a2 cd ab 00 00 e0 fe 00 00"), 0);
	assert_int_equal(insn.displacement, 0xfee00000abcd);
	assert_int_equal(insn.op, DECODE_STORE);
	assert_int_equal(insn.bytes, 9);
	/* the same in 32-bit mode, and 16-bit forms */
	assert_int_equal(decode(DECODE_32, "a1 30 00 e0 fe"), 0);
	assert_int_equal(insn.displacement, 0xfee00030);
	assert_int_equal(decode(DECODE_16, "8a 62 fe"), 0); /* mov -2(%bp,%si),%ah */
	assert_int_equal(insn.base, GPR_RBP);
	assert_int_equal(insn.index, GPR_RSI);
	assert_int_equal(insn.displacement, -2);
	assert_int_equal(insn.segment, SEG_SS);
	assert_int_equal(insn.address_bytes, 2);
	assert_int_equal(decode(DECODE_16, "66 67 8b 05 30 00 e0 fe"), 0);
	assert_int_equal(insn.access_bytes, 4);
	assert_int_equal(insn.address_bytes, 4);
}

static void read_modify_write_and_tests(void **state)
{
	(void)state;
	assert_int_equal(
		decode(DECODE_64, "f0 81 4e 04 00 01 00 00"), 0); /* lock orl $0x100,4(%rsi) */
	assert_int_equal(insn.op, DECODE_ALU);
	assert_int_equal(insn.alu, DECODE_OR);
	assert_true(insn.to_memory && insn.immediate);
	assert_int_equal(insn.value, 0x100);
	assert_int_equal(decode(DECODE_64, "83 20 fe"), 0); /* andl $~1,(%rax) */
	assert_int_equal(insn.alu, DECODE_AND);
	assert_int_equal(insn.value, 0xfffffffe);
	assert_int_equal(decode(DECODE_64, "f6 40 20 01"), 0); /* testb $1,0x20(%rax) */
	assert_int_equal(insn.alu, DECODE_TEST);
	assert_int_equal(decode(DECODE_64, "3b 17"), 0); /* cmp (%rdi),%edx */
	assert_int_equal(insn.alu, DECODE_CMP);
	assert_false(insn.to_memory);
	assert_int_equal(insn.reg, GPR_RDX);
}

static void string_moves_and_their_repetition(void **state)
{
	(void)state;
	assert_int_equal(decode(DECODE_64, "f3 48 a5"), 0);
	assert_int_equal(insn.op, DECODE_MOVS);
	assert_true(insn.rep);
	assert_int_equal(insn.access_bytes, 8);
	assert_int_equal(decode(DECODE_32, "26 a4"), 0); /* source segment ES */
	assert_int_equal(insn.segment, SEG_ES);
	assert_false(insn.rep);
	assert_int_equal(decode(DECODE_64, "64 f3 aa"), 0); /* STOS has no override */
	assert_int_equal(insn.op, DECODE_STOS);
	assert_int_equal(insn.segment, SEG_ES);
}

static void what_it_does_not_know_it_refuses(void **state)
{
	static const char *const unknown[] = {
		"0f ae 00",
		"ff 00",
		"87 00",
		"f0 0f b1 08",
		"0f 11 00",
		"c5 f8 11 00",
		"d9 00",
		"8f 00",
		"f7 18",
		"f0 89 00",
		"f0 f6 00 01",
		"89 c0",
		"0f c3 00",
		"66 63 00",
		"c7 48 00 00 00 00 00",
		"90",
		"0f 0b",
		"62 00 00 00 00 00",
	};

	(void)state;
	for (u32 i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(decode(DECODE_64, unknown[i]), E_UNSUPPORTED);
	assert_int_equal(decode(DECODE_32, "63 00"), E_UNSUPPORTED); /* ARPL there */
}

static void bytes_that_end_early_ask_for_more(void **state)
{
	static const char *const whole = "65 48 c7 84 cd 78 56 34 12 01 02 03 04";
	char cut[64];

	(void)state;
	assert_int_equal(decode(DECODE_64, whole), 0);
	for (u32 n = 0; n < 13; n++) {
		snprintf(cut, sizeof(cut), "%.*s", (int)(n ? n * 3 - 1 : 0), whole);
		assert_int_equal(decode(DECODE_64, cut), E_RANGE);
	}
	/* Fifteen prefixes are no instruction, however many bytes follow. */
	assert_int_equal(decode(DECODE_64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 8b 00"),
		E_UNSUPPORTED);
	assert_int_equal(decode(DECODE_64, "66 66 66 66 66 66 66 66 66 66 66 66 66 8b 00"), 0);
	assert_int_equal(insn.bytes, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_writes_an_apic_register),
		cmocka_unit_test(loads_extend_as_told),
		cmocka_unit_test(byte_registers_are_told_apart),
		cmocka_unit_test(addresses_in_every_form),
		cmocka_unit_test(read_modify_write_and_tests),
		cmocka_unit_test(string_moves_and_their_repetition),
		cmocka_unit_test(what_it_does_not_know_it_refuses),
		cmocka_unit_test(bytes_that_end_early_ask_for_more),
	};
	return cmocka_run_group_tests_name("unit/decode", tests, NULL, NULL);
}
