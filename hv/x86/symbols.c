/* ELF64 sections and symbols: System V ABI, "Sections" and "Symbol Table". A linear search: nobody
 * waits for it. */
#include "hv/x86/symbols.h"
#include "mm/base/str.h"

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, program_offset, section_offset;
	u32 flags;
	u16 header_bytes, program_bytes, program_count, section_bytes, section_count, names_index;
};
_Static_assert(sizeof(struct elf_header) == 64, "ELF64");

struct elf_section {
	u32 name, type;
	u64 flags, address, offset, bytes;
	u32 link, info;
	u64 align, entry_bytes;
};
_Static_assert(sizeof(struct elf_section) == 64, "ELF64");

struct elf_symbol {
	u32 name;
	u8 info, other;
	u16 section;
	u64 value, bytes;
};
_Static_assert(sizeof(struct elf_symbol) == 24, "ELF64");

#define SECTION_SYMBOLS 2
#define SYMBOL_FUNCTION 2

static const u8 *file;
static u64 file_bytes;

static const void *at(u64 offset, u64 bytes)
{
	return offset <= file_bytes && bytes <= file_bytes - offset ? file + offset : NULL;
}

/* A structure in the file: NULL if it is not inside, or not aligned as it must be. */
static const void *record_at(u64 offset, u64 bytes)
{
	return IS_ALIGNED((uintptr_t)file + offset, 8) ? at(offset, bytes) : NULL;
}

void symbols_init(const void *elf, u64 bytes)
{
	file = elf;
	file_bytes = bytes;
}

static const struct elf_section *section(const struct elf_header *header, u32 index)
{
	if (index >= header->section_count || header->section_bytes != sizeof(struct elf_section))
		return NULL;
	return record_at(header->section_offset + index * sizeof(struct elf_section),
		sizeof(struct elf_section));
}

static const char *search(const struct elf_section *table, const struct elf_section *names,
	u64 address, u64 *offset, size_t *name_bytes)
{
	for (u64 i = 0; i < table->bytes / sizeof(struct elf_symbol); i++) {
		const struct elf_symbol *s = record_at(table->offset + i * sizeof(*s), sizeof(*s));
		const char *name;

		if (!s)
			return NULL;
		if ((s->info & 15) != SYMBOL_FUNCTION || !s->section || address < s->value ||
			address - s->value >= max(s->bytes, (u64)1) || s->name >= names->bytes)
			continue;
		name = at(names->offset + s->name, names->bytes - s->name);
		if (!name)
			return NULL;
		*offset = address - s->value;
		*name_bytes = strnlen(name, names->bytes - s->name);
		return name;
	}
	return NULL;
}

const char *symbols_find(u64 address, u64 *offset, size_t *name_bytes)
{
	const struct elf_header *header = record_at(0, sizeof(*header));

	if (!header || memcmp(header->ident, "\177ELF\2\1", 6))
		return NULL;
	for (u32 i = 0; i < header->section_count; i++) {
		const struct elf_section *s = section(header, i);
		const struct elf_section *names = s ? section(header, s->link) : NULL;

		if (s && names && s->type == SECTION_SYMBOLS)
			return search(s, names, address, offset, name_bytes);
	}
	return NULL;
}
