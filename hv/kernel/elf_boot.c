/*
 * Starting an ELF kernel: one plan for both protocols; they differ in the form of the three tables
 * that tell the kernel what it was given.
 */
#include "hv/kernel/elf_boot.h"
#include "hv/kernel/boot_common.h"

#define INFO_GPA    0x6000u
#define MODULES_GPA 0x7000u
#define MAP_GPA     0x8000u
#define WORDS_GPA   0x30000u

/* PVH: struct hvm_start_info and what it points to, by offset. */
enum {
	PVH_MAGIC = 0,
	PVH_VERSION = 4,
	PVH_MODULE_COUNT = 12,
	PVH_MODULES = 16,
	PVH_CMDLINE = 24,
	PVH_RSDP = 32,
	PVH_MAP = 40,
	PVH_MAP_COUNT = 48,
	PVH_BYTES = 56,
	PVH_MODULE_BYTES = 32, /* address, bytes, words' address, reserved: 8 each */
	PVH_MAP_BYTES = 24,    /* base, bytes: 8 each; type, reserved: 4 each */
};
#define PVH_START_MAGIC 0x336ec578u

/* Multiboot: the information structure, by offset; numbers of 4 bytes. */
enum {
	MB_FLAGS = 0,
	MB_MEM_LOWER_KIB = 4,
	MB_MEM_UPPER_KIB = 8,
	MB_CMDLINE = 16,
	MB_MODULE_COUNT = 20,
	MB_MODULES = 24,
	MB_MAP_BYTES = 44,
	MB_MAP = 48,
	MB_BYTES = 116,
	MB_MODULE_ENTRY = 16, /* start, end, words' address, reserved */
	MB_MAP_ENTRY = 24,    /* bytes that follow (20), base: 8, bytes: 8, type */
};
#define MB_HAS_MEMORY   0x01u
#define MB_HAS_CMDLINE  0x04u
#define MB_HAS_MODULES  0x08u
#define MB_HAS_MAP      0x40u
#define MB_LOADER_MAGIC 0x2badb002u
#define ENTRY_BYTES_MAX 32u
_Static_assert(ENTRY_BYTES_MAX >= PVH_MODULE_BYTES && ENTRY_BYTES_MAX >= MB_MAP_ENTRY, "one fits");

static u64 ram_end(const struct elf_boot_input *in)
{
	return ALIGN_DOWN(boot_low_ram_end(in->memory_bytes), PAGE_BYTES);
}

/* Where module @index has its words: each its own slot. */
static u64 words_gpa(u32 index)
{
	return WORDS_GPA + (u64)index * ELF_BOOT_WORDS_BYTES;
}

/* One after the other, in their order, each on a page of its own, up to the end of RAM. */
static err_t place_modules(
	const struct elf_boot_input *in, struct elf_boot_plan *out, char *why, size_t why_bytes)
{
	u64 end = ram_end(in), room = end - out->kernel.end, sum = 0;

	for (u32 i = 0; i < in->module_count; i++) {
		u64 bytes = in->modules[i].bytes;

		sum += ALIGN_UP(min(bytes, (u64)GIB(4)), PAGE_BYTES);
		if (strnlen(in->modules[i].words, ELF_BOOT_WORDS_BYTES) == ELF_BOOT_WORDS_BYTES) {
			fmt_snprintf(why, why_bytes,
				"the words of module %u are longer than %u characters", i + 1,
				ELF_BOOT_WORDS_BYTES - 1);
			return E_RANGE;
		}
	}
	if (sum > room || ALIGN_DOWN(end - sum, PAGE_BYTES) < out->kernel.end) {
		fmt_snprintf(why, why_bytes,
			"the initrd and modules (%llu MiB) do not fit: of the VM's %llu MiB the kernel takes the first %llu",
			boot_mib_needed(sum), boot_mib_given(in->memory_bytes),
			boot_mib_needed(out->kernel.end));
		return E_RANGE;
	}
	for (u32 i = in->module_count; i-- > 0;) {
		end -= ALIGN_UP((u64)in->modules[i].bytes, PAGE_BYTES);
		out->module_gpa[i] = end;
	}
	return 0;
}

static err_t check_sizes(
	const struct elf_boot_input *in, struct elf_boot_plan *out, char *why, size_t why_bytes)
{
	if (in->module_count > ELF_BOOT_MODULES_MAX) {
		fmt_snprintf(why, why_bytes, "%u modules; a kernel takes %u", in->module_count,
			ELF_BOOT_MODULES_MAX);
		return E_RANGE;
	}
	out->cmdline_bytes = strlen(in->cmdline);
	if (out->cmdline_bytes >= BOOT_CMDLINE_BYTES) {
		fmt_snprintf(why, why_bytes,
			"the command line has %llu characters; there is room for %u",
			(unsigned long long)out->cmdline_bytes, BOOT_CMDLINE_BYTES - 1);
		return E_RANGE;
	}
	if (out->kernel.end > ram_end(in)) {
		fmt_snprintf(why, why_bytes,
			"the kernel needs %llu MiB of memory; the VM has %llu MiB",
			boot_mib_needed(out->kernel.end), boot_mib_given(in->memory_bytes));
		return E_RANGE;
	}
	return 0;
}

err_t elf_boot_plan(
	const struct elf_boot_input *in, struct elf_boot_plan *out, char *why, size_t why_bytes)
{
	err_t err =
		boot_check_memory(in->memory_bytes, in->acpi_gpa, in->acpi_bytes, why, why_bytes);

	memset(out, 0, sizeof(*out));
	if (!err)
		err = elf_kernel_read(in->kernel, in->kernel_bytes, &out->kernel, why, why_bytes);
	if (!err)
		err = check_sizes(in, out, why, why_bytes);
	if (!err)
		err = place_modules(in, out, why, why_bytes);
	if (!err)
		out->e820_count =
			e820_fill(out->e820, in->memory_bytes, in->acpi_gpa, in->acpi_bytes);
	return err;
}

/* --- The tables ------------------------------------------------------------------------------ */

static void pvh_info(const struct elf_boot_input *in, const struct elf_boot_plan *plan, u8 *info)
{
	boot_put_field(info, PVH_MAGIC, PVH_START_MAGIC, 4);
	boot_put_field(info, PVH_VERSION, 1, 4); /* 1: it has a memory map */
	boot_put_field(info, PVH_MODULE_COUNT, in->module_count, 4);
	boot_put_field(info, PVH_MODULES, in->module_count ? MODULES_GPA : 0, 8);
	boot_put_field(info, PVH_CMDLINE, BOOT_CMDLINE_GPA, 8);
	boot_put_field(info, PVH_RSDP, in->acpi_bytes ? in->acpi_gpa : 0, 8);
	boot_put_field(info, PVH_MAP, MAP_GPA, 8);
	boot_put_field(info, PVH_MAP_COUNT, plan->e820_count, 4);
}

static u32 pvh_module(
	const struct elf_boot_input *in, const struct elf_boot_plan *plan, u32 index, u8 *to)
{
	boot_put_field(to, 0, plan->module_gpa[index], 8);
	boot_put_field(to, 8, in->modules[index].bytes, 8);
	boot_put_field(to, 16, words_gpa(index), 8);
	return PVH_MODULE_BYTES;
}

static u32 pvh_map(const struct e820_entry *e, u8 *to)
{
	boot_put_field(to, 0, e->base, 8);
	boot_put_field(to, 8, e->bytes, 8);
	boot_put_field(to, 16, e->type, 4);
	return PVH_MAP_BYTES;
}

static void multiboot_info(
	const struct elf_boot_input *in, const struct elf_boot_plan *plan, u8 *info)
{
	boot_put_field(info, MB_FLAGS,
		MB_HAS_MEMORY | MB_HAS_CMDLINE | MB_HAS_MAP |
			(in->module_count ? MB_HAS_MODULES : 0),
		4);
	boot_put_field(info, MB_MEM_LOWER_KIB, plan->e820[0].bytes >> 10, 4);
	boot_put_field(info, MB_MEM_UPPER_KIB, (ram_end(in) - BOOT_HIGH_RAM_BASE) >> 10, 4);
	boot_put_field(info, MB_CMDLINE, BOOT_CMDLINE_GPA, 4);
	boot_put_field(info, MB_MODULE_COUNT, in->module_count, 4);
	boot_put_field(info, MB_MODULES, in->module_count ? MODULES_GPA : 0, 4);
	boot_put_field(info, MB_MAP_BYTES, plan->e820_count * MB_MAP_ENTRY, 4);
	boot_put_field(info, MB_MAP, MAP_GPA, 4);
}

static u32 multiboot_module(
	const struct elf_boot_input *in, const struct elf_boot_plan *plan, u32 index, u8 *to)
{
	boot_put_field(to, 0, plan->module_gpa[index], 4);
	boot_put_field(to, 4, plan->module_gpa[index] + in->modules[index].bytes, 4);
	boot_put_field(to, 8, words_gpa(index), 4);
	return MB_MODULE_ENTRY;
}

static u32 multiboot_map(const struct e820_entry *e, u8 *to)
{
	boot_put_field(to, 0, MB_MAP_ENTRY - 4, 4);
	boot_put_field(to, 4, e->base, 8);
	boot_put_field(to, 12, e->bytes, 8);
	boot_put_field(to, 20, e->type, 4);
	return MB_MAP_ENTRY;
}

static err_t write_tables(const struct elf_boot_input *in, const struct elf_boot_plan *plan,
	boot_write_fn write, void *context)
{
	bool pvh = plan->kernel.protocol == ELF_PVH;
	u8 info[MB_BYTES] = {0};
	u64 at = MODULES_GPA;
	err_t err;

	(pvh ? pvh_info : multiboot_info)(in, plan, info);
	err = write(context, GPA(INFO_GPA), info, pvh ? PVH_BYTES : MB_BYTES);
	for (u32 i = 0; i < in->module_count && !err; i++) {
		u8 entry[ENTRY_BYTES_MAX] = {0};
		u32 bytes = (pvh ? pvh_module : multiboot_module)(in, plan, i, entry);

		err = write(context, GPA(at), entry, bytes);
		at += bytes;
	}
	at = MAP_GPA;
	for (u32 i = 0; i < plan->e820_count && !err; i++) {
		u8 entry[ENTRY_BYTES_MAX] = {0};
		u32 bytes = (pvh ? pvh_map : multiboot_map)(&plan->e820[i], entry);

		err = write(context, GPA(at), entry, bytes);
		at += bytes;
	}
	return err;
}

static err_t write_segments(const struct elf_boot_input *in, const struct elf_boot_plan *plan,
	boot_write_fn write, void *context)
{
	err_t err = 0;

	for (u32 i = 0; i < plan->kernel.segment_count && !err; i++) {
		const struct elf_segment *s = &plan->kernel.segments[i];

		if (s->file_bytes)
			err = write(context, GPA(s->gpa), (const u8 *)in->kernel + s->offset,
				s->file_bytes);
	}
	return err;
}

static err_t write_modules(const struct elf_boot_input *in, const struct elf_boot_plan *plan,
	boot_write_fn write, void *context)
{
	err_t err = 0;

	for (u32 i = 0; i < in->module_count && !err; i++) {
		const struct elf_boot_module *m = &in->modules[i];

		err = write(context, GPA(words_gpa(i)), m->words, strlen(m->words) + 1);
		if (!err && m->bytes)
			err = write(context, GPA(plan->module_gpa[i]), m->data, m->bytes);
	}
	return err;
}

err_t elf_boot_load(const struct elf_boot_input *in, const struct elf_boot_plan *plan,
	boot_write_fn write, void *context)
{
	err_t err = write_tables(in, plan, write, context);

	if (!err)
		err = write(context, GPA(BOOT_CMDLINE_GPA), in->cmdline, plan->cmdline_bytes + 1);
	if (!err && in->acpi_bytes)
		err = write(context, GPA(in->acpi_gpa), in->acpi, in->acpi_bytes);
	if (!err)
		err = write_segments(in, plan, write, context);
	if (!err)
		err = write_modules(in, plan, write, context);
	return err;
}

#define SEGMENT_CODE_32 0xc09bu /* access rights: D, P, S, code, accessed; G */

/* Selectors mean nothing here: both protocols give no GDT, and the kernel brings its own. */
void elf_boot_registers(const struct elf_boot_plan *plan, struct virt_sregs *sregs,
	u64 gpr[GPR_COUNT], u64 *rip, u64 *rflags)
{
	memset(sregs, 0, sizeof(*sregs));
	sregs->cr0 = 0x11; /* ET, PE */
	for (u32 i = 0; i < SEG_COUNT; i++)
		sregs->seg[i] = (struct virt_segment){0x10, 0xffffffff, BOOT_SEGMENT_DATA, 0};
	sregs->seg[SEG_CS] = (struct virt_segment){0x08, 0xffffffff, SEGMENT_CODE_32, 0};
	sregs->tr = (struct virt_segment){0, 0x67, BOOT_SEGMENT_TSS_BUSY, 0};
	sregs->ldtr = (struct virt_segment){0, 0, BOOT_SEGMENT_UNUSABLE, 0};
	memset(gpr, 0, GPR_COUNT * sizeof(gpr[0]));
	gpr[GPR_RBX] = INFO_GPA;
	if (plan->kernel.protocol == ELF_MULTIBOOT)
		gpr[GPR_RAX] = MB_LOADER_MAGIC;
	*rip = plan->kernel.entry;
	*rflags = 2;
}
