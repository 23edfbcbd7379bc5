/*
 * Questions to the CPU and the firmware whose answers go into boot_info as they are. None of them
 * can fail in a way that stops the boot: where there is no answer, boot_info says so.
 */
#include "boot/facts.h"
#include "boot/bootacpi.h"
#include "boot/firmware.h"
#include "mm/base/str.h"

enum {
	MSR_FEATURE_CONTROL = 0x3a,
	MSR_VMX_PROCBASED_CTLS = 0x482,
	MSR_VMX_PROCBASED_CTLS2 = 0x48b,
	MSR_VMX_EPT_VPID_CAP = 0x48c,
	MSR_VM_CR = 0xc0010114,
};
#define CR4_LA57 BIT(12)

struct cpuid {
	u32 a, b, c, d;
};

static struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* All zero where the CPU has no such leaf. */
static struct cpuid cpuid_if_there(u32 leaf, u32 subleaf)
{
	if (cpuid(leaf & 0x80000000, 0).a < leaf)
		return (struct cpuid){0};
	return cpuid(leaf, subleaf);
}

static u64 rdmsr(u32 msr)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (u64)high << 32 | low;
}

u64 facts_tsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

bool facts_has_gib_pages(void)
{
	return cpuid_if_there(0x80000001, 0).d & BIT(26);
}

bool facts_has_5_level_paging_on(void)
{
	u64 cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	return cr4 & CR4_LA57;
}

struct bootcpu_facts facts_cpu(void)
{
	struct cpuid leaf1 = cpuid(1, 0);
	struct bootcpu_facts f = {
		.hypervisor_present = leaf1.c & BIT(31),
		.vmx = leaf1.c & BIT(5),
		.svm = cpuid_if_there(0x80000001, 0).c & BIT(2),
	};

	if (f.vmx) {
		f.feature_control = rdmsr(MSR_FEATURE_CONTROL);
		f.proc_controls = rdmsr(MSR_VMX_PROCBASED_CTLS);
	}
	if (bootcpu_has_proc2(&f))
		f.proc2_controls = rdmsr(MSR_VMX_PROCBASED_CTLS2);
	if (bootcpu_has_ept(&f))
		f.ept_capabilities = rdmsr(MSR_VMX_EPT_VPID_CAP);
	if (f.svm) {
		f.vm_cr = rdmsr(MSR_VM_CR);
		f.svm_features = cpuid_if_there(0x8000000a, 0).d;
	}
	return f;
}

u64 facts_rsdp(void)
{
	static const EFI_GUID acpi2 = ACPI_20_TABLE_GUID;
	static const EFI_GUID acpi1 = ACPI_TABLE_GUID;
	u64 rsdp = firmware_config_table(&acpi2);

	return rsdp ? rsdp : firmware_config_table(&acpi1);
}

static u32 own_apic_id(void)
{
	/* Leaf 0xb has the full x2APIC id, where it is filled in at all. */
	struct cpuid topology = cpuid_if_there(0xb, 0);

	return topology.b ? topology.d : cpuid(1, 0).b >> 24;
}

/* The firmware maps all its memory at va = pa; what cannot be memory is refused. */
static const void *at_identity(const struct bootacpi_memory *memory, u64 pa, size_t bytes)
{
	(void)memory;
	if (pa == 0 || pa > BIT(46) || bytes > BIT(46))
		return NULL;
	return (const void *)pa;
}

/* EFI_MP_SERVICES_PROTOCOL (UEFI Platform Initialization, "MP Services Protocol"). */
struct mp_processor {
	u64 id; /* the APIC id */
	u32 status;
	u32 location[3];
	u32 location2[6];
};
#define MP_PROCESSOR_ENABLED BIT(1)
#define MP_PROCESSOR_HEALTHY BIT(2)

struct mp_services {
	EFI_STATUS(EFIAPI *get_count)(struct mp_services *mp, UINTN *count, UINTN *enabled_count);
	EFI_STATUS(EFIAPI *get_info)
	(struct mp_services *mp, UINTN number, struct mp_processor *processor);
};

static bool list_mp_services(struct bootacpi_cpus *list)
{
	static const EFI_GUID guid = {
		0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};
	struct mp_services *mp = firmware_protocol(&guid);
	UINTN count, enabled_count;

	if (!mp || EFI_ERROR(mp->get_count(mp, &count, &enabled_count)))
		return false;
	for (UINTN i = 0; i < count; i++) {
		const u32 good = MP_PROCESSOR_ENABLED | MP_PROCESSOR_HEALTHY;
		struct mp_processor p;

		if (!EFI_ERROR(mp->get_info(mp, i, &p)) && (p.status & good) == good)
			bootacpi_add_cpu(list, (u32)p.id, BOOT_CPU_ENABLED);
	}
	return list->count > 0;
}

u32 facts_cpus(u64 rsdp, struct boot_cpu *cpus, u32 room, u32 *source)
{
	const struct bootacpi_memory memory = {.at = at_identity};
	struct bootacpi_cpus list = {.cpus = cpus, .room = room};
	err_t err = rsdp ? bootacpi_list_cpus(&memory, rsdp, &list) : E_NOTFOUND;

	*source = BOOT_CPUS_MADT;
	if (err == E_CORRUPT)
		firmware_say("warning: the ACPI tables are damaged; asking the firmware for CPUs");
	if (err || list.count == 0) {
		list.count = 0;
		*source = list_mp_services(&list) ? BOOT_CPUS_MP_SERVICES : BOOT_CPUS_BSP_ONLY;
	}
	bootacpi_add_cpu(&list, own_apic_id(), BOOT_CPU_BSP | BOOT_CPU_ENABLED);
	if (list.dropped_count)
		firmware_say("warning: %u CPUs beyond the first %u are not used",
			list.dropped_count, room);
	return list.count;
}

void facts_framebuffer(struct boot_framebuffer *fb)
{
	static const EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = firmware_protocol(&guid);
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info;

	*fb = (struct boot_framebuffer){.format = BOOT_PIXEL_NONE};
	if (!gop || !gop->Mode || !gop->Mode->Info)
		return;
	info = gop->Mode->Info;
	if (info->PixelFormat == PixelRedGreenBlueReserved8BitPerColor)
		fb->format = BOOT_PIXEL_RGBX;
	else if (info->PixelFormat == PixelBlueGreenRedReserved8BitPerColor)
		fb->format = BOOT_PIXEL_BGRX;
	else
		return; /* cannot be drawn on without the firmware, or in a layout nobody uses */
	fb->base = gop->Mode->FrameBufferBase;
	fb->bytes = gop->Mode->FrameBufferSize;
	fb->width = info->HorizontalResolution;
	fb->height = info->VerticalResolution;
	fb->stride = info->PixelsPerScanLine;
}

/* Random words come with the carry flag set; without it there was none ready. */
static bool draw(bool rdseed, u64 *out)
{
	for (u32 i = 0; i < 1000; i++) {
		u8 ok;

		if (rdseed)
			__asm__ volatile("rdseed %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
		else
			__asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
		/* Some AMD parts return all ones, "successfully", after a resume. */
		if (ok && *out != 0 && *out != ~0ull)
			return true;
		__asm__ volatile("pause");
	}
	return false;
}

static bool draw_all(bool rdseed, u8 *seed, u32 bytes)
{
	u64 word, last = 0;

	for (u32 at = 0; at < bytes; at += sizeof(word)) {
		if (!draw(rdseed, &word) || word == last)
			return false;
		last = word;
		memcpy(seed + at, &word, min(sizeof(word), (size_t)(bytes - at)));
	}
	return true;
}

struct rng_protocol {
	void *get_info;
	EFI_STATUS(EFIAPI *get_rng)
	(struct rng_protocol *rng, const EFI_GUID *algorithm, UINTN bytes, u8 *out);
};

u32 facts_seed(u8 *seed, u32 bytes)
{
	static const EFI_GUID rng_guid = {
		0x3152bca5, 0xeade, 0x433d, {0x86, 0x2e, 0xc0, 0x1c, 0xdc, 0x29, 0x1f, 0x44}};
	struct rng_protocol *rng;

	if ((cpuid_if_there(7, 0).b & BIT(18)) && draw_all(true, seed, bytes))
		return BOOT_SEED_RDSEED;
	if ((cpuid(1, 0).c & BIT(30)) && draw_all(false, seed, bytes))
		return BOOT_SEED_RDRAND;
	rng = firmware_protocol(&rng_guid);
	if (rng && !EFI_ERROR(rng->get_rng(rng, NULL, bytes, seed)))
		return BOOT_SEED_FIRMWARE;
	memset(seed, 0, bytes);
	return BOOT_SEED_NONE;
}
