/* SRCS: mm/base/ini.c mm/base/err.c boot/bootconf.c */
/*
 * Any text as bellows.conf: the reader ends, everything it points to lies inside the text, line
 * numbers only grow, and the loader's list of files keeps its promises.
 */
#include <stdlib.h>
#include <string.h>

#include "boot/bootconf.h"
#include "mm/base/ini.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void inside(struct ini_str s, const char *text, size_t bytes)
{
	require(s.bytes == 0 || (s.at >= text && s.at + s.bytes <= text + bytes));
}

static void parse_value(struct ini_str value)
{
	u64 n;
	bool b;

	if (ini_parse_u64(value, &n) == 0)
		require(value.bytes > 0);
	if (ini_parse_bytes(value, &n) == 0)
		require(n % 1024 == 0);
	if (ini_parse_bool(value, &b) == 0)
		require(value.bytes <= 5);
}

static void check_list(const char *text, size_t bytes)
{
	static struct bootconf_file files[8];
	struct bootconf_files list = {.files = files, .room = 8};

	bootconf_list(text, bytes, &list);
	require(list.count <= 8);
	for (u32 i = 0; i < list.count; i++) {
		require(strnlen(files[i].name, sizeof(files[i].name)) < sizeof(files[i].name));
		require(strnlen(files[i].path, sizeof(files[i].path)) < sizeof(files[i].path));
		require(files[i].path[0] == '\\' && !strchr(files[i].path, '/'));
		for (u32 j = 0; j < i; j++)
			require(strcmp(files[i].name, files[j].name) != 0);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	const char *text = (const char *)data;
	struct ini_reader reader;
	struct ini_line line;
	u32 last = 0;

	ini_start(&reader, text, bytes);
	while ((line = ini_next(&reader)).kind != INI_END) {
		require(line.line > last && line.line <= bytes);
		last = line.line;
		require((line.kind == INI_BAD) == (line.problem != NULL));
		require(line.kind != INI_KEY || line.key.bytes > 0);
		inside(line.section, text, bytes);
		inside(line.name, text, bytes);
		inside(line.key, text, bytes);
		inside(line.value, text, bytes);
		parse_value(line.value);
	}
	check_list(text, bytes);
	return 0;
}
