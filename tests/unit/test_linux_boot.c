/* SRCS: hv/kernel/linux_boot.c hv/kernel/e820.c mm/base/fmt.c */
/*
 * Starting a bzImage: which files are refused with which sentence, that nothing overlaps or leaves
 * the guest's RAM, and what the kernel finds at its entry point. A made-up kernel serves; the real
 * one too where it has been fetched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/kernel/linux_boot.h"

#define SETUP_BYTES (5u * 512)
#define CODE_BYTES  4000u
#define INIT_BYTES  MIB(40)
#define PREFERRED   MIB(16)

static u8 kernel[SETUP_BYTES + CODE_BYTES];
static u8 initrd[10000];
static u8 acpi[500];
static struct linux_boot_input input;
static struct linux_boot_plan plan;
static char why[200];

static void put(u32 offset, u64 value, u32 bytes)
{
	memcpy(kernel + offset, &value, bytes);
}

static int start(void **state)
{
	(void)state;
	memset(kernel, 0, sizeof(kernel));
	memset(kernel + SETUP_BYTES, 0x5c, CODE_BYTES);
	memset(initrd, 0x1d, sizeof(initrd));
	memset(acpi, 0xac, sizeof(acpi));
	put(0x1f1, 4, 1);
	put(0x201, 0x6a, 1);
	memcpy(kernel + 0x202, "HdrS", 4);
	put(0x206, 0x20f, 2);
	put(0x22c, 0x7fffffff, 4);
	put(0x236, 1, 2);
	put(0x238, 2047, 4);
	put(0x258, PREFERRED, 8);
	put(0x260, INIT_BYTES, 4);
	input = (struct linux_boot_input){
		.kernel = kernel,
		.kernel_bytes = sizeof(kernel),
		.initrd = initrd,
		.initrd_bytes = sizeof(initrd),
		.cmdline = "console=ttyS0",
		.acpi = acpi,
		.acpi_bytes = sizeof(acpi),
		.acpi_gpa = 0xe0000,
		.memory_bytes = MIB(128),
	};
	memset(why, 0, sizeof(why));
	return 0;
}

/* The guest's memory, and that nothing is written twice or outside RAM. */
static u8 *ram, *touched;
static u64 ram_bytes;

static err_t write_ram(void *context, gpa_t to, const void *data, size_t bytes)
{
	assert_ptr_equal(context, &input);
	assert_true(to.v + bytes <= ram_bytes && to.v + bytes >= to.v);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(touched[to.v + i], 0);
	memset(touched + to.v, 1, bytes);
	memcpy(ram + to.v, data, bytes);
	return 0;
}

static void load(void)
{
	ram_bytes = min(input.memory_bytes, (u64)GIB(3));
	ram = calloc(1, ram_bytes);
	touched = calloc(1, ram_bytes);
	assert_int_equal(linux_boot_load(&input, &plan, write_ram, &input), 0);
}

static void unload(void)
{
	free(ram);
	free(touched);
}

static u64 peek(u64 gpa, u32 bytes)
{
	u64 value = 0;

	memcpy(&value, ram + gpa, bytes);
	return value;
}

static err_t make_plan(void)
{
	return linux_boot_plan(&input, &plan, why, sizeof(why));
}

static void refuse(err_t err, const char *says)
{
	assert_int_equal(make_plan(), err);
	if (!strstr(why, says))
		fail_msg("\"%s\" does not say \"%s\"", why, says);
}

static void what_is_no_kernel_is_refused(void **state)
{
	(void)state;
	input.kernel_bytes = 0x200;
	refuse(E_INVAL, "no Linux bzImage");
	input.kernel_bytes = 0;
	refuse(E_INVAL, "no Linux bzImage");
	start(state);
	kernel[0x202] = 'X';
	refuse(E_INVAL, "it has no \"HdrS\" signature");
	start(state);
	put(0x206, 0x20b, 2);
	refuse(E_INVAL, "no 64-bit Linux of version 3.8 or later: boot protocol 2.11");
	start(state);
	put(0x236, 0, 2);
	refuse(E_INVAL, "no 64-bit Linux");
	start(state);
	put(0x1f1, 255, 1);
	refuse(E_INVAL, "cut off");
	start(state);
	put(0x258, 0x1234, 8);
	refuse(E_INVAL, "wants to lie at 0x1234");
	put(0x258, ~0ull, 8);
	refuse(E_INVAL, "wants to lie at 0xffffffffffffffff");
}

static void what_does_not_fit_is_refused_with_the_numbers(void **state)
{
	(void)state;
	input.memory_bytes = MIB(32);
	refuse(E_RANGE, "the kernel needs 56 MiB of memory to unpack itself; the VM has 32 MiB");
	start(state);
	input.initrd_bytes = MIB(100);
	refuse(E_RANGE,
		"the initrd (100 MiB) does not fit: of the VM's 128 MiB the kernel takes the first 56");
	start(state);
	input.initrd_bytes = ~(size_t)0;
	refuse(E_RANGE, "does not fit");
	start(state);
	put(0x238, 5, 4);
	refuse(E_RANGE, "the command line has 13 characters; this kernel takes 5");
	start(state);
	input.memory_bytes = KIB(640);
	refuse(E_RANGE, "too little");
}

static void everything_lies_in_ram_and_apart(void **state)
{
	(void)state;
	assert_int_equal(make_plan(), 0);
	load(); /* write_ram() checks */
	assert_memory_equal(ram + plan.kernel_gpa, kernel + SETUP_BYTES, CODE_BYTES);
	assert_memory_equal(ram + plan.initrd_gpa, initrd, sizeof(initrd));
	assert_memory_equal(ram + 0xe0000, acpi, sizeof(acpi));
	assert_int_equal(plan.kernel_gpa, PREFERRED);
	assert_int_equal(plan.entry, PREFERRED + 0x200);
	assert_true(plan.initrd_gpa >= PREFERRED + INIT_BYTES);
	assert_int_equal(plan.initrd_gpa % PAGE_BYTES, 0);
	unload();
}

static void boot_params_say_where(void **state)
{
	(void)state;
	assert_int_equal(make_plan(), 0);
	load();
	assert_int_equal(peek(0x7000 + 0x202, 4), 0x53726448);
	assert_int_equal(peek(0x7000 + 0x210, 1), 0xff);
	assert_int_equal(peek(0x7000 + 0x218, 4), plan.initrd_gpa);
	assert_int_equal(peek(0x7000 + 0x21c, 4), sizeof(initrd));
	assert_string_equal((char *)ram + peek(0x7000 + 0x228, 4), "console=ttyS0");
	assert_int_equal(peek(0x7000 + 0x70, 8), 0xe0000);
	assert_int_equal(peek(0x7000 + 0x1e8, 1), plan.e820_count);
	assert_int_equal(peek(0x7000 + 0x2d0, 8), 0);
	assert_int_equal(peek(0x7000 + 0x2d0 + 16, 4), 1);
	assert_int_equal(peek(0x7000, 8), 0); /* nothing of the file's real-mode code */
	unload();
}

static void no_initrd_is_no_initrd(void **state)
{
	(void)state;
	input.initrd = NULL;
	input.initrd_bytes = 0;
	assert_int_equal(make_plan(), 0);
	load();
	assert_int_equal(peek(0x7000 + 0x218, 4), 0);
	assert_int_equal(peek(0x7000 + 0x21c, 4), 0);
	unload();
}

/* Walk the tables that were written, for @va. */
static u64 translate(u64 cr3, u64 va)
{
	u64 entry = peek(cr3 + (va >> 39 & 511) * 8, 8);

	assert_int_equal(entry & 0xfff, 3);
	entry = peek((entry & ~0xfffull) + (va >> 30 & 511) * 8, 8);
	assert_int_equal(entry & 0xfff, 3);
	entry = peek((entry & ~0xfffull) + (va >> 21 & 511) * 8, 8);
	assert_int_equal(entry & 0xfff, 0x83);
	return (entry & ~0xfffull) | (va & 0x1fffff);
}

static void the_entry_state_is_the_protocols(void **state)
{
	struct virt_sregs sregs;
	u64 gpr[GPR_COUNT], rip, rflags, cs, ds;

	(void)state;
	assert_int_equal(make_plan(), 0);
	load();
	linux_boot_registers(&plan, &sregs, gpr, &rip, &rflags);
	assert_int_equal(rip, plan.entry);
	assert_int_equal(gpr[GPR_RSI], 0x7000);
	assert_int_equal(rflags, 2);
	assert_int_equal(sregs.efer & 0x500, 0x500);
	assert_true(sregs.cr0 & 0x80000001);
	assert_true(sregs.cr4 & 0x20);
	for (u64 va = 0; va < GIB(4); va += 0x12345678)
		assert_int_equal(translate(sregs.cr3, va), va);
	assert_int_equal(sregs.seg[SEG_CS].selector, 0x10);
	assert_int_equal(sregs.seg[SEG_DS].selector, 0x18);
	cs = peek(sregs.gdtr_base + 0x10, 8);
	ds = peek(sregs.gdtr_base + 0x18, 8);
	/* Access byte and flags of the descriptors are those of the registers. */
	assert_int_equal(cs >> 40 & 0xf0ff, sregs.seg[SEG_CS].attributes);
	assert_int_equal(ds >> 40 & 0xf0ff, sregs.seg[SEG_DS].attributes);
	assert_true(sregs.gdtr_limit >= 0x1f);
	unload();
}

static void the_initrd_lies_below_what_the_kernel_reaches(void **state)
{
	(void)state;
	input.memory_bytes = GIB(5);
	assert_int_equal(make_plan(), 0);
	assert_true(plan.initrd_gpa + sizeof(initrd) <= GIB(2));
}

static err_t fail_at;
static u32 writes;

static err_t write_failing(void *context, gpa_t to, const void *data, size_t bytes)
{
	(void)context;
	(void)to;
	(void)data;
	(void)bytes;
	return ++writes == (u32)fail_at ? E_NOMEM : 0;
}

static void a_failed_write_ends_it(void **state)
{
	u32 all;

	(void)state;
	assert_int_equal(make_plan(), 0);
	fail_at = 0;
	writes = 0;
	assert_int_equal(linux_boot_load(&input, &plan, write_failing, NULL), 0);
	all = writes;
	for (fail_at = 1; fail_at <= (err_t)all; fail_at++) {
		writes = 0;
		assert_int_equal(linux_boot_load(&input, &plan, write_failing, NULL), E_NOMEM);
		assert_int_equal(writes, fail_at);
	}
}

static void debians_kernel_is_accepted(void **state)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	char pattern[500];
	long bytes;
	void *file;
	glob_t found;
	FILE *f;

	(void)state;
	if (cache)
		snprintf(pattern, sizeof(pattern), "%s/bellows/kernel-*/vmlinuz", cache);
	else
		snprintf(pattern, sizeof(pattern), "%s/.cache/bellows/kernel-*/vmlinuz",
			getenv("HOME"));
	if (glob(pattern, 0, NULL, &found) != 0)
		skip();
	f = fopen(found.gl_pathv[0], "rb");
	globfree(&found);
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	bytes = ftell(f);
	rewind(f);
	file = malloc((size_t)bytes);
	assert_int_equal(fread(file, 1, (size_t)bytes, f), bytes);
	fclose(f);
	input.kernel = file;
	input.kernel_bytes = (size_t)bytes;
	assert_int_equal(make_plan(), 0);
	load();
	unload();
	free(file);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_kernel_is_refused),
		TEST(what_does_not_fit_is_refused_with_the_numbers),
		TEST(everything_lies_in_ram_and_apart),
		TEST(boot_params_say_where),
		TEST(no_initrd_is_no_initrd),
		TEST(the_entry_state_is_the_protocols),
		TEST(the_initrd_lies_below_what_the_kernel_reaches),
		TEST(a_failed_write_ends_it),
		TEST(debians_kernel_is_accepted),
	};
	return cmocka_run_group_tests_name("unit/linux_boot", tests, NULL, NULL);
}
