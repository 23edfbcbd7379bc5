/*
 * The loader: from firmware to hypervisor, straight down. Gather the facts of boot_info.h while
 * there is someone to ask, put the hypervisor where it wants to be, leave the firmware, jump.
 * Whatever makes going on pointless is said on the firmware's console, which is the screen and,
 * where the firmware redirects it, the serial line; then the loader returns, and the firmware
 * offers its set-up.
 */
#include "boot/boot_info.h"
#include "boot/bootconf.h"
#include "boot/bootcpu.h"
#include "boot/bootelf.h"
#include "boot/bootpt.h"
#include "boot/facts.h"
#include "boot/file.h"
#include "boot/firmware.h"
#include "boot/handover.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

#ifndef BELLOWS_VERSION
#define BELLOWS_VERSION "(unversioned build)"
#endif

#define CONFIG_PATH      "\\bellows\\bellows.conf"
#define ELF_PATH         "\\bellows\\bellows.elf"
#define CONFIG_BYTES_MAX MIB(1)
#define FILE_MAX         256
#define CPU_MAX          1024
#define STACK_BYTES      KIB(16)
#define TRAMPOLINE_BELOW 0xa0000ull /* above is the VGA hole */
#define GOODBYE_SECONDS  10

/* What is handed over, in one piece of BOOT_REGION_LOADER memory. */
struct parcel {
	struct boot_info info;
	struct handover handover;
	struct boot_file files[FILE_MAX];
	struct boot_cpu cpus[CPU_MAX];
	u8 stack[STACK_BYTES] __attribute__((aligned(16)));
};

static struct parcel *parcel;
static struct bootelf elf;

static EFI_STATUS give_up(EFI_STATUS status)
{
	firmware_free_all();
	firmware_say("Bellows was not started. Back to the firmware in %u s, or press a key.",
		GOODBYE_SECONDS);
	firmware_wait(GOODBYE_SECONDS);
	return status;
}

static void greet(void)
{
	char vendor[sizeof(parcel->info.firmware_vendor)] = "unknown";

	for (u32 i = 0; firmware_table->FirmwareVendor && i + 1 < sizeof(vendor); i++) {
		CHAR16 c = firmware_table->FirmwareVendor[i];

		vendor[i] = c < 0x80 ? (char)c : '?';
		vendor[i + 1] = '\0';
		if (!c)
			break;
	}
	firmware_say("Bellows loader " BELLOWS_VERSION ", firmware %s", vendor);
	memcpy(parcel->info.firmware_vendor, vendor, sizeof(vendor));
	fmt_snprintf(parcel->info.loader_version, sizeof(parcel->info.loader_version), "%s",
		BELLOWS_VERSION);
}

static bool cpu_will_do(void)
{
	struct bootcpu_facts facts = facts_cpu();
	struct bootcpu_verdict verdict = bootcpu_judge(&facts);

	if (verdict.problem) {
		firmware_say("Bellows cannot run here: %s.", verdict.problem);
		firmware_say("What to do: %s.", verdict.remedy);
		return false;
	}
	firmware_say("CPU: %s", verdict.uses);
	return true;
}

static EFI_STATUS load_config(void)
{
	struct boot_file *config = &parcel->info.config;

	memcpy(config->name, CONFIG_PATH, sizeof(CONFIG_PATH));
	file_load(CONFIG_PATH, config);
	if (config->efi_status) {
		firmware_say(
			"Put a configuration there, on the partition the loader is started from.");
		return config->efi_status;
	}
	if (config->bytes > CONFIG_BYTES_MAX) {
		firmware_say("%s is longer than 1 MiB: that is no configuration.", CONFIG_PATH);
		return EFI_LOAD_ERROR;
	}
	return EFI_SUCCESS;
}

static EFI_STATUS load_hypervisor(void)
{
	struct boot_info *info = &parcel->info;
	const char *problem;

	memcpy(info->elf.name, ELF_PATH, sizeof(ELF_PATH));
	file_load(ELF_PATH, &info->elf);
	if (info->elf.efi_status)
		return info->elf.efi_status;
	problem = bootelf_check((const void *)info->elf.base, info->elf.bytes, &elf);
	if (problem) {
		firmware_say("%s cannot be started: %s.", ELF_PATH, problem);
		return EFI_LOAD_ERROR;
	}
	info->hv_image_bytes = elf.image_bytes;
	info->hv_image =
		firmware_alloc(elf.image_bytes, REGION_BYTES, BOOTMAP_TOP, BOOT_REGION_IMAGE);
	if (!info->hv_image) {
		firmware_say("no %lu KiB of memory for the hypervisor", elf.image_bytes >> 10);
		return EFI_OUT_OF_RESOURCES;
	}
	bootelf_place((const void *)info->elf.base, (void *)info->hv_image, elf.image_bytes);
	return EFI_SUCCESS;
}

/* Two spellings of one file share its memory. */
static void load_once(const struct bootconf_files *list, u32 i)
{
	struct boot_file *file = &parcel->files[i];

	memcpy(file->name, list->files[i].name, sizeof(file->name));
	for (u32 j = 0; j < i; j++) {
		if (!bootconf_same_path(list->files[j].path, list->files[i].path))
			continue;
		file->base = parcel->files[j].base;
		file->bytes = parcel->files[j].bytes;
		file->efi_status = parcel->files[j].efi_status;
		return;
	}
	file_load(list->files[i].path, file);
}

/* A file that is missing stops no more than the VMs that name it: the hypervisor will say so. */
static void load_guest_files(void)
{
	static struct bootconf_file found[FILE_MAX];
	struct bootconf_files list = {.files = found, .room = FILE_MAX};

	bootconf_list((const char *)parcel->info.config.base, parcel->info.config.bytes, &list);
	if (list.refused_count)
		firmware_say("warning: %s:%u: a file name is at most %u printable ASCII characters",
			CONFIG_PATH, list.refused_line, BOOT_FILE_NAME_BYTES - 1);
	if (list.dropped_count)
		firmware_say("warning: %u files beyond the first %u are not loaded",
			list.dropped_count, FILE_MAX);
	for (u32 i = 0; i < list.count; i++)
		load_once(&list, i);
	parcel->info.files = (u64)parcel->files;
	parcel->info.file_count = list.count;
}

static EFI_STATUS gather_facts(void)
{
	struct boot_info *info = &parcel->info;

	info->rsdp = facts_rsdp();
	info->efi_system_table = (u64)firmware_table;
	info->cpus = (u64)parcel->cpus;
	info->cpu_count = facts_cpus(info->rsdp, parcel->cpus, CPU_MAX, &info->cpu_source);
	facts_framebuffer(&info->framebuffer);
	info->seed_source = facts_seed(info->seed, sizeof(info->seed));
	if (info->seed_source == BOOT_SEED_NONE)
		firmware_say("warning: no source of random numbers; VMs will share no memory");
	info->trampoline =
		firmware_alloc(PAGE_BYTES, PAGE_BYTES, TRAMPOLINE_BELOW, BOOT_REGION_TRAMPOLINE);
	if (!info->trampoline) {
		firmware_say("no free page below 1 MiB to start the other CPUs from");
		return EFI_OUT_OF_RESOURCES;
	}
	return EFI_SUCCESS;
}

/* Tables for the memory there is; what was allocated meanwhile changes kinds, not extent. */
static err_t build_tables(u64 *ram_bytes)
{
	struct boot_info *info = &parcel->info;
	struct boot_region *regions;
	struct bootpt_map map;
	struct bootpt pt = {.gib_pages = facts_has_gib_pages()};
	u32 count;
	err_t err = firmware_regions(&regions, &count);

	if (err)
		return err;
	*ram_bytes = 0;
	for (u32 i = 0; i < count; i++)
		*ram_bytes += regions[i].kind == BOOT_REGION_FREE ? regions[i].bytes : 0;
	info->max_pa = bootmap_max_pa(regions, count);
	map = (struct bootpt_map){
		regions, count, info->max_pa, info->hv_image, info->hv_image_bytes};
	pt.pool_pages = (u32)bootpt_pages(&map);
	pt.pool_pa =
		firmware_alloc(pt.pool_pages * PAGE_BYTES, PAGE_BYTES, GIB(4), BOOT_REGION_LOADER);
	if (!pt.pool_pa)
		return E_NOMEM;
	pt.pool = (u64 *)pt.pool_pa;
	return bootpt_build(&pt, &map, &info->page_table);
}

/* The hypervisor expects four levels. The trampoline page lends itself to the change: it is low. */
static err_t prepare_level5(struct handover *h)
{
	u64 *top = (u64 *)firmware_alloc(PAGE_BYTES, PAGE_BYTES, GIB(4), BOOT_REGION_LOADER);

	if (!top)
		return E_NOMEM;
	top[0] = h->cr3 | 3; /* present, writable */
	h->cr3_level5 = (u64)top;
	h->low = parcel->info.trampoline;
	h->resume = (u64)handover_resume;
	memcpy((void *)h->low, handover_low, handover_low_end - handover_low);
	return E_OK;
}

static err_t prepare_handover(void)
{
	struct handover *h = &parcel->handover;

	h->gdt[1] = 0x00af9a000000ffffull; /* 64-bit code */
	h->gdt[2] = 0x00cf92000000ffffull; /* data */
	h->gdt[3] = 0x00cf9a000000ffffull; /* 32-bit code */
	h->gdtr.limit = sizeof(h->gdt) - 1;
	memcpy(h->gdtr.base, &(u64){(u64)h->gdt}, sizeof(u64));
	h->cr3 = parcel->info.page_table;
	h->stack = (u64)(parcel->stack + STACK_BYTES);
	h->entry = elf.entry;
	h->info = BOOT_WINDOW_VA + (u64)&parcel->info;
	return facts_has_5_level_paging_on() ? prepare_level5(h) : E_OK;
}

static EFI_STATUS leave_and_jump(void)
{
	struct boot_info *info = &parcel->info;
	struct boot_region *regions;
	u64 ram_bytes;
	err_t err = build_tables(&ram_bytes);

	if (!err)
		err = prepare_handover();
	if (err) {
		firmware_say("no page tables for the hypervisor: %s", err_name(err));
		return EFI_OUT_OF_RESOURCES;
	}
	firmware_say("%u CPUs, %lu MiB free; starting the hypervisor (%lu KiB)", info->cpu_count,
		ram_bytes >> 20, info->hv_image_bytes >> 10);
	err = firmware_leave(&regions, &info->region_count);
	if (err) {
		firmware_say("the firmware does not let go: %s", err_name(err));
		return EFI_DEVICE_ERROR;
	}
	info->regions = (u64)regions;
	info->times.firmware_left = facts_tsc();
	handover_jump(&parcel->handover);
}

static EFI_STATUS boot(void)
{
	EFI_STATUS status;

	if (!cpu_will_do())
		return EFI_UNSUPPORTED;
	status = file_open_partition();
	if (EFI_ERROR(status)) {
		firmware_say("cannot read the partition the loader is started from: %s",
			file_status_name(status));
		return status;
	}
	status = load_config();
	if (!EFI_ERROR(status))
		status = load_hypervisor();
	if (EFI_ERROR(status))
		return status;
	load_guest_files();
	parcel->info.times.files_loaded = facts_tsc();
	status = gather_facts();
	return EFI_ERROR(status) ? status : leave_and_jump();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	u64 start = facts_tsc();

	firmware_init(image, table);
	parcel = (struct parcel *)firmware_alloc(
		sizeof(*parcel), PAGE_BYTES, GIB(4), BOOT_REGION_LOADER);
	if (!parcel)
		return EFI_OUT_OF_RESOURCES;
	parcel->info.magic = BOOT_INFO_MAGIC;
	parcel->info.version = BOOT_INFO_VERSION;
	parcel->info.bytes = sizeof(parcel->info);
	parcel->info.times.loader_start = start;
	greet();
	return give_up(boot());
}
