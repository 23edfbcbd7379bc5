/* SRCS: hv/memory/guest_walk.c */
/* Guest page tables of every form, made by hand in a small memory, and walked: address, rights,
 * faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/memory/guest_walk.h"

#define P    1ull
#define W    2ull
#define U    4ull
#define PS   0x80ull
#define NX   (1ull << 63)
#define CR0  0x80010001ull /* PG, WP, PE */
#define LMA  (1ull << 10)
#define NXE  (1ull << 11)
#define PAE  (1ull << 5)
#define PSE  (1ull << 4)
#define LA57 (1ull << 12)
#define SMEP (1ull << 20)
#define SMAP (1ull << 21)

static u8 memory[16 * 4096];
static struct virt_sregs sregs;
static u64 rflags;

static int setup(void **state)
{
	(void)state;
	memset(memory, 0, sizeof(memory));
	memset(&sregs, 0, sizeof(sregs));
	rflags = 2;
	sregs.cr0 = CR0;
	sregs.cr3 = 0x1000;
	return 0;
}

static err_t read_memory(void *context, gpa_t gpa, void *to, size_t bytes)
{
	(void)context;
	if (gpa.v + bytes > sizeof(memory))
		return E_RANGE;
	memcpy(to, memory + gpa.v, bytes);
	return 0;
}

static err_t mark_memory(void *context, gpa_t gpa, u8 bits)
{
	(void)context;
	assert_true(gpa.v < sizeof(memory));
	memory[gpa.v] |= bits;
	return 0;
}

static void set64(u64 table, u64 index, u64 entry)
{
	memcpy(memory + table + index * 8, &entry, 8);
}

static void set32(u64 table, u64 index, u32 entry)
{
	memcpy(memory + table + index * 4, &entry, 4);
}

static err_t walk(u64 linear, u32 access, u64 *out, u32 *code)
{
	struct guest_walk w = {
		.sregs = &sregs, .rflags = rflags, .read = read_memory, .mark = mark_memory};
	gpa_t gpa = {0};
	err_t err = guest_walk(&w, linear, access, &gpa, code);

	*out = gpa.v;
	return err;
}

#define assert_walks_to(linear, access, wanted)                                                    \
	do {                                                                                       \
		u64 out_;                                                                          \
		u32 code_;                                                                         \
		assert_int_equal(walk(linear, access, &out_, &code_), 0);                          \
		assert_int_equal(out_, wanted);                                                    \
	} while (0)
#define assert_faults(linear, access, wanted)                                                      \
	do {                                                                                       \
		u64 out_;                                                                          \
		u32 code_;                                                                         \
		assert_int_equal(walk(linear, access, &out_, &code_), E_INVAL);                    \
		assert_int_equal(code_, wanted);                                                   \
	} while (0)

/* One 4 KiB page at 0x7f1234567000 -> 0xabc000 with the given leaf bits, through four levels. */
static void map_four_levels(u64 leaf_bits)
{
	sregs.efer = LMA | NXE;
	sregs.cr4 = PAE;
	set64(0x1000, 0x0fe, 0x2000 | P | W | U);
	set64(0x2000, 0x048, 0x3000 | P | W | U);
	set64(0x3000, 0x1a2, 0x4000 | P | W | U);
	set64(0x4000, 0x167, 0xabc000 | leaf_bits);
}

static void four_levels_and_their_large_pages(void **state)
{
	(void)state;
	map_four_levels(P | W | U);
	assert_walks_to(0x7f1234567abc, WALK_WRITE | WALK_USER, 0xabcabc);
	assert_faults(0x7f1234568000, 0, 0);
	assert_faults(0x7f1234568000, WALK_WRITE | WALK_USER, PF_WRITE | PF_USER);
	set64(0x3000, 0x1a2, 0x40000000 | P | W | PS);
	assert_walks_to(0x7f1234567abc, 0, 0x40167abc);
	set64(0x2000, 0x048, 0x80000000 | P | PS);
	assert_walks_to(0x7f1234567abc, 0, 0xb4567abc);
	set64(0x1000, 0x0fe, 0x7000000 | P);
	{
		u64 out;
		u32 code;

		assert_int_equal(walk(0x7f1234567abc, 0, &out, &code), E_RANGE);
	}
}

static void five_levels(void **state)
{
	(void)state;
	map_four_levels(P);
	sregs.cr4 |= LA57;
	sregs.cr3 = 0x5000;
	set64(0x5000, 0x101, 0x1000 | P | W | U);
	assert_walks_to((0x101ull << 48) | 0x7f1234567abc, 0, 0xabcabc);
}

static void rights_add_up_over_levels(void **state)
{
	(void)state;
	map_four_levels(P);
	assert_faults(0x7f1234567000, WALK_WRITE, PF_PRESENT | PF_WRITE);
	assert_faults(0x7f1234567000, WALK_USER, PF_PRESENT | PF_USER);
	sregs.cr0 &= ~(1ull << 16);
	assert_walks_to(0x7f1234567000, WALK_WRITE, 0xabc000);
	map_four_levels(P | W | U | NX);
	assert_faults(0x7f1234567000, WALK_FETCH, PF_PRESENT | PF_FETCH);
	assert_walks_to(0x7f1234567000, WALK_WRITE | WALK_USER, 0xabc000);
	map_four_levels(P | W | U);
	set64(0x2000, 0x048, 0x3000 | P | U | NX);
	assert_faults(0x7f1234567000, WALK_USER | WALK_FETCH, PF_PRESENT | PF_USER | PF_FETCH);
	sregs.cr0 = CR0;
	assert_faults(0x7f1234567000, WALK_WRITE, PF_PRESENT | PF_WRITE);
}

static void supervisor_is_kept_from_user_pages(void **state)
{
	(void)state;
	map_four_levels(P | W | U);
	sregs.cr4 |= SMEP | SMAP;
	assert_faults(0x7f1234567000, WALK_FETCH, PF_PRESENT | PF_FETCH);
	assert_faults(0x7f1234567000, 0, PF_PRESENT);
	rflags |= 1ull << 18;
	assert_walks_to(0x7f1234567000, WALK_WRITE, 0xabc000);
	assert_walks_to(0x7f1234567000, WALK_USER | WALK_FETCH, 0xabc000);
}

static void pae(void **state)
{
	(void)state;
	sregs.cr4 = PAE;
	sregs.efer = NXE;
	sregs.cr3 = 0x1020;
	set64(0x1020, 3, 0x2000 | P);
	set64(0x2000, 0x1ff, 0x3000 | P | W);
	set64(0x3000, 1, 0x123456000 | P | W | NX);
	assert_walks_to(0xffe01fff, WALK_WRITE, 0x123456fff);
	assert_faults(0xffe01fff, WALK_FETCH, PF_PRESENT | PF_FETCH);
	set64(0x2000, 0x1ff, 0x200000 | P | W | PS);
	assert_walks_to(0xffe01fff, 0, 0x201fff);
}

static void two_levels(void **state)
{
	(void)state;
	set32(0x1000, 0x300, 0x2000 | P | W | U);
	set32(0x2000, 0x3ff, 0x9000 | P | W);
	assert_walks_to(0xc03ff123, WALK_WRITE, 0x9123);
	assert_faults(0xc03ff123, WALK_USER | WALK_WRITE, PF_PRESENT | PF_USER | PF_WRITE);
	/* PS means nothing without PSE; with it there are 36 bits of address. */
	set32(0x1000, 0x301, 0xffc02000 | (1u << 13) | P | PS);
	sregs.cr4 = PSE;
	assert_walks_to(0xc0412345, 0, 0x1ffc12345);
}

static void what_is_used_and_written_is_marked_so(void **state)
{
	const u64 used = 1ull << 5, dirty = 1ull << 6;
	u64 pae_top = 0x2000 | P;

	(void)state;
	map_four_levels(P | W);
	assert_faults(0x7f1234567000, WALK_USER, PF_PRESENT | PF_USER);
	assert_int_equal(memory[0x4000 + 0x167 * 8], P | W);
	assert_walks_to(0x7f1234567000, 0, 0xabc000);
	assert_int_equal(memory[0x1000 + 0x0fe * 8], P | W | U | used);
	assert_int_equal(memory[0x3000 + 0x1a2 * 8], P | W | U | used);
	assert_int_equal(memory[0x4000 + 0x167 * 8], P | W | used);
	assert_walks_to(0x7f1234567000, WALK_WRITE, 0xabc000);
	assert_int_equal(memory[0x3000 + 0x1a2 * 8], P | W | U | used);
	assert_int_equal(memory[0x4000 + 0x167 * 8], P | W | used | dirty);
	set64(0x3000, 0x1a2, 0x40000000 | P | W | PS);
	assert_walks_to(0x7f1234567000, WALK_WRITE, 0x40167000);
	assert_int_equal(memory[0x3000 + 0x1a2 * 8], P | W | PS | used | dirty);

	/* PAE's four top entries have no such bits. */
	setup(NULL);
	sregs.cr4 = PAE;
	set64(0x1000, 0, pae_top);
	set64(0x2000, 0, 0x3000 | P);
	set64(0x3000, 0, 0x9000 | P | W);
	assert_walks_to(0x123, 0, 0x9123);
	assert_memory_equal(memory + 0x1000, &pae_top, 8);
	assert_int_equal(memory[0x2000], P | used);

	setup(NULL);
	set32(0x1000, 0, 0x2000 | P | W);
	set32(0x2000, 9, 0x9000 | P | W);
	assert_walks_to(0x9123, WALK_WRITE, 0x9123);
	assert_int_equal(memory[0x1000], P | W | used);
	assert_int_equal(memory[0x2000 + 9 * 4], P | W | used | dirty);
}

static void no_paging(void **state)
{
	(void)state;
	sregs.cr0 = 1;
	assert_walks_to(0x123456789, WALK_WRITE, 0x23456789);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(four_levels_and_their_large_pages, setup),
		cmocka_unit_test_setup(five_levels, setup),
		cmocka_unit_test_setup(rights_add_up_over_levels, setup),
		cmocka_unit_test_setup(supervisor_is_kept_from_user_pages, setup),
		cmocka_unit_test_setup(pae, setup),
		cmocka_unit_test_setup(two_levels, setup),
		cmocka_unit_test_setup(what_is_used_and_written_is_marked_so, setup),
		cmocka_unit_test_setup(no_paging, setup),
	};

	return cmocka_run_group_tests_name("unit/guest_walk", tests, NULL, NULL);
}
