/*
 * The reader of bellows.elf (ELF-64 Object File Format, "File Header", "Program Header"). Headers
 * are copied out before they are looked at, for a file may put them at any odd offset.
 */
#include "boot/bootelf.h"
#include "boot/boot_info.h"
#include "mm/base/str.h"

enum {
	ELF_CLASS_64 = 2,
	ELF_DATA_LITTLE = 1,
	ELF_TYPE_EXEC = 2,
	ELF_MACHINE_X86_64 = 62,
	ELF_SEGMENT_LOAD = 1,
	ELF_SEGMENT_DYNAMIC = 2,
	ELF_SEGMENT_INTERP = 3,
	ELF_FLAG_EXEC = 1,
};
#define SEGMENT_MAX 32

struct elf_header {
	u8 magic[4];
	u8 class, data, ident_version, os_abi;
	u8 pad[8];
	u16 type, machine;
	u32 version;
	u64 entry, segment_offset, section_offset;
	u32 flags;
	u16 header_bytes, segment_entry_bytes, segment_count;
	u16 section_entry_bytes, section_count, section_names;
};
_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");

struct elf_segment {
	u32 type, flags;
	u64 offset, virtual_address, physical_address, file_bytes, memory_bytes, align;
};
_Static_assert(sizeof(struct elf_segment) == 56, "Elf64_Phdr");

static struct elf_segment segment_at(const void *file, const struct elf_header *h, u32 i)
{
	struct elf_segment s;

	memcpy(&s, (const u8 *)file + h->segment_offset + i * sizeof(s), sizeof(s));
	return s;
}

static const char *check_header(const struct elf_header *h, size_t bytes)
{
	static const u8 magic[4] = {0x7f, 'E', 'L', 'F'};

	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return "not an ELF file";
	if (h->class != ELF_CLASS_64 || h->data != ELF_DATA_LITTLE ||
		h->machine != ELF_MACHINE_X86_64)
		return "not for x86-64";
	if (h->type != ELF_TYPE_EXEC)
		return "not linked to run at a fixed address";
	if (h->segment_entry_bytes != sizeof(struct elf_segment))
		return "program headers of an unknown size";
	if (h->segment_count == 0 || h->segment_count > SEGMENT_MAX)
		return "no program headers, or too many";
	if (h->segment_offset > bytes ||
		bytes - h->segment_offset < h->segment_count * sizeof(struct elf_segment))
		return "program headers lie outside the file (cut short?)";
	return NULL;
}

static const char *check_segment(const struct elf_segment *s, size_t bytes)
{
	if (s->file_bytes > s->memory_bytes)
		return "a segment holds more than it may";
	if (s->offset > bytes || s->file_bytes > bytes - s->offset)
		return "a segment lies outside the file (cut short?)";
	if (s->virtual_address < BOOT_IMAGE_VA ||
		s->virtual_address - BOOT_IMAGE_VA > BOOTELF_IMAGE_MAX_BYTES ||
		s->memory_bytes > BOOTELF_IMAGE_MAX_BYTES - (s->virtual_address - BOOT_IMAGE_VA))
		return "a segment lies outside the image's address window";
	return NULL;
}

static bool overlap(const struct elf_segment *a, const struct elf_segment *b)
{
	return a->virtual_address < b->virtual_address + b->memory_bytes &&
	       b->virtual_address < a->virtual_address + a->memory_bytes;
}

static bool is_loaded(const struct elf_segment *s)
{
	return s->type == ELF_SEGMENT_LOAD && s->memory_bytes > 0;
}

static const char *check_overlaps(const void *file, const struct elf_header *h, u32 i)
{
	struct elf_segment s = segment_at(file, h, i);

	for (u32 j = 0; j < i; j++) {
		struct elf_segment other = segment_at(file, h, j);

		if (is_loaded(&other) && overlap(&s, &other))
			return "two segments overlap";
	}
	return NULL;
}

const char *bootelf_check(const void *file, size_t bytes, struct bootelf *out)
{
	struct elf_header h;
	bool entry_found = false;
	const char *problem;
	u64 end = 0;

	if (bytes < sizeof(h))
		return "too short for an ELF file";
	memcpy(&h, file, sizeof(h));
	problem = check_header(&h, bytes);
	if (problem)
		return problem;
	for (u32 i = 0; i < h.segment_count; i++) {
		struct elf_segment s = segment_at(file, &h, i);

		if (s.type == ELF_SEGMENT_INTERP || s.type == ELF_SEGMENT_DYNAMIC)
			return "dynamically linked";
		if (!is_loaded(&s))
			continue;
		problem = check_segment(&s, bytes);
		if (!problem)
			problem = check_overlaps(file, &h, i);
		if (problem)
			return problem;
		end = max(end, s.virtual_address + s.memory_bytes - BOOT_IMAGE_VA);
		entry_found |= (s.flags & ELF_FLAG_EXEC) && h.entry >= s.virtual_address &&
			       h.entry - s.virtual_address < s.memory_bytes;
	}
	if (!entry_found)
		return "the entry point is in no executable segment";
	*out = (struct bootelf){.entry = h.entry, .image_bytes = ALIGN_UP(end, PAGE_BYTES)};
	return NULL;
}

void bootelf_place(const void *file, void *image, u64 image_bytes)
{
	struct elf_header h;

	memcpy(&h, file, sizeof(h));
	memset(image, 0, image_bytes);
	for (u32 i = 0; i < h.segment_count; i++) {
		struct elf_segment s = segment_at(file, &h, i);

		if (is_loaded(&s))
			memcpy((u8 *)image + (s.virtual_address - BOOT_IMAGE_VA),
				(const u8 *)file + s.offset, s.file_bytes);
	}
}
