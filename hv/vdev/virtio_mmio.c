/* The register file of a virtio-mmio device, version 2. */
#include "hv/vdev/virtio_mmio.h"
#include "mm/base/str.h"

#define MAGIC   0x74726976u /* "virt" */
#define VERSION 2u
#define VENDOR  0x534c5742u /* "BWLS" */

enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM_MAX = 0x034,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_AREAS = 0x080, /* three times low, high and a gap of 8 */
	REG_QUEUE_AREAS_END = 0x0b0,
	REG_SHM_FIRST =
		0x0b0, /* length and base of a shared memory region: all ones, there is none */
	REG_SHM_LAST = 0x0bc,
};

enum { STATUS_FEATURES_OK = 0x08, STATUS_DRIVER_OK = 0x04, STATUS_NEEDS_RESET = 0x40 };
#define STATUS_WRITABLE 0x8fu /* all that are the driver's */

enum { INTERRUPT_USED = 1, INTERRUPT_CONFIG = 2 };

static void update_line(const struct virtio_mmio *m)
{
	m->line(m->line_context, m->interrupts != 0);
}

void virtio_mmio_reset(struct virtio_mmio *m)
{
	virtqueue_stop(&m->queue, &m->device->memory);
	*m = (struct virtio_mmio){
		.device = m->device, .line = m->line, .line_context = m->line_context};
	update_line(m);
}

bool virtio_mmio_is_live(const struct virtio_mmio *m)
{
	return (m->status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) == STATUS_DRIVER_OK &&
	       m->queue.live;
}

void virtio_mmio_used(struct virtio_mmio *m)
{
	if (!virtqueue_wants_interrupt(&m->queue))
		return;
	m->interrupts |= INTERRUPT_USED;
	update_line(m);
}

void virtio_mmio_break(struct virtio_mmio *m)
{
	m->status |= STATUS_NEEDS_RESET;
	m->queue.broken = true;
	/* "If DRIVER_OK is set ... the device MUST send a ... change notification." */
	if (m->status & STATUS_DRIVER_OK)
		m->interrupts |= INTERRUPT_CONFIG;
	update_line(m);
}

/* --- Registers ------------------------------------------------------------------------------- */

static u64 offered(const struct virtio_mmio *m)
{
	return m->device->features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC;
}

static u32 half(u64 value, u32 page)
{
	return page == 0 ? (u32)value : page == 1 ? (u32)(value >> 32) : 0;
}

static void set_half(u64 *value, bool high, u32 to)
{
	*value = high ? (u32)*value | (u64)to << 32 : (*value & BITS(63, 32)) | to;
}

/* Nothing new is taken while what was taken is let go of. */
static err_t stop(struct virtio_mmio *m)
{
	m->queue.broken = true;
	return m->device->stop(m->device->context);
}

static err_t set_status(struct virtio_mmio *m, u32 to)
{
	if (to == 0) {
		err_t err = stop(m);

		if (!err)
			virtio_mmio_reset(m);
		return err;
	}
	/* Features are refused by the bit not staying: what was not offered, and drivers of old. */
	if ((to & STATUS_FEATURES_OK) && !(m->status & STATUS_FEATURES_OK) &&
		((m->driver_features & ~offered(m)) || !virtio_mmio_has(m, VIRTIO_F_VERSION_1)))
		to &= ~(u32)STATUS_FEATURES_OK;
	m->status = (to & STATUS_WRITABLE) | (m->status & STATUS_NEEDS_RESET);
	if (virtio_mmio_is_live(m))
		m->device->notify(m->device->context);
	return 0;
}

static err_t set_ready(struct virtio_mmio *m, bool ready)
{
	err_t err;

	if (m->queue_selected != 0 || ready == m->queue.live)
		return 0;
	if (!ready) {
		err = stop(m);
		if (!err)
			virtqueue_stop(&m->queue, &m->device->memory);
		return err;
	}
	m->queue.indirect = virtio_mmio_has(m, VIRTIO_F_INDIRECT_DESC);
	err = virtqueue_start(&m->queue, &m->device->memory);
	if (err != E_INVAL && err != E_RANGE)
		return err;
	virtio_mmio_break(m);
	return 0;
}

/* Where the rings lie. Not while they are in use. */
static void set_area(struct virtio_mmio *m, u32 offset, u32 value)
{
	u32 area = (offset - REG_QUEUE_AREAS) / 16;

	if (offset % 16 > 4 || m->queue_selected != 0 || m->queue.live)
		return;
	set_half(&m->queue.areas[area].gpa, offset % 16 == 4, value);
}

static err_t write_register(struct virtio_mmio *m, u32 offset, u32 value)
{
	switch (offset) {
	case REG_DEVICE_FEATURES_SEL:
		m->feature_page = value;
		return 0;
	case REG_DRIVER_FEATURES_SEL:
		m->driver_feature_page = value;
		return 0;
	case REG_DRIVER_FEATURES:
		if (m->driver_feature_page <= 1 && !(m->status & STATUS_FEATURES_OK))
			set_half(&m->driver_features, m->driver_feature_page, value);
		return 0;
	case REG_QUEUE_SEL:
		m->queue_selected = value;
		return 0;
	case REG_QUEUE_NUM:
		if (m->queue_selected == 0 && !m->queue.live)
			m->queue.size = value;
		return 0;
	case REG_QUEUE_READY:
		return set_ready(m, value & 1);
	case REG_QUEUE_NOTIFY:
		if (value == 0 && virtio_mmio_is_live(m))
			m->device->notify(m->device->context);
		return 0;
	case REG_INTERRUPT_ACK:
		m->interrupts &= ~value;
		update_line(m);
		return 0;
	case REG_STATUS:
		return set_status(m, value);
	}
	if (offset >= REG_QUEUE_AREAS && offset < REG_QUEUE_AREAS_END)
		set_area(m, offset, value);
	return 0;
}

static u32 read_register(const struct virtio_mmio *m, u32 offset)
{
	switch (offset) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE_ID:
		return m->device->device_id;
	case REG_VENDOR_ID:
		return VENDOR;
	case REG_DEVICE_FEATURES:
		return half(offered(m), m->feature_page);
	case REG_QUEUE_NUM_MAX:
		return m->queue_selected == 0 ? VIRTQUEUE_SIZE_MAX : 0;
	case REG_QUEUE_READY:
		return m->queue_selected == 0 && m->queue.live;
	case REG_INTERRUPT_STATUS:
		return m->interrupts;
	case REG_STATUS:
		return m->status;
	}
	return offset >= REG_SHM_FIRST && offset <= REG_SHM_LAST ? ~0u : 0;
}

static u64 read_config(const struct virtio_mmio *m, u32 at, u32 bytes)
{
	u64 value = 0;

	if (at < m->device->config_bytes)
		memcpy(&value, m->device->config + at, min(bytes, m->device->config_bytes - at));
	return value;
}

err_t virtio_mmio_access(struct virtio_mmio *m, u32 offset, u32 bytes, bool write, u64 *value)
{
	bool is_register = offset < VIRTIO_MMIO_CONFIG;

	/* "The driver MUST only use 32 bit wide and aligned reads and writes": no other works. */
	if (is_register && (bytes != 4 || offset % 4)) {
		*value = 0;
		return 0;
	}
	if (write)
		return is_register ? write_register(m, offset, (u32)*value) : 0;
	*value = is_register ? read_register(m, offset)
			     : read_config(m, offset - VIRTIO_MMIO_CONFIG, bytes);
	return 0;
}
