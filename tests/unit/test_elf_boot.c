/* SRCS: hv/kernel/elf_boot.c hv/kernel/elf_kernel.c hv/kernel/e820.c mm/base/fmt.c */
/*
 * Starting ELF kernels: which files are refused with which sentence, where modules lie, and what a
 * kernel finds at its entry point, by PVH and by Multiboot. Made-up files serve.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/kernel/elf_boot.h"

#define FILE_BYTES  0x3000u
#define TEXT_OFFSET 0x1000u
#define NOTE_OFFSET 0x2000u
#define LOAD_GPA    0x200000u
#define LOAD_BYTES  0x5000u /* more than the file has: the rest is zero */
#define TEXT_BYTES  0x800u
#define ENTRY       (LOAD_GPA + 0x40)
#define GUEST_BYTES MIB(16)

static u8 file[FILE_BYTES];
static u8 guest[GUEST_BYTES];
static u8 acpi[500];
static u8 module_data[3][10000];
static struct elf_boot_module modules[ELF_BOOT_MODULES_MAX + 1];
static struct elf_boot_input input;
static struct elf_boot_plan plan;
static char why[300];

static void put(u32 offset, u64 value, u32 bytes)
{
	memcpy(file + offset, &value, bytes);
}

static u64 peek(u64 gpa, u32 bytes)
{
	u64 value = 0;

	assert_true(gpa + bytes <= GUEST_BYTES);
	memcpy(&value, guest + gpa, bytes);
	return value;
}

static void put_phdr(
	bool is_64, u32 index, u32 type, u64 offset, u64 va, u64 pa, u64 file_bytes, u64 bytes)
{
	u32 at = is_64 ? 64 + index * 56 : 52 + index * 32;

	put(at, type, 4);
	if (is_64) {
		put(at + 8, offset, 8);
		put(at + 16, va, 8);
		put(at + 24, pa, 8);
		put(at + 32, file_bytes, 8);
		put(at + 40, bytes, 8);
	} else {
		put(at + 4, offset, 4);
		put(at + 8, va, 4);
		put(at + 12, pa, 4);
		put(at + 16, file_bytes, 4);
		put(at + 20, bytes, 4);
	}
}

static void make_elf(bool is_64, u64 va)
{
	memset(file, 0, sizeof(file));
	memcpy(file, "\177ELF", 4);
	file[4] = is_64 ? 2 : 1;
	file[5] = 1;
	put(16, 2, 2);
	put(18, is_64 ? 62 : 3, 2);
	put(24, va + 0x40, is_64 ? 8 : 4);
	put(is_64 ? 32 : 28, is_64 ? 64 : 52, is_64 ? 8 : 4);
	put(is_64 ? 54 : 42, is_64 ? 56 : 32, 2);
	put(is_64 ? 56 : 44, 2, 2);
	put_phdr(is_64, 0, 1, TEXT_OFFSET, va, LOAD_GPA, TEXT_BYTES, LOAD_BYTES);
	put_phdr(is_64, 1, 4, NOTE_OFFSET, 0, 0, 0, 0);
	memset(file + TEXT_OFFSET, 0x5c, TEXT_BYTES);
}

/* Another note before it, with a name of odd length. */
static void add_pvh_note(bool is_64, u64 entry, u32 entry_bytes)
{
	put(NOTE_OFFSET, 3, 4);
	put(NOTE_OFFSET + 4, 5, 4);
	put(NOTE_OFFSET + 8, 18, 4);
	memcpy(file + NOTE_OFFSET + 12, "GN", 3);
	put(NOTE_OFFSET + 24, 4, 4);
	put(NOTE_OFFSET + 28, entry_bytes, 4);
	put(NOTE_OFFSET + 32, 18, 4);
	memcpy(file + NOTE_OFFSET + 36, "Xen", 4);
	put(NOTE_OFFSET + 40, entry, entry_bytes);
	put_phdr(is_64, 1, 4, NOTE_OFFSET, 0, 0, 40 + entry_bytes, 40 + entry_bytes);
}

static void add_multiboot(u32 offset, u32 flags)
{
	put(offset, 0x1badb002, 4);
	put(offset + 4, flags, 4);
	put(offset + 8, (u32) - (0x1badb002u + flags), 4);
}

static int start(void **state)
{
	(void)state;
	memset(guest, 0, sizeof(guest));
	memset(modules, 0, sizeof(modules));
	for (u32 i = 0; i < ARRAY_COUNT(modules); i++)
		modules[i] = (struct elf_boot_module){module_data[i % 3], 100, ""};
	for (u32 i = 0; i < 3; i++)
		memset(module_data[i], 0x11 * (int)(i + 1), sizeof(module_data[i]));
	input = (struct elf_boot_input){
		.kernel = file,
		.kernel_bytes = sizeof(file),
		.modules = modules,
		.cmdline = "a command line",
		.acpi = acpi,
		.acpi_bytes = sizeof(acpi),
		.acpi_gpa = 0xe0000,
		.memory_bytes = GUEST_BYTES,
	};
	return 0;
}

static err_t write_guest(void *context, gpa_t to, const void *data, size_t bytes)
{
	assert_ptr_equal(context, guest);
	assert_true(bytes > 0 && to.v + bytes <= GUEST_BYTES);
	memcpy(guest + to.v, data, bytes);
	return 0;
}

static void load(void)
{
	err_t err = elf_boot_plan(&input, &plan, why, sizeof(why));

	if (err)
		fail_msg("not planned: %s", why);
	assert_int_equal(elf_boot_load(&input, &plan, write_guest, guest), 0);
}

static void refused(err_t error, const char *sentence)
{
	why[0] = '\0';
	assert_int_equal(elf_boot_plan(&input, &plan, why, sizeof(why)), error);
	if (!strstr(why, sentence))
		fail_msg("\"%s\" does not say \"%s\"", why, sentence);
}

static void check_image(void)
{
	for (u32 i = 0; i < LOAD_BYTES; i++)
		assert_int_equal(guest[LOAD_GPA + i], i < TEXT_BYTES ? 0x5c : 0);
	assert_int_equal(guest[LOAD_GPA + LOAD_BYTES], 0);
}

static void check_registers(u64 eax, u64 *ebx)
{
	struct virt_sregs sregs;
	u64 gpr[GPR_COUNT], rip, rflags;

	elf_boot_registers(&plan, &sregs, gpr, &rip, &rflags);
	assert_int_equal(sregs.cr0 & 0x80000001, 1);
	assert_int_equal(sregs.cr4, 0);
	assert_int_equal(sregs.efer, 0);
	assert_int_equal(rip, ENTRY);
	assert_int_equal(rflags, 2);
	assert_int_equal(sregs.seg[SEG_CS].attributes & 0x6000, 0x4000); /* D, not L */
	for (u32 i = 0; i < SEG_COUNT; i++) {
		assert_int_equal(sregs.seg[i].base, 0);
		assert_int_equal(sregs.seg[i].limit, 0xffffffff);
	}
	assert_int_equal(gpr[GPR_RAX], eax);
	*ebx = gpr[GPR_RBX];
}

static void test_pvh_kernel_finds_start_info(void **state)
{
	u64 info, at;

	(void)state;
	for (u32 is_64 = 0; is_64 < 2; is_64++) {
		start(state);
		make_elf(is_64, is_64 ? 0xffffffff81000000 : LOAD_GPA);
		add_pvh_note(is_64, ENTRY, is_64 ? 8 : 4);
		modules[1] = (struct elf_boot_module){module_data[1], 5000, "second one"};
		input.module_count = 2;
		load();
		check_image();
		check_registers(0, &info);
		assert_int_equal(peek(info, 4), 0x336ec578);
		assert_int_equal(peek(info + 4, 4), 1);
		assert_int_equal(peek(info + 12, 4), 2);
		assert_string_equal(guest + peek(info + 24, 8), "a command line");
		assert_int_equal(peek(info + 32, 8), 0xe0000);
		assert_int_equal(peek(info + 48, 4), plan.e820_count);
		at = peek(info + 40, 8);
		for (u32 i = 0; i < plan.e820_count; i++) {
			assert_int_equal(peek(at + i * 24, 8), plan.e820[i].base);
			assert_int_equal(peek(at + i * 24 + 8, 8), plan.e820[i].bytes);
			assert_int_equal(peek(at + i * 24 + 16, 4), plan.e820[i].type);
		}
		at = peek(info + 16, 8);
		assert_int_equal(peek(at + 8, 8), 100);
		assert_int_equal(peek(at + 32 + 8, 8), 5000);
		assert_memory_equal(guest + peek(at + 32, 8), module_data[1], 5000);
		assert_string_equal(guest + peek(at + 32 + 16, 8), "second one");
	}
}

static void test_multiboot_kernel_finds_its_information(void **state)
{
	u64 info, at, sum = 0;

	(void)state;
	/* Linked high, loaded low: the entry point is taken along. */
	make_elf(false, 0xc0200000);
	add_multiboot(TEXT_OFFSET + 0x100, 3);
	modules[0].words = "first";
	input.module_count = 3;
	load();
	check_registers(0x2badb002, &info);
	assert_int_equal(peek(info, 4) & 0x4d, 0x4d);
	assert_int_equal(peek(info + 8, 4), (GUEST_BYTES - MIB(1)) >> 10);
	assert_string_equal(guest + peek(info + 16, 4), "a command line");
	assert_int_equal(peek(info + 20, 4), 3);
	at = peek(info + 24, 4);
	for (u32 i = 0; i < 3; i++, at += 16) {
		u64 from = peek(at, 4);

		assert_int_equal(from % PAGE_BYTES, 0);
		assert_int_equal(peek(at + 4, 4), from + 100);
		assert_memory_equal(guest + from, module_data[i], 100);
		assert_string_equal(guest + peek(at + 8, 4), i == 0 ? "first" : "");
		assert_true(i == 0 || from > peek(at - 16, 4));
	}
	at = peek(info + 48, 4);
	for (u64 end = at + peek(info + 44, 4); at < end; at += peek(at, 4) + 4) {
		if (peek(at + 20, 4) == 1)
			sum += peek(at + 12, 8);
	}
	assert_int_equal(sum, GUEST_BYTES - MIB(1) + 0x9fc00);
}

static void test_multiboot_is_found_in_the_first_8_kib_only(void **state)
{
	(void)state;
	make_elf(false, LOAD_GPA);
	add_multiboot(8192 - 12, 0);
	load();
	assert_int_equal(plan.kernel.protocol, ELF_MULTIBOOT);
	make_elf(false, LOAD_GPA);
	add_multiboot(8192 - 8, 0);
	refused(E_INVAL, "neither a PVH note nor a Multiboot header");
	make_elf(false, LOAD_GPA);
	add_multiboot(TEXT_OFFSET, 0);
	put(TEXT_OFFSET + 8, 1, 4); /* a wrong checksum */
	refused(E_INVAL, "neither a PVH note nor a Multiboot header");
}

static void test_multiboot_wishes_that_cannot_be_met_are_refused(void **state)
{
	(void)state;
	make_elf(false, LOAD_GPA);
	add_multiboot(TEXT_OFFSET, 4);
	refused(E_INVAL, "video mode");
	add_multiboot(TEXT_OFFSET, 0x10000);
	refused(E_INVAL, "load addresses");
}

static void test_pvh_goes_before_multiboot(void **state)
{
	(void)state;
	make_elf(false, LOAD_GPA);
	add_multiboot(TEXT_OFFSET, 3);
	add_pvh_note(false, ENTRY, 4);
	load();
	assert_int_equal(plan.kernel.protocol, ELF_PVH);
}

static void test_files_that_are_no_kernel_are_refused(void **state)
{
	(void)state;
	make_elf(true, LOAD_GPA);
	add_multiboot(TEXT_OFFSET, 3); /* of no use to a 64-bit file */
	refused(E_INVAL, "neither a PVH note");
	make_elf(true, LOAD_GPA);
	put(18, 183, 2);
	refused(E_INVAL, "another machine");
	make_elf(true, LOAD_GPA);
	put(16, 1, 2);
	refused(E_INVAL, "cannot be executed");
	make_elf(true, LOAD_GPA);
	put(56, 0, 2);
	refused(E_INVAL, "damaged");
	make_elf(true, LOAD_GPA);
	put(32, ~0ull - 60, 8);
	refused(E_INVAL, "damaged");
	input.kernel_bytes = 20;
	refused(E_INVAL, "too short");
}

static void test_segments_outside_the_file_or_memory_are_refused(void **state)
{
	(void)state;
	make_elf(true, LOAD_GPA);
	add_pvh_note(true, ENTRY, 8);
	put_phdr(true, 0, 1, TEXT_OFFSET, 0, LOAD_GPA, FILE_BYTES, FILE_BYTES);
	refused(E_INVAL, "cut off");
	put_phdr(true, 0, 1, ~0ull - 10, 0, LOAD_GPA, 100, 100);
	refused(E_INVAL, "cut off");
	put_phdr(true, 0, 1, TEXT_OFFSET, 0, LOAD_GPA, 200, 100);
	refused(E_INVAL, "cut off");
	put_phdr(true, 0, 1, TEXT_OFFSET, 0, 0x1000, 100, 100);
	refused(E_INVAL, "where no guest has RAM");
	put_phdr(true, 0, 1, TEXT_OFFSET, 0, LOAD_GPA, 100, ~0ull);
	refused(E_INVAL, "where no guest has RAM");
	put_phdr(true, 0, 1, TEXT_OFFSET, 0, LOAD_GPA, 100, MIB(15));
	refused(E_RANGE, "needs 17 MiB of memory; the VM has 16 MiB");
	put_phdr(true, 0, 1, TEXT_OFFSET, 0, LOAD_GPA + 0x1000, 100, 100);
	refused(E_INVAL, "entry point");
	put_phdr(true, 0, 1, TEXT_OFFSET, 0, LOAD_GPA, 0, 0);
	refused(E_INVAL, "loads nothing");
}

static void test_two_segments_at_one_place_are_refused(void **state)
{
	(void)state;
	make_elf(true, LOAD_GPA);
	add_pvh_note(true, ENTRY, 8);
	put(56, 3, 2);
	put_phdr(true, 2, 1, TEXT_OFFSET, 0, LOAD_GPA + 0x4000, 100, 100);
	refused(E_INVAL, "two segments lie at 0x204000");
}

static void test_modules_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	make_elf(true, LOAD_GPA);
	add_pvh_note(true, ENTRY, 8);
	input.module_count = 2;
	modules[1].bytes = MIB(14);
	refused(E_RANGE, "do not fit: of the VM's 16 MiB the kernel takes the first 3");
	modules[1].bytes = ~(size_t)0;
	refused(E_RANGE, "do not fit");
	modules[1].bytes = 0;
	load();
	input.module_count = ELF_BOOT_MODULES_MAX + 1;
	refused(E_RANGE, "17 modules; a kernel takes 16");
}

static void test_long_texts_are_refused(void **state)
{
	static char text[70000];

	(void)state;
	make_elf(true, LOAD_GPA);
	add_pvh_note(true, ENTRY, 8);
	memset(text, 'x', sizeof(text) - 1);
	input.cmdline = text;
	refused(E_RANGE, "the command line has 69999 characters");
	input.cmdline = "";
	modules[0].words = text;
	input.module_count = 1;
	refused(E_RANGE, "the words of module 1");
}

static void test_damaged_notes_end_the_search(void **state)
{
	(void)state;
	make_elf(true, LOAD_GPA);
	add_pvh_note(true, ENTRY, 8);
	put(NOTE_OFFSET, 0xfffffffe, 4);
	refused(E_INVAL, "neither a PVH note");
	add_pvh_note(true, ENTRY, 8);
	put_phdr(true, 1, 4, FILE_BYTES - 4, 0, 0, 100, 100);
	refused(E_INVAL, "neither a PVH note");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pvh_kernel_finds_start_info, start),
		cmocka_unit_test_setup(test_multiboot_kernel_finds_its_information, start),
		cmocka_unit_test_setup(test_multiboot_is_found_in_the_first_8_kib_only, start),
		cmocka_unit_test_setup(test_multiboot_wishes_that_cannot_be_met_are_refused, start),
		cmocka_unit_test_setup(test_pvh_goes_before_multiboot, start),
		cmocka_unit_test_setup(test_files_that_are_no_kernel_are_refused, start),
		cmocka_unit_test_setup(test_segments_outside_the_file_or_memory_are_refused, start),
		cmocka_unit_test_setup(test_two_segments_at_one_place_are_refused, start),
		cmocka_unit_test_setup(test_modules_that_do_not_fit_are_refused, start),
		cmocka_unit_test_setup(test_long_texts_are_refused, start),
		cmocka_unit_test_setup(test_damaged_notes_end_the_search, start),
	};

	return cmocka_run_group_tests_name("unit/elf_boot", tests, NULL, NULL);
}
