/* SRCS: boot/bootelf.c mm/base/err.c */
/*
 * The reader of bellows.elf: a good image is placed byte for byte, and each way in which a file can
 * be damaged is refused. Files are in memory of exactly their length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <elf.h>
#include "boot/boot_info.h"
#include "boot/bootelf.h"

#define FILE_BYTES 0x3000

static u8 *file;
static Elf64_Ehdr *header;
static Elf64_Phdr *segments;

/* Code at +0, data with a bss at +0x2000, and a note that is not loaded. */
static int begin(void **state)
{
	(void)state;
	file = calloc(1, FILE_BYTES);
	header = (Elf64_Ehdr *)file;
	segments = (Elf64_Phdr *)(file + sizeof(*header));
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_type = ET_EXEC;
	header->e_machine = EM_X86_64;
	header->e_entry = BOOT_IMAGE_VA + 0x10;
	header->e_phoff = sizeof(*header);
	header->e_phentsize = sizeof(Elf64_Phdr);
	header->e_phnum = 3;
	segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = 0x1000,
		.p_vaddr = BOOT_IMAGE_VA,
		.p_filesz = 0x800,
		.p_memsz = 0x800};
	segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W,
		.p_offset = 0x2000,
		.p_vaddr = BOOT_IMAGE_VA + 0x2000,
		.p_filesz = 0x1000,
		.p_memsz = 0x4321};
	segments[2] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = ~0ull, .p_filesz = ~0ull};
	for (int i = 0x1000; i < FILE_BYTES; i++)
		file[i] = (u8)(random() | 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(file);
	return 0;
}

static const char *check(void)
{
	struct bootelf out;

	return bootelf_check(file, FILE_BYTES, &out);
}

static void a_good_image_is_placed_byte_for_byte(void **state)
{
	struct bootelf out;
	u8 *image;

	(void)state;
	assert_null(bootelf_check(file, FILE_BYTES, &out));
	assert_true(out.entry == BOOT_IMAGE_VA + 0x10);
	assert_int_equal(out.image_bytes, 0x7000);
	image = malloc(out.image_bytes);
	memset(image, 0xee, out.image_bytes);
	bootelf_place(file, image, out.image_bytes);
	assert_memory_equal(image, file + 0x1000, 0x800);
	for (u64 i = 0x800; i < 0x2000; i++)
		assert_int_equal(image[i], 0);
	assert_memory_equal(image + 0x2000, file + 0x2000, 0x1000);
	for (u64 i = 0x3000; i < out.image_bytes; i++)
		assert_int_equal(image[i], 0);
	free(image);
}

static void files_for_other_machines_are_refused(void **state)
{
	(void)state;
	file[0] = 0;
	assert_string_equal(check(), "not an ELF file");
	file[0] = 0x7f;
	header->e_ident[EI_CLASS] = ELFCLASS32;
	assert_string_equal(check(), "not for x86-64");
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_machine = EM_AARCH64;
	assert_string_equal(check(), "not for x86-64");
	header->e_machine = EM_X86_64;
	header->e_type = ET_DYN;
	assert_string_equal(check(), "not linked to run at a fixed address");
	header->e_type = ET_EXEC;
	segments[2].p_type = PT_INTERP;
	assert_string_equal(check(), "dynamically linked");
}

static void a_file_cut_anywhere_is_refused_or_whole(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < FILE_BYTES; bytes++) {
		u8 *cut = malloc(bytes ? bytes : 1);
		struct bootelf out;

		memcpy(cut, file, bytes);
		assert_non_null(bootelf_check(cut, bytes, &out));
		free(cut);
	}
}

static void segments_must_lie_in_file_and_window(void **state)
{
	(void)state;
	segments[0].p_vaddr = BOOT_IMAGE_VA - 1;
	assert_string_equal(check(), "a segment lies outside the image's address window");
	segments[0].p_vaddr = BOOT_IMAGE_VA + BOOTELF_IMAGE_MAX_BYTES - 0x7ff;
	assert_string_equal(check(), "a segment lies outside the image's address window");
	segments[0].p_vaddr = BOOT_IMAGE_VA;
	segments[0].p_memsz = ~0ull;
	assert_string_equal(check(), "a segment lies outside the image's address window");
	segments[0].p_memsz = 0x7ff;
	assert_string_equal(check(), "a segment holds more than it may");
	segments[0].p_memsz = 0x800;
	segments[0].p_offset = ~0ull - 0x100;
	assert_string_equal(check(), "a segment lies outside the file (cut short?)");
}

static void overlapping_segments_are_refused(void **state)
{
	(void)state;
	segments[1].p_vaddr = BOOT_IMAGE_VA + 0x7ff;
	assert_string_equal(check(), "two segments overlap");
	segments[1].p_vaddr = BOOT_IMAGE_VA + 0x800;
	assert_null(check());
}

static void the_entry_must_be_in_executable_memory(void **state)
{
	static const u64 bad[] = {
		0, BOOT_IMAGE_VA - 1, BOOT_IMAGE_VA + 0x800, BOOT_IMAGE_VA + 0x2000};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		header->e_entry = bad[i];
		assert_string_equal(check(), "the entry point is in no executable segment");
	}
}

static void program_headers_must_make_sense(void **state)
{
	(void)state;
	header->e_phentsize = 55;
	assert_string_equal(check(), "program headers of an unknown size");
	header->e_phentsize = 56;
	header->e_phnum = 0;
	assert_string_equal(check(), "no program headers, or too many");
	header->e_phnum = 0xffff;
	assert_string_equal(check(), "no program headers, or too many");
	header->e_phnum = 3;
	header->e_phoff = ~0ull;
	assert_string_equal(check(), "program headers lie outside the file (cut short?)");
	header->e_phoff = FILE_BYTES - 3 * 56 + 1;
	assert_string_equal(check(), "program headers lie outside the file (cut short?)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_good_image_is_placed_byte_for_byte, begin, end),
		cmocka_unit_test_setup_teardown(files_for_other_machines_are_refused, begin, end),
		cmocka_unit_test_setup_teardown(
			a_file_cut_anywhere_is_refused_or_whole, begin, end),
		cmocka_unit_test_setup_teardown(segments_must_lie_in_file_and_window, begin, end),
		cmocka_unit_test_setup_teardown(overlapping_segments_are_refused, begin, end),
		cmocka_unit_test_setup_teardown(the_entry_must_be_in_executable_memory, begin, end),
		cmocka_unit_test_setup_teardown(program_headers_must_make_sense, begin, end),
	};
	return cmocka_run_group_tests_name("unit/bootelf", tests, NULL, NULL);
}
