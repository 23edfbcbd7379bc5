/*
 * The three ways in which this guest is started, read into one form. The hypervisor is what is
 * under test, so what it hands over is believed.
 */
#include "tests/emu/guests/bare/bare.h"

enum { BOOT_LINUX, BOOT_PVH, BOOT_MULTIBOOT };

#define HIGH_RAM_BASE 0x100000u
#define RAM           1

static struct bare_boot boot;

static uint32_t get32(const uint8_t *from)
{
	return *(const uint32_t *)(const void *)from;
}

static uint64_t get64(const uint8_t *from)
{
	return *(const uint64_t *)(const void *)from;
}

static void take_memory(uint64_t base, uint64_t bytes, uint32_t type)
{
	if (type == RAM && base == HIGH_RAM_BASE)
		boot.memory_end = base + bytes;
}

static void take_module(uint64_t address, uint64_t bytes, uint64_t words)
{
	if (boot.module_count < BARE_MODULES_MAX)
		boot.modules[boot.module_count++] =
			(struct bare_module){(const uint8_t *)address, bytes, (const char *)words};
}

/* Documentation/arch/x86/zero-page.rst */
static void read_linux(const uint8_t *params)
{
	boot.how = "bzImage";
	boot.cmdline = (const char *)(uintptr_t)get32(params + 0x228);
	for (uint32_t i = 0; i < params[0x1e8]; i++) {
		const uint8_t *e = params + 0x2d0 + i * 20;

		take_memory(get64(e), get64(e + 8), get32(e + 16));
	}
	if (get32(params + 0x21c))
		take_module(get32(params + 0x218), get32(params + 0x21c), (uintptr_t) "");
}

/* Xen public headers, arch-x86/hvm/start_info.h */
static void read_pvh(const uint8_t *info)
{
	const uint8_t *modules = (const uint8_t *)get64(info + 16);
	const uint8_t *map = (const uint8_t *)get64(info + 40);

	boot.how = "pvh";
	boot.cmdline = (const char *)get64(info + 24);
	for (uint32_t i = 0; i < get32(info + 12); i++, modules += 32)
		take_module(get64(modules), get64(modules + 8), get64(modules + 16));
	for (uint32_t i = 0; i < get32(info + 48); i++, map += 24)
		take_memory(get64(map), get64(map + 8), get32(map + 16));
}

/* Multiboot Specification version 0.6.96, "Boot information format" */
static void read_multiboot(const uint8_t *info)
{
	const uint8_t *modules = (const uint8_t *)(uintptr_t)get32(info + 24);
	const uint8_t *map = (const uint8_t *)(uintptr_t)get32(info + 48);
	const uint8_t *map_end = map + get32(info + 44);

	boot.how = "multiboot";
	boot.cmdline = (const char *)(uintptr_t)get32(info + 16);
	for (uint32_t i = 0; i < get32(info + 20); i++, modules += 16)
		take_module(
			get32(modules), get32(modules + 4) - get32(modules), get32(modules + 8));
	for (; map < map_end; map += get32(map) + 4)
		take_memory(get64(map + 4), get64(map + 12), get32(map + 20));
}

void bare_start(uint32_t protocol, const uint8_t *info)
{
	if (protocol == BOOT_LINUX)
		read_linux(info);
	else if (protocol == BOOT_PVH)
		read_pvh(info);
	else
		read_multiboot(info);
	bare_main(&boot);
}

/* --- The command line ------------------------------------------------------------------------ */

static bool starts_with(const char *text, const char *start)
{
	while (*start && *text == *start)
		text++, start++;
	return !*start;
}

static size_t length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

static bool ends_word(char c)
{
	return c == '\0' || c == ' ' || c == ',';
}

const char *option(const struct bare_boot *from, const char *name)
{
	const char *found = "";

	for (const char *at = from->cmdline; *at; at++) {
		if ((at == from->cmdline || at[-1] == ' ') && starts_with(at, name) &&
			at[length(name)] == '=')
			found = at + length(name) + 1;
	}
	return found;
}

bool is_word(const char *text, const char *word)
{
	return starts_with(text, word) && ends_word(text[length(word)]);
}

const char *list_value(const char *list, const char *key)
{
	for (bool at_start = true; *list && *list != ' '; list++) {
		if (at_start && starts_with(list, key) && list[length(key)] == '=')
			return list + length(key) + 1;
		at_start = *list == ',';
	}
	return NULL;
}

uint64_t number_at(const char *text)
{
	uint64_t value = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return value;
}

uint64_t list_number(const char *list, const char *key, uint64_t otherwise)
{
	const char *at = list_value(list, key);

	return at ? number_at(at) : otherwise;
}

uint8_t *free_memory(const struct bare_boot *from)
{
	extern uint8_t bss_end[];
	const uint8_t *end = bss_end;

	(void)from;
	return (uint8_t *)(((uintptr_t)end + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
}
