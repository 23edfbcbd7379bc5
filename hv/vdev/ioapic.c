/*
 * The IOAPIC: redirection entries, and the life of a level-triggered interrupt (remote IRR is set
 * while a local APIC has it, and cleared by its EOI, when a line that is still high interrupts
 * again).
 */
#include "hv/vdev/ioapic.h"
#include "mm/base/str.h"

#define IOAPIC_VERSION (0x20u | (IOAPIC_PIN_COUNT - 1) << 16)

#define REDIRECT_LOGICAL    BIT(11)
#define REDIRECT_STATUS     BIT(12)
#define REDIRECT_REMOTE_IRR BIT(14)
#define REDIRECT_LEVEL      BIT(15)
#define REDIRECT_MASKED     BIT(16)
#define REDIRECT_WRITABLE   (BITS(63, 56) | 0x1afffull)

enum { MMIO_SELECT = 0x00, MMIO_WINDOW = 0x10, MMIO_EOI = 0x40 };
enum { REG_ID, REG_VERSION, REG_ARBITRATION, REG_REDIRECT = 0x10 };

void ioapic_reset(struct ioapic *io)
{
	memset(io, 0, sizeof(*io));
	for (u32 i = 0; i < IOAPIC_PIN_COUNT; i++)
		io->redirect[i] = REDIRECT_MASKED;
}

static void send(struct ioapic *io, struct lapic_set *set, u32 pin)
{
	u64 entry = io->redirect[pin];
	enum lapic_delivery mode = entry >> 8 & 7;
	bool level = entry & REDIRECT_LEVEL;

	if (level && mode <= DELIVER_LOWEST)
		io->redirect[pin] |= REDIRECT_REMOTE_IRR;
	lapic_message(set, (u32)(entry >> 56), entry & REDIRECT_LOGICAL, mode, (u8)entry, level);
}

/* A level pin that is high, unmasked and not already on its way interrupts. */
static void service_level(struct ioapic *io, struct lapic_set *set, u32 pin)
{
	u64 entry = io->redirect[pin];

	if ((io->lines >> pin & 1) && (entry & REDIRECT_LEVEL) &&
		!(entry & (REDIRECT_MASKED | REDIRECT_REMOTE_IRR)))
		send(io, set, pin);
}

void ioapic_set_line(struct ioapic *io, struct lapic_set *set, u32 pin, bool level)
{
	bool before;

	if (pin >= IOAPIC_PIN_COUNT)
		return;
	before = io->lines >> pin & 1;
	io->lines = level ? io->lines | 1u << pin : io->lines & ~(1u << pin);
	if (io->redirect[pin] & REDIRECT_LEVEL)
		service_level(io, set, pin);
	else if (level && !before && !(io->redirect[pin] & REDIRECT_MASKED))
		send(io, set, pin);
}

void ioapic_eoi(struct ioapic *io, struct lapic_set *set, u8 vector)
{
	for (u32 pin = 0; pin < IOAPIC_PIN_COUNT; pin++) {
		if (!(io->redirect[pin] & REDIRECT_REMOTE_IRR) || (u8)io->redirect[pin] != vector)
			continue;
		io->redirect[pin] &= ~REDIRECT_REMOTE_IRR;
		service_level(io, set, pin);
	}
}

bool ioapic_may_wake(const struct ioapic *io)
{
	for (u32 pin = 0; pin < IOAPIC_PIN_COUNT; pin++) {
		enum lapic_delivery mode = io->redirect[pin] >> 8 & 7;

		if (!(io->redirect[pin] & REDIRECT_MASKED) &&
			(mode == DELIVER_NMI || mode == DELIVER_INIT || mode == DELIVER_SIPI))
			return true;
	}
	return false;
}

static u32 read_reg(const struct ioapic *io)
{
	u32 pin = (io->select - REG_REDIRECT) / 2;

	switch (io->select) {
	case REG_ID:
	case REG_ARBITRATION:
		return io->id;
	case REG_VERSION:
		return IOAPIC_VERSION;
	}
	if (io->select < REG_REDIRECT || pin >= IOAPIC_PIN_COUNT)
		return 0;
	return (u32)(io->select & 1 ? io->redirect[pin] >> 32 : io->redirect[pin]);
}

static void write_redirect(struct ioapic *io, struct lapic_set *set, u32 pin, bool high, u32 value)
{
	u64 entry = io->redirect[pin], kept = entry & (REDIRECT_REMOTE_IRR | REDIRECT_STATUS);

	entry = high ? (u32)entry | (u64)value << 32 : (entry & BITS(63, 32)) | value;
	entry = (entry & REDIRECT_WRITABLE) | kept;
	/* Made edge-triggered, it forgets: how guests of IOAPICs with no EOI register clear it. */
	if (!(entry & REDIRECT_LEVEL))
		entry &= ~REDIRECT_REMOTE_IRR;
	io->redirect[pin] = entry;
	service_level(io, set, pin);
}

static void write_reg(struct ioapic *io, struct lapic_set *set, u32 value)
{
	u32 pin = (io->select - REG_REDIRECT) / 2;

	if (io->select == REG_ID)
		io->id = value & 0x0f000000u;
	else if (io->select >= REG_REDIRECT && pin < IOAPIC_PIN_COUNT)
		write_redirect(io, set, pin, io->select & 1, value);
}

void ioapic_mmio(
	struct ioapic *io, struct lapic_set *set, u32 offset, u32 bytes, bool write, u64 *value)
{
	u32 lane = offset & 3;

	if (write) {
		if (lane != 0)
			return;
		switch (offset & 0xff) {
		case MMIO_SELECT:
			io->select = *value & 0xff;
			return;
		case MMIO_WINDOW:
			if (bytes >= 4)
				write_reg(io, set, (u32)*value);
			return;
		case MMIO_EOI:
			ioapic_eoi(io, set, (u8)*value);
			return;
		}
		return;
	}
	switch (offset & 0xfc) {
	case MMIO_SELECT:
		*value = io->select >> (8 * lane);
		return;
	case MMIO_WINDOW:
		*value = read_reg(io) >> (8 * lane);
		return;
	}
	*value = 0;
}
