/*
 * The devices of one VM as one object: where each lives, who tells whom of interrupts, and the
 * clock they see. Device time and guest TSC are as last told by a caller; nothing here reads a
 * clock.
 */
#include "hv/vdev/vdev.h"
#include "hv/vdev/acpi.h"
#include "hv/vdev/cpuid.h"
#include "hv/vdev/ioapic.h"
#include "hv/vdev/lapic.h"
#include "hv/vdev/msr.h"
#include "hv/vdev/pm.h"
#include "hv/vdev/rtc.h"
#include "hv/vdev/uart16550.h"
#include "hv/vdev/virtio_mmio.h"
#include "mm/base/str.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"

#define TSC_KHZ_MAX 10000000u /* bound of the timer's arithmetic */

/* What each vCPU has. */
struct vdev_cpu {
	struct platform_msrs msrs;
};

struct vdev {
	struct vdev_config config; /* [I] */
	u64 frame_count;           /* [I] frames that this struct and its arrays lie in */
	struct lapic_set lapics;   /* .all points behind this struct */
	struct vdev_cpu *cpus;
	struct ioapic ioapic;
	struct uart16550 uart;
	struct rtc rtc;
	struct pm pm;
	struct cpuid_policy cpuid;
};

static void on_level_eoi(void *context, u8 vector)
{
	struct vdev *v = context;

	ioapic_eoi(&v->ioapic, &v->lapics, vector);
}

static void on_kick(void *context, u32 index)
{
	struct vdev *v = context;

	v->config.host.kick(v->config.host.context, index);
}

static void on_uart_out(void *context, u8 byte)
{
	struct vdev *v = context;

	v->config.host.serial_out(v->config.host.context, byte);
}

static void on_uart_line(void *context, bool level)
{
	vdev_gsi(context, UART_IRQ, level);
}

static void on_rtc_line(void *context, bool level)
{
	vdev_gsi(context, RTC_IRQ, level);
}

static void on_disk_line(void *context, bool level)
{
	vdev_gsi(context, VDEV_VIRTIO_GSI, level);
}

err_t vdev_create(struct vdev **out, const struct vdev_config *config)
{
	u32 count = config->vcpu_count;
	size_t bytes =
		sizeof(struct vdev) + count * (sizeof(struct lapic) + sizeof(struct vdev_cpu));
	u64 frame_count = ALIGN_UP(bytes, PAGE_BYTES) / PAGE_BYTES;
	struct cpuid_host host;
	struct vdev *v;
	pfn_t first;

	if (count == 0 || count > CPUID_MAX_VCPU_COUNT || config->tsc_khz == 0 ||
		config->tsc_khz > TSC_KHZ_MAX)
		return E_INVAL;
	first = frame_alloc_run(FRAME_HV, frame_count);
	if (pfn_is_none(first))
		return E_NOMEM;
	v = platform_frame_va(first);
	v->config = *config;
	v->frame_count = frame_count;
	v->lapics = (struct lapic_set){
		.all = (struct lapic *)(v + 1),
		.count = count,
		.tsc_khz = config->tsc_khz,
		.context = v,
		.kick = on_kick,
		.level_eoi = on_level_eoi,
	};
	v->cpus = (struct vdev_cpu *)(v->lapics.all + count);
	v->uart.context = v->rtc.context = v;
	v->uart.out = on_uart_out;
	v->uart.line = on_uart_line;
	v->rtc.line = on_rtc_line;
	if (config->disk) {
		config->disk->line = on_disk_line;
		config->disk->line_context = v;
	}
	rtc_init(&v->rtc, config->boot_epoch_s);
	cpuid_host_get(&host);
	cpuid_policy_init(&v->cpuid, &host, count, config->tsc_khz);
	vdev_reset(v, 0);
	*out = v;
	return 0;
}

void vdev_destroy(struct vdev *v)
{
	frame_free_run(platform_va_frame(v), v->frame_count);
}

void vdev_reset(struct vdev *v, u64 now_ns)
{
	v->lapics.now_ns = now_ns;
	v->lapics.now_tsc = 0;
	lapic_reset(&v->lapics);
	ioapic_reset(&v->ioapic);
	uart16550_reset(&v->uart);
	rtc_reset(&v->rtc, now_ns);
	pm_reset(&v->pm);
	if (v->config.disk)
		virtio_mmio_reset(v->config.disk);
	for (u32 i = 0; i < v->lapics.count; i++)
		platform_msrs_reset(&v->cpus[i].msrs);
}

static bool in_page(gpa_t gpa, u64 page)
{
	return (gpa.v & ~(PAGE_BYTES - 1)) == page;
}

bool vdev_is_mmio(const struct vdev *v, gpa_t gpa)
{
	return in_page(gpa, VDEV_LAPIC_GPA) || in_page(gpa, VDEV_IOAPIC_GPA) ||
	       (v->config.disk && in_page(gpa, VDEV_VIRTIO_GPA));
}

/* What is left of the register file for an access of so many bytes. */
static u64 mask_to(u64 value, u32 bytes)
{
	return bytes < 8 ? value & ((1ull << (8 * bytes)) - 1) : value;
}

err_t vdev_mmio(struct vdev *v, u32 index, u64 now_ns, gpa_t gpa, u32 bytes, bool write, u64 *value)
{
	u32 offset = gpa.v & (PAGE_BYTES - 1);
	err_t err = E_RANGE;

	v->lapics.now_ns = now_ns;
	if (in_page(gpa, VDEV_LAPIC_GPA)) {
		err = lapic_mmio(&v->lapics, index, offset, bytes, write, value);
	} else if (in_page(gpa, VDEV_IOAPIC_GPA)) {
		ioapic_mmio(&v->ioapic, &v->lapics, offset, bytes, write, value);
		err = 0;
	} else if (v->config.disk && in_page(gpa, VDEV_VIRTIO_GPA)) {
		err = virtio_mmio_access(v->config.disk, offset, bytes, write, value);
	}
	if (!write)
		*value = mask_to(err ? ~0ull : *value, bytes);
	return err;
}

/* Devices with byte registers: a wider access is one of each byte in turn. False: none is there. */
static bool byte_port(struct vdev *v, u64 now_ns, u16 port, bool write, u8 *value)
{
	u32 offset;

	if (port >= UART_PORT && port < UART_PORT + 8) {
		offset = port - UART_PORT;
		if (write)
			uart16550_write(&v->uart, offset, *value);
		else
			*value = uart16550_read(&v->uart, offset);
		return true;
	}
	if (port == RTC_PORT || port == RTC_PORT + 1) {
		offset = port - RTC_PORT;
		if (write)
			rtc_write(&v->rtc, now_ns, offset, *value);
		else
			*value = rtc_read(&v->rtc, now_ns, offset);
		return true;
	}
	return false;
}

static bool pm_port(struct vdev *v, u64 now_ns, u16 port, u32 bytes, bool write, u32 *value)
{
	enum pm_answer answer = write ? pm_write(&v->pm, port, bytes, *value)
				      : pm_read(&v->pm, now_ns, port, bytes, value);

	if (answer == PM_POWER_OFF || answer == PM_RESET_ALL)
		v->config.host.end(v->config.host.context,
			answer == PM_POWER_OFF ? VDEV_POWER_OFF : VDEV_RESET);
	return answer != PM_NOT_MINE;
}

void vdev_io(struct vdev *v, u32 index, u64 now_ns, u16 port, u32 bytes, bool write, u32 *value)
{
	u32 result = ~0u;

	(void)index;
	v->lapics.now_ns = now_ns;
	if (!write)
		*value = 0;
	if (pm_port(v, now_ns, port, bytes, write, value)) {
		*value = (u32)mask_to(*value, bytes);
		return;
	}
	for (u32 i = 0; i < bytes; i++) {
		u8 byte = write ? (u8)(*value >> (8 * i)) : 0xff;

		byte_port(v, now_ns, (u16)(port + i), write, &byte);
		result = (result & ~(0xffu << (8 * i))) | (u32)byte << (8 * i);
	}
	if (!write)
		*value = (u32)mask_to(result, bytes);
}

err_t vdev_msr_read(struct vdev *v, u32 index, u64 now_tsc_guest, u32 msr, u64 *value)
{
	err_t err;

	v->lapics.now_tsc = now_tsc_guest;
	err = lapic_msr_read(&v->lapics, index, msr, value);
	if (err != E_NOTFOUND)
		return err;
	return platform_msr_read(&v->cpus[index].msrs, &v->cpuid, msr, value);
}

err_t vdev_msr_write(struct vdev *v, u32 index, u64 now_tsc_guest, u32 msr, u64 value)
{
	err_t err;

	v->lapics.now_tsc = now_tsc_guest;
	err = lapic_msr_write(&v->lapics, index, msr, value);
	if (err != E_NOTFOUND)
		return err;
	return platform_msr_write(&v->cpus[index].msrs, &v->cpuid, msr, value);
}

void vdev_cpuid(struct vdev *v, u32 index, u64 cr4, u64 xcr0, u32 leaf, u32 subleaf, u32 out[4])
{
	struct cpuid_state state = {
		.apic_id = index,
		.cr4 = cr4,
		.xcr0 = xcr0,
		.apic_enabled = v->lapics.all[index].base & APIC_BASE_ENABLE,
	};

	cpuid_answer(&v->cpuid, &state, leaf, subleaf, out);
}

int vdev_interrupt_peek(struct vdev *v, u32 index, u8 *blocked_class)
{
	return lapic_peek(&v->lapics, index, blocked_class);
}

void vdev_interrupt_take(struct vdev *v, u32 index, u8 vector)
{
	lapic_take(&v->lapics, index, vector);
}

bool vdev_nmi_take(struct vdev *v, u32 index)
{
	bool pending = v->lapics.all[index].nmi_pending;

	v->lapics.all[index].nmi_pending = false;
	return pending;
}

bool vdev_device_may_wake(const struct vdev *v)
{
	return ioapic_may_wake(&v->ioapic);
}

u32 vdev_send_ipi(struct vdev *v, u64 ids, u64 first, bool nmi, u8 vector)
{
	return lapic_send_each(&v->lapics, ids, first, nmi ? DELIVER_NMI : DELIVER_FIXED, vector);
}

u8 vdev_tpr_get(struct vdev *v, u32 index)
{
	return (u8)(v->lapics.all[index].tpr >> 4);
}

void vdev_tpr_set(struct vdev *v, u32 index, u8 class)
{
	u32 *tpr = &v->lapics.all[index].tpr;

	/* CR8 has no sub-class: keep the one that TPR has unless the class changes. */
	if (*tpr >> 4 != (class & 15u))
		*tpr = (u32)(class & 15u) << 4;
}

bool vdev_start_is_pending(const struct vdev *v, u32 index)
{
	const struct lapic *l = &v->lapics.all[index];

	return l->init_pending || l->sipi_pending;
}

enum vdev_start vdev_start_take(struct vdev *v, u32 index, u8 *sipi_vector)
{
	struct lapic *l = &v->lapics.all[index];

	if (l->init_pending) {
		struct lapic before = *l;

		lapic_init_one(&v->lapics, index);
		l->wait_for_sipi = before.wait_for_sipi;
		l->sipi_pending = before.sipi_pending;
		l->sipi_vector = before.sipi_vector;
		platform_msrs_reset(&v->cpus[index].msrs);
		return VDEV_START_INIT;
	}
	if (!l->sipi_pending)
		return VDEV_START_NONE;
	l->sipi_pending = false;
	*sipi_vector = l->sipi_vector;
	return VDEV_START_SIPI;
}

void vdev_next_event(struct vdev *v, u32 index, u64 *tsc_guest, u64 *ns)
{
	lapic_next_event(&v->lapics, index, tsc_guest, ns);
	if (index == 0)
		*ns = min(*ns, rtc_next_event(&v->rtc));
}

void vdev_tick(struct vdev *v, u32 index, u64 now_tsc_guest, u64 now_ns)
{
	v->lapics.now_tsc = now_tsc_guest;
	v->lapics.now_ns = now_ns;
	lapic_tick(&v->lapics, index);
	if (index == 0 && rtc_next_event(&v->rtc) <= now_ns)
		rtc_tick(&v->rtc, now_ns);
}

bool vdev_serial_in(struct vdev *v, u8 byte)
{
	return uart16550_receive(&v->uart, byte);
}

void vdev_gsi(struct vdev *v, u32 gsi, bool level)
{
	ioapic_set_line(&v->ioapic, &v->lapics, gsi, level);
}

s64 vdev_acpi_build(const struct vdev *v, u64 base, void *out, size_t bytes)
{
	return acpi_build(v->lapics.count, v->config.disk, base, out, bytes);
}
