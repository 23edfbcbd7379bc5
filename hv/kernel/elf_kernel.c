/*
 * Reading an ELF kernel. Both classes go through one path: a header or a program header is first
 * copied into a class-neutral form, with its numbers widened to 64 bits, and then checked.
 */
#include "hv/kernel/elf_kernel.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

/* System V ABI, "ELF Header" and "Program Header"; i386 and x86-64 supplements for the machines. */
enum {
	EI_CLASS = 4,
	EI_DATA = 5,
	CLASS_32 = 1,
	CLASS_64 = 2,
	DATA_LITTLE = 1,
	TYPE_EXEC = 2,
	TYPE_DYN = 3,
	MACHINE_386 = 3,
	MACHINE_X86_64 = 62,
	HEADER_BYTES_32 = 52,
	HEADER_BYTES_64 = 64,
	PHDR_BYTES_32 = 32,
	PHDR_BYTES_64 = 56,
	PHDRS_MAX = 64,
	PT_LOAD = 1,
	PT_NOTE = 4,
};

#define NOTE_HEADER_BYTES 12u
#define NOTE_XEN_PVH      18u /* XEN_ELFNOTE_PHYS32_ENTRY */

#define MULTIBOOT_SEARCH_BYTES 8192u
#define MULTIBOOT_MAGIC        0x1badb002u
#define MULTIBOOT_HEADER_BYTES 12u
#define MULTIBOOT_PAGE_ALIGN   0x1u
#define MULTIBOOT_MEMORY_INFO  0x2u
#define MULTIBOOT_REQUIRED     0xffffu  /* what must be obeyed or refused */
#define MULTIBOOT_ADDRESSES    0x10000u /* load addresses in the header instead of ELF's */

#define LOWEST_GPA  0x100000u
#define HIGHEST_GPA 0x100000000ull

struct header {
	bool is_64;
	u64 entry, phoff;
	u32 phentsize, phnum;
};

struct phdr {
	u32 type;
	u64 offset, va, pa, file_bytes, memory_bytes;
};

/* The file, and where a complaint goes. */
struct reader {
	const u8 *file;
	size_t bytes;
	char *why;
	size_t why_bytes;
};

printf_like(2, 3) static err_t refuse(struct reader *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fmt_vsnprintf(r->why, r->why_bytes, fmt, args);
	va_end(args);
	return E_INVAL;
}

static u64 get(const struct reader *r, u64 offset, u32 bytes)
{
	u64 value = 0;

	memcpy(&value, r->file + offset, bytes);
	return value;
}

static bool is_inside(const struct reader *r, u64 offset, u64 bytes)
{
	return offset <= r->bytes && bytes <= r->bytes - offset;
}

bool elf_kernel_is_elf(const void *file, size_t bytes)
{
	return bytes >= 4 && memcmp(file, "\177ELF", 4) == 0;
}

static err_t read_header(struct reader *r, struct header *h)
{
	u64 machine, type;

	if (r->bytes < HEADER_BYTES_64 || !elf_kernel_is_elf(r->file, r->bytes))
		return refuse(r, "the kernel file (%llu bytes) is too short for an ELF file",
			(unsigned long long)r->bytes);
	machine = get(r, 18, 2);
	type = get(r, 16, 2);
	h->is_64 = r->file[EI_CLASS] == CLASS_64;
	if (r->file[EI_DATA] != DATA_LITTLE ||
		machine != (h->is_64 ? MACHINE_X86_64 : MACHINE_386) ||
		(!h->is_64 && r->file[EI_CLASS] != CLASS_32))
		return refuse(r,
			"the kernel is an ELF file for another machine: class %u, machine %llu",
			r->file[EI_CLASS], (unsigned long long)machine);
	if (type != TYPE_EXEC && type != TYPE_DYN)
		return refuse(r, "the kernel is an ELF file that cannot be executed: type %llu",
			(unsigned long long)type);
	h->entry = h->is_64 ? get(r, 24, 8) : get(r, 24, 4);
	h->phoff = h->is_64 ? get(r, 32, 8) : get(r, 28, 4);
	h->phentsize = (u32)get(r, h->is_64 ? 54 : 42, 2);
	h->phnum = (u32)get(r, h->is_64 ? 56 : 44, 2);
	if (h->phentsize < (h->is_64 ? PHDR_BYTES_64 : PHDR_BYTES_32) || h->phnum == 0 ||
		h->phnum > PHDRS_MAX || !is_inside(r, h->phoff, (u64)h->phentsize * h->phnum))
		return refuse(r,
			"the kernel's ELF file is damaged: %u program headers of %u bytes at %#llx in %llu bytes",
			h->phnum, h->phentsize, (unsigned long long)h->phoff,
			(unsigned long long)r->bytes);
	return 0;
}

static struct phdr get_phdr(const struct reader *r, const struct header *h, u32 index)
{
	u64 at = h->phoff + (u64)index * h->phentsize;

	if (h->is_64)
		return (struct phdr){
			.type = (u32)get(r, at, 4),
			.offset = get(r, at + 8, 8),
			.va = get(r, at + 16, 8),
			.pa = get(r, at + 24, 8),
			.file_bytes = get(r, at + 32, 8),
			.memory_bytes = get(r, at + 40, 8),
		};
	return (struct phdr){
		.type = (u32)get(r, at, 4),
		.offset = get(r, at + 4, 4),
		.va = get(r, at + 8, 4),
		.pa = get(r, at + 12, 4),
		.file_bytes = get(r, at + 16, 4),
		.memory_bytes = get(r, at + 20, 4),
	};
}

static err_t add_segment(struct reader *r, const struct phdr *p, struct elf_kernel *out)
{
	if (p->memory_bytes == 0)
		return 0;
	if (p->file_bytes > p->memory_bytes || !is_inside(r, p->offset, p->file_bytes))
		return refuse(r,
			"the kernel's ELF file is cut off: %llu bytes at %#llx of it are to be loaded, it has %llu",
			(unsigned long long)p->file_bytes, (unsigned long long)p->offset,
			(unsigned long long)r->bytes);
	if (p->pa < LOWEST_GPA || p->pa >= HIGHEST_GPA || p->memory_bytes > HIGHEST_GPA - p->pa)
		return refuse(r,
			"the kernel wants to lie at %#llx (%llu bytes), where no guest has RAM for it",
			(unsigned long long)p->pa, (unsigned long long)p->memory_bytes);
	for (u32 i = 0; i < out->segment_count; i++) {
		const struct elf_segment *s = &out->segments[i];

		if (p->pa < s->gpa + s->memory_bytes && s->gpa < p->pa + p->memory_bytes)
			return refuse(r,
				"the kernel's ELF file is damaged: two segments lie at %#llx",
				(unsigned long long)max(p->pa, s->gpa));
	}
	if (out->segment_count == ELF_SEGMENTS_MAX)
		return refuse(
			r, "the kernel's ELF file has more than %u segments", ELF_SEGMENTS_MAX);
	out->segments[out->segment_count++] = (struct elf_segment){
		p->pa, p->memory_bytes, (size_t)p->offset, (size_t)p->file_bytes};
	out->end = max(out->end, p->pa + p->memory_bytes);
	return 0;
}

static err_t read_segments(struct reader *r, const struct header *h, struct elf_kernel *out)
{
	err_t err = 0;

	for (u32 i = 0; i < h->phnum && !err; i++) {
		struct phdr p = get_phdr(r, h, i);

		if (p.type == PT_LOAD)
			err = add_segment(r, &p, out);
	}
	if (!err && out->segment_count == 0)
		return refuse(r, "the kernel's ELF file loads nothing");
	return err;
}

static bool is_loaded(const struct elf_kernel *k, u64 gpa)
{
	for (u32 i = 0; i < k->segment_count; i++) {
		if (gpa >= k->segments[i].gpa &&
			gpa - k->segments[i].gpa < k->segments[i].memory_bytes)
			return true;
	}
	return false;
}

/* Look for the PVH entry among the notes of one segment. Damaged notes end the search, no more. */
static bool find_pvh_note(const struct reader *r, const struct phdr *p, u64 *entry)
{
	u64 at = p->offset, left = p->file_bytes;

	if (!is_inside(r, p->offset, p->file_bytes))
		return false;
	while (left >= NOTE_HEADER_BYTES) {
		u64 name_bytes = get(r, at, 4), value_bytes = get(r, at + 4, 4);
		u64 name = at + NOTE_HEADER_BYTES, value = name + ALIGN_UP(name_bytes, 4);
		u64 bytes = NOTE_HEADER_BYTES + ALIGN_UP(name_bytes, 4) + ALIGN_UP(value_bytes, 4);

		/* The last note's padding need not be there. */
		if (NOTE_HEADER_BYTES + ALIGN_UP(name_bytes, 4) + value_bytes > left)
			return false;
		if (get(r, at + 8, 4) == NOTE_XEN_PVH && name_bytes == 4 &&
			memcmp(r->file + name, "Xen", 4) == 0 &&
			(value_bytes == 4 || value_bytes == 8)) {
			*entry = get(r, value, (u32)value_bytes);
			return true;
		}
		if (bytes > left)
			return false;
		at += bytes;
		left -= bytes;
	}
	return false;
}

static bool find_pvh(const struct reader *r, const struct header *h, u64 *entry)
{
	for (u32 i = 0; i < h->phnum; i++) {
		struct phdr p = get_phdr(r, h, i);

		if (p.type == PT_NOTE && find_pvh_note(r, &p, entry))
			return true;
	}
	return false;
}

/* The flags of the Multiboot header, if there is one. */
static bool find_multiboot(const struct reader *r, u32 *flags)
{
	size_t end = min(r->bytes, (size_t)MULTIBOOT_SEARCH_BYTES);

	for (size_t at = 0; at + MULTIBOOT_HEADER_BYTES <= end; at += 4) {
		*flags = (u32)get(r, at + 4, 4);
		if (get(r, at, 4) == MULTIBOOT_MAGIC &&
			(u32)(MULTIBOOT_MAGIC + *flags + (u32)get(r, at + 8, 4)) == 0)
			return true;
	}
	return false;
}

/* ELF's entry point is virtual; a kernel may be linked elsewhere than where it is loaded. */
static u64 physical_entry(const struct reader *r, const struct header *h)
{
	for (u32 i = 0; i < h->phnum; i++) {
		struct phdr p = get_phdr(r, h, i);

		if (p.type == PT_LOAD && h->entry >= p.va && h->entry - p.va < p.memory_bytes)
			return h->entry - p.va + p.pa;
	}
	return h->entry;
}

static err_t read_protocol(
	struct reader *r, const struct header *h, struct elf_kernel *out, u64 *entry)
{
	u32 flags;

	if (find_pvh(r, h, entry)) {
		out->protocol = ELF_PVH;
	} else if (!h->is_64 && find_multiboot(r, &flags)) {
		out->protocol = ELF_MULTIBOOT;
		*entry = physical_entry(r, h);
		if (flags & MULTIBOOT_REQUIRED & ~(MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO))
			return refuse(r,
				"the kernel's Multiboot header asks for what no VM has (a video mode?): flags %#x",
				flags);
		if (flags & MULTIBOOT_ADDRESSES)
			return refuse(r,
				"the kernel's Multiboot header brings load addresses of its own; only ELF's are used");
	} else {
		return refuse(r, "the kernel is an ELF file with neither a PVH note nor %s",
			h->is_64 ? "(being of 64 bits) a use for a Multiboot header"
				 : "a Multiboot header in its first 8 KiB");
	}
	return 0;
}

err_t elf_kernel_read(
	const void *file, size_t bytes, struct elf_kernel *out, char *why, size_t why_bytes)
{
	struct reader r = {.file = file, .bytes = bytes, .why = why, .why_bytes = why_bytes};
	struct header h = {0};
	u64 entry = 0;
	err_t err;

	memset(out, 0, sizeof(*out));
	err = read_header(&r, &h);
	if (!err)
		err = read_protocol(&r, &h, out, &entry);
	if (!err)
		err = read_segments(&r, &h, out);
	if (!err && !is_loaded(out, entry))
		return refuse(&r, "the kernel's entry point %#llx is not among what it loads",
			(unsigned long long)entry);
	out->entry = (u32)entry;
	return err;
}
