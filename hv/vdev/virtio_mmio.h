/*
 * A virtio device behind a page of registers: the transport, for a device with one queue. What kind
 * of device it is, its owner says by the constants and answers by the calls of struct
 * virtio_device.
 *
 * A driver resets the device, negotiates features, sets up the queue and says DRIVER_OK; only then
 * is anything taken from the queue. A driver that breaks the rules finds DEVICE_NEEDS_RESET.
 *
 * Virtual I/O Device (VIRTIO) Version 1.1, "Virtio Over MMIO", "MMIO Device Register Layout";
 * "Device Status Field"; "Reserved Feature Bits". Locks: the VM's.
 */
#ifndef HV_VDEV_VIRTIO_MMIO_H
#define HV_VDEV_VIRTIO_MMIO_H

#include "hv/vdev/virtio_queue.h"

#define VIRTIO_MMIO_CONFIG 0x100u /* where the device's own registers begin */

#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_VERSION_1     BIT(32)

struct virtio_device {
	u32 device_id;    /* "Device Types" */
	u64 features;     /* offered beside those of the transport */
	const u8 *config; /* its own registers; read-only for the guest */
	u32 config_bytes;
	void *context;
	/* There may be something in the queue. */
	void (*notify)(void *context);
	/*
	 * Let go of all that was taken from the queue: nothing of it may touch the guest's memory
	 * after this has returned 0. E_WAIT: not yet, ask again.
	 */
	err_t (*stop)(void *context);
	struct virtio_memory memory;
};

struct virtio_mmio {
	const struct virtio_device *device;      /* [I] */
	void (*line)(void *context, bool level); /* [I] the interrupt line's level */
	void *line_context;                      /* [I] */
	struct virtqueue queue;
	u64 driver_features;
	u32 status, interrupts;
	u32 feature_page, driver_feature_page, queue_selected;
};

/*
 * Power-on state. What was taken from the queue has been let go of, or will find the guest's memory
 * as it was pinned.
 */
void virtio_mmio_reset(struct virtio_mmio *mmio);

/*
 * An access at @offset of the page. Returns 0; E_WAIT (the instruction must be executed again,
 * later); E_NOMEM, E_CORRUPT: from the memory, of the same meaning as for an access of the guest's
 * own.
 */
must_check err_t virtio_mmio_access(
	struct virtio_mmio *mmio, u32 offset, u32 bytes, bool write, u64 *value);

/* May the queue be served? */
bool virtio_mmio_is_live(const struct virtio_mmio *mmio);
static inline bool virtio_mmio_has(const struct virtio_mmio *mmio, u64 feature)
{
	return mmio->driver_features & feature;
}

/* Something was given back: interrupt the guest, if it wants that. */
void virtio_mmio_used(struct virtio_mmio *mmio);
/* The driver has done what it must not: say so, and take no more from the queue. */
void virtio_mmio_break(struct virtio_mmio *mmio);

#endif
