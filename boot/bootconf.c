/*
 * The loader's view of bellows.conf: only the names of files. Everything else in it, and every
 * mistake, is left to the hypervisor, which has a console to explain them on.
 */
#include "boot/bootconf.h"
#include "mm/base/ini.h"
#include "mm/base/str.h"

#define HOME "\\bellows\\"

static bool is_separator(char c)
{
	return c == '\\' || c == '/';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool bootconf_same_path(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) == lower(*b);
}

static bool is_acceptable(struct ini_str name)
{
	for (size_t i = 0; i < name.bytes; i++) {
		if (name.at[i] < 0x20 || name.at[i] > 0x7e)
			return false;
	}
	return name.bytes < BOOT_FILE_NAME_BYTES;
}

/* Backslashes only, one at a time, from the root: the one form that every FAT driver takes. */
static void make_path(const char *name, char *path)
{
	size_t n = 0;

	if (!is_separator(name[0])) {
		memcpy(path, HOME, sizeof(HOME) - 1);
		n = sizeof(HOME) - 1;
	}
	for (; *name; name++) {
		if (!is_separator(*name))
			path[n++] = *name;
		else if (n == 0 || path[n - 1] != '\\')
			path[n++] = '\\';
	}
	path[n] = '\0';
}
_Static_assert(BOOT_FILE_NAME_BYTES + sizeof(HOME) <= BOOTCONF_PATH_BYTES, "a path fits");

static void add_name(struct bootconf_files *out, struct ini_str name, u32 line)
{
	struct bootconf_file *file;

	if (!is_acceptable(name)) {
		out->refused_count++;
		out->refused_line = line;
		return;
	}
	for (u32 i = 0; i < out->count; i++) {
		if (ini_str_is(name, out->files[i].name))
			return;
	}
	if (out->count == out->room) {
		out->dropped_count++;
		return;
	}
	file = &out->files[out->count++];
	memcpy(file->name, name.at, name.bytes);
	file->name[name.bytes] = '\0';
	make_path(file->name, file->path);
}

/* modules = path [words], path [words] ... */
static void add_modules(struct bootconf_files *out, struct ini_str list, u32 line)
{
	struct ini_str module, words;

	while ((module = ini_list_next(&list)).bytes > 0)
		add_name(out, ini_first_word(module, &words), line);
}

void bootconf_list(const char *text, size_t bytes, struct bootconf_files *out)
{
	struct ini_reader reader;
	struct ini_line line;

	out->count = out->refused_count = out->refused_line = out->dropped_count = 0;
	ini_start(&reader, text, bytes);
	while ((line = ini_next(&reader)).kind != INI_END) {
		if (line.kind != INI_KEY || !ini_str_is(line.section, "vm"))
			continue;
		if (ini_str_is(line.key, "modules"))
			add_modules(out, line.value, line.line);
		else if ((ini_str_is(line.key, "kernel") || ini_str_is(line.key, "initrd")) &&
			 line.value.bytes > 0)
			add_name(out, line.value, line.line);
	}
}
