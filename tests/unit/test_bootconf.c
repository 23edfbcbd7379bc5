/* SRCS: boot/bootconf.c mm/base/ini.c mm/base/err.c */
/* Which files a configuration names: once each, under the path the firmware wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "boot/bootconf.h"

static struct bootconf_file files[4];
static struct bootconf_files list = {.files = files, .room = ARRAY_COUNT(files)};

static void read_text(const char *text)
{
	size_t bytes = strlen(text);
	char *exact = malloc(bytes ? bytes : 1);

	memcpy(exact, text, bytes);
	memset(files, 0xee, sizeof(files));
	bootconf_list(exact, bytes, &list);
	free(exact);
}

static void expect(u32 i, const char *name, const char *path)
{
	assert_true(i < list.count);
	assert_string_equal(files[i].name, name);
	assert_string_equal(files[i].path, path);
}

static void kernels_and_initrds_of_vms_are_listed_once(void **state)
{
	(void)state;
	read_text("kernel = loose\n"
		  "[host]\nkernel = no\n"
		  "[vm a]\nkernel = vmlinuz\ninitrd = /boot//initrd.img\ncmdline = kernel=x\n"
		  "[vm b]\nkernel = vmlinuz\ninitrd =\ndisk = data\n"
		  "[vm c]\nkernel = \\EFI\\linux\\k 1\nbroken line\n");
	assert_int_equal(list.count, 3);
	expect(0, "vmlinuz", "\\bellows\\vmlinuz");
	expect(1, "/boot//initrd.img", "\\boot\\initrd.img");
	expect(2, "\\EFI\\linux\\k 1", "\\EFI\\linux\\k 1");
	assert_int_equal(list.refused_count + list.dropped_count, 0);
}

static void modules_are_listed_without_their_words(void **state)
{
	(void)state;
	read_text("[host]\nmodules = no\n"
		  "[vm a]\nkernel = k\nmodules = one, two some words,, \\three  ,k,\n");
	assert_int_equal(list.count, 4);
	expect(0, "k", "\\bellows\\k");
	expect(1, "one", "\\bellows\\one");
	expect(2, "two", "\\bellows\\two");
	expect(3, "\\three", "\\three");
	assert_int_equal(list.refused_count + list.dropped_count, 0);
}

static void names_that_cannot_be_kept_are_counted_with_their_line(void **state)
{
	char text[600] = "[vm a]\nkernel = ";

	(void)state;
	memset(text + strlen(text), 'x', BOOT_FILE_NAME_BYTES - 1);
	strcat(text, "\ninitrd = ");
	memset(text + strlen(text), 'y', BOOT_FILE_NAME_BYTES);
	read_text(text);
	assert_int_equal(list.count, 1);
	assert_int_equal(strlen(files[0].name), BOOT_FILE_NAME_BYTES - 1);
	assert_int_equal(strlen(files[0].path), BOOT_FILE_NAME_BYTES - 1 + strlen("\\bellows\\"));
	assert_int_equal(list.refused_count, 1);
	assert_int_equal(list.refused_line, 3);
	read_text("[vm a]\n\nkernel = gr\xc3\xbc\xc3\x9f"
		  "e\n");
	assert_int_equal(list.count, 0);
	assert_int_equal(list.refused_line, 3);
}

static void more_files_than_there_is_room_for_are_counted(void **state)
{
	(void)state;
	read_text("[vm a]\nkernel=a\nkernel=b\nkernel=c\nkernel=d\nkernel=e\nkernel=a\nkernel=f\n");
	assert_int_equal(list.count, 4);
	assert_int_equal(list.dropped_count, 2);
}

static void paths_compare_as_the_file_system_does(void **state)
{
	(void)state;
	assert_true(bootconf_same_path("\\Bellows\\VMLINUZ", "\\bellows\\vmlinuz"));
	assert_false(bootconf_same_path("\\bellows\\vmlinuz", "\\bellows\\vmlinuz2"));
	assert_false(bootconf_same_path("\\bellows\\vmlinuz2", "\\bellows\\vmlinuz"));
	assert_false(bootconf_same_path("[", "{"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernels_and_initrds_of_vms_are_listed_once),
		cmocka_unit_test(names_that_cannot_be_kept_are_counted_with_their_line),
		cmocka_unit_test(more_files_than_there_is_room_for_are_counted),
		cmocka_unit_test(paths_compare_as_the_file_system_does),
		cmocka_unit_test(modules_are_listed_without_their_words),
	};
	return cmocka_run_group_tests_name("unit/bootconf", tests, NULL, NULL);
}
