/* SRCS: hv/vdev/vdev.c hv/vdev/lapic.c hv/vdev/lapic_bus.c hv/vdev/lapic_timer.c hv/vdev/ioapic.c
   hv/vdev/uart16550.c hv/vdev/rtc.c hv/vdev/civil_time.c hv/vdev/pm.c hv/vdev/acpi.c hv/vdev/aml.c
   hv/vdev/cpuid.c hv/vdev/msr.c hv/vdev/virtio_mmio.c hv/vdev/virtio_queue.c LIBS: -lcmocka */
/*
 * A guest that does anything to its devices, in any order, at any time: no access goes astray, and
 * the promises to the scheduler hold: what is to be taken is a legal vector above the task
 * priority, taking it makes it no longer wait, whatever newly waits was announced by a kick, and a
 * timer that was due fires.
 */
#include "tests/unit/vdev_rig.h"

#define VCPUS 3u

struct op {
	u8 kind, index, bytes, where;
	u32 at;
	u64 value;
};
_Static_assert(sizeof(struct op) == 16, "as read from the input");

static void require(bool holds)
{
	if (!holds)
		abort();
}

static u64 mmio_address(const struct op *op)
{
	u64 page = op->where & 1 ? VDEV_LAPIC_GPA : VDEV_IOAPIC_GPA;

	/* Half of the time a register that is there. */
	return page + (op->where & 2 ? op->at & 0xfff : op->at & 0x3f0);
}

static u16 port(const struct op *op)
{
	static const u16 bases[] = {0x3f8, 0x70, 0x600, 0xcf8, 0x60, 0x92, 0x80, 0};

	return (u16)(bases[op->where & 7] + (op->where & 7 ? op->at & 0xf : op->at & 7));
}

static u32 msr(const struct op *op)
{
	static const u32 bases[] = {0x800, 0x820, 0x1b, 0x6e0, 0x1a0, 0xc0010000, 0xfe, 0x2ff};

	return bases[op->where & 7] +
	       ((op->where & 7) < 2 || (op->where & 7) == 5 ? op->at & 0x3f : 0);
}

static void run(struct vdev *vdev, const struct op *op, u64 now)
{
	u32 index = op->index % VCPUS, bytes = 1u << (op->bytes & 3), out[4];
	u64 wide = op->value;
	u32 narrow = (u32)op->value;
	u8 vector;

	switch (op->kind % 8) {
	case 0:
	case 1:
		(void)vdev_mmio(
			vdev, index, now, GPA(mmio_address(op)), bytes, op->kind & 1, &wide);
		if (!(op->kind & 1) && bytes < 8)
			require(wide >> (8 * bytes) == 0);
		break;
	case 2:
	case 3:
		vdev_io(vdev, index, now, port(op), min(bytes, 4u), op->kind & 1, &narrow);
		break;
	case 4:
		(void)vdev_msr_write(vdev, index, now * 2, msr(op), wide);
		break;
	case 5:
		(void)vdev_msr_read(vdev, index, now * 2, msr(op), &wide);
		break;
	case 6:
		if (op->where & 1)
			vdev_gsi(vdev, op->at & 31, op->value & 1);
		else if (op->where & 2)
			(void)vdev_serial_in(vdev, (u8)op->value);
		else
			vdev_tpr_set(vdev, index, (u8)op->value);
		break;
	case 7:
		if (op->where & 1)
			vdev_cpuid(vdev, index, op->value, op->value >> 32, op->at, op->bytes, out);
		else if (op->where & 2)
			(void)vdev_start_take(vdev, index, &vector);
		else if (op->where == 4)
			vdev_reset(vdev, now);
		else
			(void)vdev_nmi_take(vdev, index);
		break;
	}
}

/* Take at most one interrupt, as an entry into the guest does. */
static void take(struct vdev *vdev, u32 index)
{
	u8 blocked = 0xff, after;
	int vector = vdev_interrupt_peek(vdev, index, &blocked);

	if (vector < 0) {
		require(blocked <= vdev_tpr_get(vdev, index));
		return;
	}
	require(vector >= 16 && vector <= 255 && blocked == 0);
	require((u32)vector >> 4 > vdev_tpr_get(vdev, index));
	vdev_interrupt_take(vdev, index, (u8)vector);
	require(vdev_interrupt_peek(vdev, index, &after) < 0); /* none above it was waiting */
}

static void tick(struct vdev *vdev, u32 index, u64 now)
{
	u64 tsc, ns;

	vdev_tick(vdev, index, now * 2, now);
	vdev_next_event(vdev, index, &tsc, &ns);
	require(tsc > now * 2 && ns > now); /* what was due has been done */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vdev *vdev = rig_create(VCPUS);
	u64 now = 0;

	for (; size >= sizeof(struct op); data += sizeof(struct op), size -= sizeof(struct op)) {
		struct op op;
		u8 blocked;
		int before[VCPUS];
		u32 kicks[VCPUS];

		memcpy(&op, data, sizeof(op));
		for (u32 i = 0; i < VCPUS; i++) {
			before[i] = vdev_interrupt_peek(vdev, i, &blocked);
			kicks[i] = rig.kicks[i];
		}
		run(vdev, &op, now);
		/* Only its own accesses may make a vCPU's interrupt deliverable without a kick. */
		for (u32 i = 0; i < VCPUS; i++) {
			if (i != op.index % VCPUS && before[i] < 0 &&
				vdev_interrupt_peek(vdev, i, &blocked) >= 0)
				require(rig.kicks[i] != kicks[i]);
		}
		now += op.at % 100000;
		for (u32 i = 0; i < VCPUS; i++) {
			tick(vdev, i, now);
			if (op.bytes & 4)
				take(vdev, i);
		}
	}
	vdev_destroy(vdev);
	return 0;
}
