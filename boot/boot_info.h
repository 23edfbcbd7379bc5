/*
 * The only contract between the loader and the hypervisor: one block of facts, gathered while the
 * firmware was there to ask, that the hypervisor can read when it is gone.
 *
 * How the hypervisor is entered (on the boot CPU, from boot/):
 *  - long mode, 4-level paging, interrupts off, boot services exited, direction flag clear;
 *  - RDI = virtual address, in the frame window, of struct boot_info;
 *  - RIP = e_entry of bellows.elf, whose segments lie at hv_image (physical, contiguous, aligned
 *    to 2 MiB) and are mapped at their link addresses from BOOT_IMAGE_VA on, writable and
 *    executable for now;
 *  - page tables made by the loader map: all memory-map entries below max_pa (at least 4 GiB) at
 *    BOOT_WINDOW_VA + pa, the same range at va = pa, and the image. The hypervisor replaces them
 *    with its own (W^X) first thing; they lie in BOOT_REGION_LOADER memory;
 *  - RSP is a loader stack good for 8 KiB; GDT is any with flat 64-bit code and data.
 * All pointers below are physical addresses (0 where there is none), and all that they name lies
 * in regions of kind BOOT_REGION_LOADER, _IMAGE or _FILES.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include <stdint.h>

#define BOOT_INFO_MAGIC   0x3153574f4c4c4542ull /* "BELLOWS1" */
#define BOOT_INFO_VERSION 1u

#define BOOT_WINDOW_VA 0xffff800000000000ull /* virtual = this + physical address */
#define BOOT_IMAGE_VA  0xffffffff80000000ull /* where bellows.elf is linked */

/* What a range of physical memory is; sorted by base, no overlaps, page aligned. */
enum boot_region_kind {
	BOOT_REGION_FREE = 1, /* RAM nobody uses any more (boot services' memory included) */
	BOOT_REGION_LOADER =
		2, /* boot_info, page tables, stack: free after the hypervisor left them */
	BOOT_REGION_IMAGE = 3, /* the hypervisor's segments */
	BOOT_REGION_FILES =
		4, /* configuration, kernels, initrds, the ELF file: kept for VM resets */
	BOOT_REGION_TRAMPOLINE = 5, /* below 1 MiB: for starting application processors */
	BOOT_REGION_RUNTIME = 6,    /* UEFI runtime services code and data */
	BOOT_REGION_ACPI = 7,       /* ACPI tables (reclaimable; kept) and NVS */
	BOOT_REGION_RESERVED = 8,   /* anything else: never touch */
	BOOT_REGION_MMIO = 9,
};

struct boot_region {
	uint64_t base; /* physical, bytes */
	uint64_t bytes;
	uint32_t kind;     /* enum boot_region_kind */
	uint32_t efi_type; /* EFI_MEMORY_TYPE of the first descriptor merged into it */
	uint64_t efi_attributes;
};

#define BOOT_CPU_BSP     1u /* the CPU that runs the loader */
#define BOOT_CPU_ENABLED 2u

struct boot_cpu {
	uint32_t apic_id; /* x2APIC id where above 254 */
	uint32_t flags;   /* BOOT_CPU_* */
};

enum boot_cpu_source {
	BOOT_CPUS_MADT = 1,
	BOOT_CPUS_MP_SERVICES = 2,
	BOOT_CPUS_BSP_ONLY = 3, /* neither was to be had */
};

#define BOOT_FILE_NAME_BYTES 128

/* A file of the partition that the loader was started from, or why it could not be read. */
struct boot_file {
	char name[BOOT_FILE_NAME_BYTES]; /* as the configuration wrote it, NUL-terminated ASCII */
	uint64_t base;                   /* physical, page aligned; 0 if it was not loaded */
	uint64_t bytes;
	uint64_t efi_status; /* 0 = loaded; else why not (EFI_NOT_FOUND, ...) */
};

enum boot_pixel_format {
	BOOT_PIXEL_NONE = 0, /* no framebuffer */
	BOOT_PIXEL_RGBX = 1, /* byte order in memory */
	BOOT_PIXEL_BGRX = 2,
};

struct boot_framebuffer {
	uint64_t base; /* physical */
	uint64_t bytes;
	uint32_t width, height; /* pixels */
	uint32_t stride;        /* pixels a line */
	uint32_t format;        /* enum boot_pixel_format */
};

/* Time stamps of the boot's phases, in TSC ticks; 0 where a phase was not reached. */
struct boot_times {
	uint64_t loader_start;
	uint64_t files_loaded;
	uint64_t firmware_left;
};

enum boot_seed_source {
	BOOT_SEED_NONE = 0,
	BOOT_SEED_RDSEED = 1,
	BOOT_SEED_RDRAND = 2,
	BOOT_SEED_FIRMWARE = 3, /* EFI_RNG_PROTOCOL */
};

struct boot_info {
	uint64_t magic;   /* BOOT_INFO_MAGIC */
	uint32_t version; /* BOOT_INFO_VERSION */
	uint32_t bytes;   /* sizeof(struct boot_info) */

	uint64_t regions; /* array of struct boot_region */
	uint32_t region_count;
	uint32_t cpu_count;
	uint64_t cpus;        /* array of struct boot_cpu */
	uint32_t cpu_source;  /* enum boot_cpu_source */
	uint32_t seed_source; /* enum boot_seed_source */
	uint8_t seed[32];

	uint64_t rsdp;             /* ACPI 2.0 RSDP, else 1.0, else 0 */
	uint64_t efi_system_table; /* for ResetSystem at power-off */
	uint64_t max_pa;           /* end of what the window maps */
	uint64_t hv_image;         /* physical base of the loaded segments */
	uint64_t hv_image_bytes;
	uint64_t trampoline; /* one page below 1 MiB, kind BOOT_REGION_TRAMPOLINE */
	uint64_t page_table; /* CR3 that the loader made: maps va = pa too */

	struct boot_file config; /* \bellows\bellows.conf */
	struct boot_file elf;    /* \bellows\bellows.elf, whole, for symbols in a panic */
	uint64_t files;          /* array of struct boot_file: each kernel and initrd once */
	uint32_t file_count;
	uint32_t reserved;

	struct boot_framebuffer framebuffer;
	struct boot_times times;
	char loader_version[64];
	char firmware_vendor[64]; /* ASCII */
};

#endif
