/*
 * What a guest sees as hardware, as one object: local APICs, IOAPIC, 16550, RTC, PM timer, power
 * and reset registers, CPUID and the MSRs of its platform. It knows no VM and no vendor:
 * hv/exit/exit.c hands accesses in, and devices reach out only through struct vdev_host. All state
 * is restartable: no call blocks.
 *
 * Locks: the caller holds the VM's lock (one VM's devices are one lock domain).
 */
#ifndef HV_VDEV_VDEV_H
#define HV_VDEV_VDEV_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define VDEV_IOAPIC_GPA 0xfec00000ull
#define VDEV_LAPIC_GPA  0xfee00000ull /* at reset; the guest may not move it */
#define VDEV_VIRTIO_GPA 0xfeb00000ull /* the disk's registers, a page */
#define VDEV_VIRTIO_GSI 11u
#define VDEV_PM_BASE    0x600 /* sleep and reset ports: see pm.h */

enum vdev_end { VDEV_POWER_OFF, VDEV_RESET };

/* What devices need from the VM. */
struct vdev_host {
	void *context;
	/* vCPU @index has something new to look at (interrupt, NMI, INIT): wake or force it out. */
	void (*kick)(void *context, u32 index);
	/* A byte left the guest's serial line. */
	void (*serial_out)(void *context, u8 byte);
	/* The guest switched itself off or wants a reset. */
	void (*end)(void *context, enum vdev_end how);
};

struct virtio_mmio;

struct vdev_config {
	u32 vcpu_count;
	u64 memory_bytes;
	u64 tsc_khz;              /* the guest's */
	u64 boot_epoch_s;         /* wall clock when now_ns was 0 */
	struct virtio_mmio *disk; /* its owner's, or NULL: there is none */
	struct vdev_host host;
};

struct vdev;

must_check err_t vdev_create(struct vdev **out, const struct vdev_config *config);
void vdev_destroy(struct vdev *vdev);
/* Power-on state of every device. */
void vdev_reset(struct vdev *vdev, u64 now_ns);

/* Is that guest-physical address some device's? */
bool vdev_is_mmio(const struct vdev *vdev, gpa_t gpa);
/* One access of 1, 2, 4 or 8 bytes by vCPU @index; aligned or not. E_RANGE: nobody lives there
 * (reads give all ones). E_WAIT, E_NOMEM, E_CORRUPT: virtio_mmio_access(). */
err_t vdev_mmio(
	struct vdev *vdev, u32 index, u64 now_ns, gpa_t gpa, u32 bytes, bool write, u64 *value);
/* Port access of 1, 2 or 4 bytes. Ports nobody owns read as all ones and swallow writes. */
void vdev_io(struct vdev *vdev, u32 index, u64 now_ns, u16 port, u32 bytes, bool write, u32 *value);

/* Platform MSRs: APIC_BASE, x2APIC, TSC_DEADLINE, constants. E_NOTFOUND, E_INVAL: inject #GP. */
err_t vdev_msr_read(struct vdev *vdev, u32 index, u64 now_tsc_guest, u32 msr, u64 *value);
err_t vdev_msr_write(struct vdev *vdev, u32 index, u64 now_tsc_guest, u32 msr, u64 value);

/* What CPUID says to the guest. @cr4, @xcr0: the vCPU's (OSXSAVE, leaf 0DH depend on them). out:
 * eax ebx ecx edx. */
void vdev_cpuid(struct vdev *vdev, u32 index, u64 cr4, u64 xcr0, u32 leaf, u32 subleaf, u32 out[4]);

/*
 * The interrupt that vCPU @index should take next: its vector, or -1 (none, or masked by TPR/PPR:
 * *blocked_class then tells the class that waits, else 0). Taking it moves it from IRR to ISR. Both
 * O(1).
 */
int vdev_interrupt_peek(struct vdev *vdev, u32 index, u8 *blocked_class);
void vdev_interrupt_take(struct vdev *vdev, u32 index, u8 vector);
bool vdev_nmi_take(struct vdev *vdev, u32 index);
/* Is there a device that could send an NMI, INIT or SIPI, to whichever vCPU? */
bool vdev_device_may_wake(const struct vdev *vdev);
/*
 * An IPI to each vCPU whose APIC id is @first plus the number of a bit of @ids: an NMI, or @vector,
 * which is not below 16. Returns how many of those there are. Cost: O(bits set).
 */
u32 vdev_send_ipi(struct vdev *vdev, u64 ids, u64 first, bool nmi, u8 vector);
u8 vdev_tpr_get(struct vdev *vdev, u32 index); /* class for CR8 */
void vdev_tpr_set(struct vdev *vdev, u32 index, u8 class);

/* A SIPI or INIT that waits for vCPU @index: is there one, and take it. */
enum vdev_start { VDEV_START_NONE, VDEV_START_INIT, VDEV_START_SIPI };
bool vdev_start_is_pending(const struct vdev *vdev, u32 index);
enum vdev_start vdev_start_take(struct vdev *vdev, u32 index, u8 *sipi_vector);

/* Earliest time at which a timer of vCPU @index or a device wants vdev_tick(): guest TSC for the
 * deadline timer, ns else. ~0: none. */
void vdev_next_event(struct vdev *vdev, u32 index, u64 *tsc_guest, u64 *ns);
/* Run timers that are due. O(1). */
void vdev_tick(struct vdev *vdev, u32 index, u64 now_tsc_guest, u64 now_ns);

/* A byte for the guest's serial line. false: its FIFO is full, try later. */
bool vdev_serial_in(struct vdev *vdev, u8 byte);

/* Raise or lower a global system interrupt line (devices of later issues). */
void vdev_gsi(struct vdev *vdev, u32 gsi, bool level);

/*
 * Write the guest's ACPI tables (RSDP, XSDT, FADT, MADT, DSDT) as one blob meant for guest-physical
 * @base (in the BIOS area, 16-byte aligned). Returns bytes used, E_RANGE if @bytes is too small.
 */
#define VDEV_ACPI_GPA   0xe0000ull
#define VDEV_ACPI_BYTES 0x10000u
s64 vdev_acpi_build(const struct vdev *vdev, u64 base, void *out, size_t bytes);

#endif
