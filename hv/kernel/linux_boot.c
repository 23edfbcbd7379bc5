/*
 * Starting a bzImage by the 64-bit boot protocol. The file is checked once, in linux_boot_plan();
 * the header's fields are copied out of it there, so that what was checked is what is used.
 */
#include "hv/kernel/linux_boot.h"
#include "hv/kernel/boot_common.h"

/* Where things lie in the guest; all below 640 KiB but the kernel and the initrd. */
#define GDT_GPA         0x6000u
#define BOOT_PARAMS_GPA 0x7000u
#define PAGE_TABLES_GPA 0x8000u

/* The setup header, by offset in the file and in boot_params alike. */
enum {
	HDR_SETUP_SECTS = 0x1f1,
	HDR_JUMP_LENGTH = 0x201,
	HDR_SIGNATURE = 0x202,
	HDR_VERSION = 0x206,
	HDR_LOADER_TYPE = 0x210,
	HDR_LOADFLAGS = 0x211,
	HDR_RAMDISK = 0x218,
	HDR_RAMDISK_BYTES = 0x21c,
	HDR_HEAP_END = 0x224,
	HDR_CMDLINE = 0x228,
	HDR_INITRD_MAX = 0x22c,
	HDR_ALIGNMENT = 0x230,
	HDR_RELOCATABLE = 0x234,
	HDR_XLOADFLAGS = 0x236,
	HDR_CMDLINE_BYTES = 0x238,
	HDR_PREF_ADDRESS = 0x258,
	HDR_INIT_BYTES = 0x260,
	HDR_END = 0x268, /* of what version 2.12 has */
	PARAMS_RSDP = 0x070,
	PARAMS_EXT_RAMDISK = 0x0c0,
	PARAMS_EXT_RAMDISK_BYTES = 0x0c4,
	PARAMS_E820_COUNT = 0x1e8,
	PARAMS_E820 = 0x2d0,
	PARAMS_USED = 0x400, /* the E820 table ends before */
	PARAMS_BYTES = 0x1000,
};
_Static_assert(PARAMS_E820 + E820_ENTRIES_MAX * 20 <= PARAMS_USED, "all that is set fits");

#define SIGNATURE       0x53726448u /* "HdrS" */
#define VERSION_MIN     0x20cu
#define LOADER_UNKNOWN  0xffu
#define LOADED_HIGH     0x01u
#define XLF_KERNEL_64   0x01u
#define XLF_ABOVE_4G    0x02u
#define ENTRY_64_OFFSET 0x200u
#define TABLE_FLAGS     0x03u /* present, writable */
#define LARGE_FLAGS     0x83u
#define IDENTITY_GIBS   4u

static u32 get(const u8 *at, u32 offset, u32 bytes)
{
	u32 value = 0;

	memcpy(&value, at + offset, bytes);
	return value;
}

static u64 get64(const u8 *at, u32 offset)
{
	u64 value;

	memcpy(&value, at + offset, 8);
	return value;
}

/* Is this a kernel that we can start? Fills the fields about the file. */
static err_t check_kernel(
	const struct linux_boot_input *in, struct linux_boot_plan *out, char *why, size_t why_bytes)
{
	const u8 *file = in->kernel;
	u32 setup_sects, header_end;

	if (in->kernel_bytes < HDR_END || get(file, HDR_SIGNATURE, 4) != SIGNATURE) {
		fmt_snprintf(why, why_bytes,
			"the kernel file (%llu bytes) is no Linux bzImage: it has no \"HdrS\" signature",
			(unsigned long long)in->kernel_bytes);
		return E_INVAL;
	}
	if (get(file, HDR_VERSION, 2) < VERSION_MIN ||
		!(get(file, HDR_XLOADFLAGS, 2) & XLF_KERNEL_64)) {
		fmt_snprintf(why, why_bytes,
			"the kernel is no 64-bit Linux of version 3.8 or later: boot protocol %u.%02u, load flags %#x",
			get(file, HDR_VERSION + 1, 1), get(file, HDR_VERSION, 1),
			get(file, HDR_XLOADFLAGS, 2));
		return E_INVAL;
	}
	setup_sects = get(file, HDR_SETUP_SECTS, 1);
	out->kernel_file_offset = ((setup_sects ? setup_sects : 4) + 1) * 512u;
	header_end = HDR_SIGNATURE + get(file, HDR_JUMP_LENGTH, 1);
	out->setup_header_bytes =
		min(max(header_end, (u32)HDR_END), (u32)PARAMS_E820) - HDR_SETUP_SECTS;
	if (out->kernel_file_offset + ENTRY_64_OFFSET >= in->kernel_bytes ||
		HDR_SETUP_SECTS + out->setup_header_bytes > in->kernel_bytes) {
		fmt_snprintf(why, why_bytes,
			"the kernel file is cut off: %llu bytes, but its setup part alone says %llu",
			(unsigned long long)in->kernel_bytes,
			(unsigned long long)out->kernel_file_offset);
		return E_INVAL;
	}
	out->kernel_bytes = in->kernel_bytes - out->kernel_file_offset;
	return 0;
}

/* The kernel lies where it prefers to. It unpacks itself there, so all of init_size must be RAM. */
static err_t place_kernel(
	const struct linux_boot_input *in, struct linux_boot_plan *out, char *why, size_t why_bytes)
{
	const u8 *file = in->kernel;
	u64 need = max((u64)get(file, HDR_INIT_BYTES, 4), (u64)out->kernel_bytes);
	u64 ram_end = boot_low_ram_end(in->memory_bytes);

	out->kernel_gpa = get64(file, HDR_PREF_ADDRESS);
	if (out->kernel_gpa < BOOT_HIGH_RAM_BASE || out->kernel_gpa >= SPACE_LOW_END ||
		!IS_ALIGNED(out->kernel_gpa, PAGE_BYTES)) {
		fmt_snprintf(why, why_bytes,
			"the kernel wants to lie at %#llx, where no guest has RAM for it",
			(unsigned long long)out->kernel_gpa);
		return E_INVAL;
	}
	out->kernel_end = ALIGN_UP(out->kernel_gpa + need, PAGE_BYTES);
	out->entry = out->kernel_gpa + ENTRY_64_OFFSET;
	if (out->kernel_end > ram_end) {
		fmt_snprintf(why, why_bytes,
			"the kernel needs %llu MiB of memory to unpack itself; the VM has %llu MiB",
			boot_mib_needed(out->kernel_end), boot_mib_given(in->memory_bytes));
		return E_RANGE;
	}
	return 0;
}

/* As high as the kernel's limit and the RAM below 4 GiB let it. */
static err_t place_initrd(
	const struct linux_boot_input *in, struct linux_boot_plan *out, char *why, size_t why_bytes)
{
	u64 limit = (u64)get(in->kernel, HDR_INITRD_MAX, 4) + 1;
	u64 end = min(limit, boot_low_ram_end(in->memory_bytes));

	out->initrd_gpa = 0;
	if (in->initrd_bytes == 0)
		return 0;
	if (in->initrd_bytes > end ||
		ALIGN_DOWN(end - in->initrd_bytes, PAGE_BYTES) < out->kernel_end) {
		fmt_snprintf(why, why_bytes,
			"the initrd (%llu MiB) does not fit: of the VM's %llu MiB the kernel takes the first %llu",
			boot_mib_needed(in->initrd_bytes), boot_mib_given(in->memory_bytes),
			boot_mib_needed(out->kernel_end));
		return E_RANGE;
	}
	out->initrd_gpa = ALIGN_DOWN(end - in->initrd_bytes, PAGE_BYTES);
	return 0;
}

static err_t check_cmdline(
	const struct linux_boot_input *in, struct linux_boot_plan *out, char *why, size_t why_bytes)
{
	size_t most =
		min((size_t)get(in->kernel, HDR_CMDLINE_BYTES, 4), (size_t)BOOT_CMDLINE_BYTES - 1);

	out->cmdline_bytes = strlen(in->cmdline);
	if (out->cmdline_bytes <= most)
		return 0;
	fmt_snprintf(why, why_bytes, "the command line has %llu characters; this kernel takes %llu",
		(unsigned long long)out->cmdline_bytes, (unsigned long long)most);
	return E_RANGE;
}

err_t linux_boot_plan(
	const struct linux_boot_input *in, struct linux_boot_plan *out, char *why, size_t why_bytes)
{
	err_t err =
		boot_check_memory(in->memory_bytes, in->acpi_gpa, in->acpi_bytes, why, why_bytes);

	memset(out, 0, sizeof(*out));
	if (!err)
		err = check_kernel(in, out, why, why_bytes);
	if (!err)
		err = place_kernel(in, out, why, why_bytes);
	if (!err)
		err = place_initrd(in, out, why, why_bytes);
	if (!err)
		err = check_cmdline(in, out, why, why_bytes);
	if (!err)
		out->e820_count =
			e820_fill(out->e820, in->memory_bytes, in->acpi_gpa, in->acpi_bytes);
	return err;
}

static void fill_boot_params(
	const struct linux_boot_input *in, const struct linux_boot_plan *plan, u8 *params)
{
	memset(params, 0, PARAMS_USED);
	memcpy(params + HDR_SETUP_SECTS, (const u8 *)in->kernel + HDR_SETUP_SECTS,
		plan->setup_header_bytes);
	boot_put_field(params, HDR_LOADER_TYPE, LOADER_UNKNOWN, 1);
	boot_put_field(params, HDR_LOADFLAGS, get(params, HDR_LOADFLAGS, 1) | LOADED_HIGH, 1);
	boot_put_field(params, HDR_CMDLINE, BOOT_CMDLINE_GPA, 4);
	boot_put_field(params, HDR_RAMDISK, plan->initrd_gpa, 4);
	boot_put_field(params, HDR_RAMDISK_BYTES, in->initrd_bytes, 4);
	boot_put_field(params, PARAMS_EXT_RAMDISK, plan->initrd_gpa >> 32, 4);
	boot_put_field(params, PARAMS_EXT_RAMDISK_BYTES, (u64)in->initrd_bytes >> 32, 4);
	boot_put_field(params, PARAMS_RSDP, in->acpi_gpa, 8);
	boot_put_field(params, PARAMS_E820_COUNT, plan->e820_count, 1);
	for (u32 i = 0; i < plan->e820_count; i++) {
		boot_put_field(params, PARAMS_E820 + i * 20, plan->e820[i].base, 8);
		boot_put_field(params, PARAMS_E820 + i * 20 + 8, plan->e820[i].bytes, 8);
		boot_put_field(params, PARAMS_E820 + i * 20 + 16, plan->e820[i].type, 4);
	}
}

#define CHUNK_ENTRIES 64u

/*
 * Page table entries @first + i * @step, for i below @count; the rest of the page zero. In chunks,
 * for a hypervisor stack is small.
 */
static err_t write_table(
	boot_write_fn write, void *context, u64 gpa, u64 first, u64 step, u32 count)
{
	u64 chunk[CHUNK_ENTRIES];
	err_t err = 0;

	for (u32 at = 0; at < 512 && !err; at += CHUNK_ENTRIES) {
		for (u32 i = 0; i < CHUNK_ENTRIES; i++)
			chunk[i] = at + i < count ? first + (at + i) * step : 0;
		err = write(context, GPA(gpa + at * 8), chunk, sizeof(chunk));
	}
	return err;
}

/* One table of level 4, one of level 3, four of 2 MiB pages: the first 4 GiB at va = pa. */
static err_t write_page_tables(boot_write_fn write, void *context)
{
	u64 next = PAGE_TABLES_GPA + PAGE_BYTES;
	err_t err = write_table(write, context, PAGE_TABLES_GPA, next | TABLE_FLAGS, 0, 1);

	if (!err)
		err = write_table(write, context, next, (next + PAGE_BYTES) | TABLE_FLAGS,
			PAGE_BYTES, IDENTITY_GIBS);
	for (u32 i = 0; i < IDENTITY_GIBS && !err; i++)
		err = write_table(write, context, next + (1 + i) * PAGE_BYTES,
			GIB(1) * i | LARGE_FLAGS, REGION_BYTES, 512);
	return err;
}

/* __BOOT_CS (10H) is 64-bit code, __BOOT_DS (18H) flat data, as the protocol asks. */
static const u64 gdt[4] = {0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull};

static err_t write_boot_params(const struct linux_boot_input *in,
	const struct linux_boot_plan *plan, boot_write_fn write, void *context)
{
	u8 params[PARAMS_USED];
	err_t err;

	fill_boot_params(in, plan, params);
	err = write(context, GPA(BOOT_PARAMS_GPA), params, sizeof(params));
	memset(params, 0, sizeof(params));
	for (u32 at = PARAMS_USED; at < PARAMS_BYTES && !err; at += PARAMS_USED)
		err = write(context, GPA(BOOT_PARAMS_GPA + at), params, sizeof(params));
	return err;
}

err_t linux_boot_load(const struct linux_boot_input *in, const struct linux_boot_plan *plan,
	boot_write_fn write, void *context)
{
	err_t err = write(context, GPA(GDT_GPA), gdt, sizeof(gdt));

	if (!err)
		err = write_boot_params(in, plan, write, context);
	if (!err)
		err = write_page_tables(write, context);
	if (!err)
		err = write(context, GPA(BOOT_CMDLINE_GPA), in->cmdline, plan->cmdline_bytes + 1);
	if (!err && in->acpi_bytes)
		err = write(context, GPA(in->acpi_gpa), in->acpi, in->acpi_bytes);
	if (!err)
		err = write(context, GPA(plan->kernel_gpa),
			(const u8 *)in->kernel + plan->kernel_file_offset, plan->kernel_bytes);
	if (!err && in->initrd_bytes)
		err = write(context, GPA(plan->initrd_gpa), in->initrd, in->initrd_bytes);
	return err;
}

#define SEGMENT_CODE_64 0xa09bu /* access rights: L, P, S, code, accessed; G */

void linux_boot_registers(const struct linux_boot_plan *plan, struct virt_sregs *sregs,
	u64 gpr[GPR_COUNT], u64 *rip, u64 *rflags)
{
	struct virt_segment data = {0x18, 0xffffffff, BOOT_SEGMENT_DATA, 0};

	memset(sregs, 0, sizeof(*sregs));
	sregs->cr0 = 0x80000033; /* PG, NE, ET, MP, PE */
	sregs->cr3 = PAGE_TABLES_GPA;
	sregs->cr4 = 0x20;   /* PAE */
	sregs->efer = 0x500; /* LMA, LME */
	for (u32 i = 0; i < SEG_COUNT; i++)
		sregs->seg[i] = data;
	sregs->seg[SEG_CS] = (struct virt_segment){0x10, 0xffffffff, SEGMENT_CODE_64, 0};
	sregs->tr = (struct virt_segment){0, 0xffff, BOOT_SEGMENT_TSS_BUSY, 0};
	sregs->ldtr = (struct virt_segment){0, 0, BOOT_SEGMENT_UNUSABLE, 0};
	sregs->gdtr_base = GDT_GPA;
	sregs->gdtr_limit = sizeof(gdt) - 1;
	sregs->idtr_limit = 0;
	memset(gpr, 0, GPR_COUNT * sizeof(gpr[0]));
	gpr[GPR_RSI] = BOOT_PARAMS_GPA;
	*rip = plan->entry;
	*rflags = 2;
}
