/*
 * Messages between local APICs: who is addressed by a destination, and what each kind of message
 * does to its receiver. IPIs come from ICR, device interrupts from the IOAPIC. (Intel SDM 3A,
 * Issuing Interprocessor Interrupts; Determining IPI Destination.)
 */
#include "hv/vdev/lapic_private.h"

#define ICR_LOGICAL BIT(11)
#define ICR_ASSERT  BIT(14)
#define ICR_LEVEL   BIT(15)
#define DFR_FLAT    0xfu

enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

static bool is_x2apic(const struct lapic *l)
{
	return l->base & APIC_BASE_X2APIC;
}

static bool matches_logical(const struct lapic *l, u32 destination)
{
	u32 own = l->ldr >> 24;

	if (is_x2apic(l))
		return destination == ~0u ||
		       (destination >> 16 == l->ldr >> 16 && (destination & l->ldr & 0xffff));
	if (l->dfr >> 28 == DFR_FLAT)
		return own & destination;
	return (own >> 4 == destination >> 4 || destination >> 4 == 0xf) &&
	       (own & destination & 0xf);
}

/* A broadcast is an xAPIC sender's FFH, an x2APIC's FFFFFFFFH; devices' bus messages use FFH. */
static bool matches(const struct lapic *l, u32 destination, bool logical, u32 broadcast)
{
	if (destination == broadcast)
		return true;
	return logical ? matches_logical(l, destination) : l->id == destination;
}

static void deliver(
	struct lapic_set *set, u32 index, enum lapic_delivery mode, u8 vector, bool level)
{
	struct lapic *l = &set->all[index];

	switch (mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		lapic_raise(set, index, vector, level);
		return;
	case DELIVER_NMI:
		l->nmi_pending = true;
		break;
	case DELIVER_INIT:
		l->init_pending = true;
		l->sipi_pending = false;
		l->wait_for_sipi = true;
		break;
	case DELIVER_SIPI:
		if (!l->wait_for_sipi)
			return;
		l->wait_for_sipi = false;
		l->sipi_pending = true;
		l->sipi_vector = vector;
		break;
	case DELIVER_SMI:
	case DELIVER_EXTINT:
		return; /* there is neither SMM nor an 8259 */
	default:
		return;
	}
	set->kick(set->context, index);
}

/* Of those that @destination addresses, the one with the lowest priority; -1: nobody. */
static int find_lowest(const struct lapic_set *set, u32 destination, bool logical, u32 broadcast)
{
	int best = -1;

	for (u32 i = 0; i < set->count; i++) {
		const struct lapic *l = &set->all[i];

		if (!lapic_is_software_enabled(l) || !matches(l, destination, logical, broadcast))
			continue;
		if (best < 0 || lapic_ppr(l) < lapic_ppr(&set->all[best]))
			best = (int)i;
	}
	return best;
}

static void send(struct lapic_set *set, u32 destination, bool logical, u32 broadcast,
	enum lapic_delivery mode, u8 vector, bool level)
{
	if (mode == DELIVER_LOWEST) {
		int best = find_lowest(set, destination, logical, broadcast);

		if (best >= 0)
			deliver(set, (u32)best, mode, vector, level);
		return;
	}
	for (u32 i = 0; i < set->count; i++) {
		if (lapic_is_enabled(&set->all[i]) &&
			matches(&set->all[i], destination, logical, broadcast))
			deliver(set, i, mode, vector, level);
	}
}

void lapic_message(struct lapic_set *set, u32 destination, bool logical, enum lapic_delivery mode,
	u8 vector, bool level)
{
	send(set, destination, logical, 0xff, mode, vector, level);
}

u32 lapic_send_each(struct lapic_set *set, u64 ids, u64 first, enum lapic_delivery mode, u8 vector)
{
	u32 count = 0;

	for (; ids && first < set->count; ids &= ids - 1) {
		u64 index = first + (u32)__builtin_ctzll(ids);

		if (index >= set->count)
			break;
		if (!lapic_is_enabled(&set->all[index]))
			continue;
		deliver(set, (u32)index, mode, vector, false);
		count++;
	}
	return count;
}

void lapic_send(struct lapic_set *set, u32 index, u64 icr)
{
	const struct lapic *l = &set->all[index];
	enum lapic_delivery mode = icr >> 8 & 7;
	u32 shorthand = icr >> 18 & 3, broadcast = is_x2apic(l) ? ~0u : 0xff;
	u32 destination = is_x2apic(l) ? (u32)(icr >> 32) : (u32)(icr >> 56);
	u8 vector = (u8)icr;

	/* INIT level de-assert only synchronised arbitration ids, on CPUs long gone. */
	if (mode == DELIVER_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
		return;
	if (mode <= DELIVER_LOWEST && vector < 16) {
		lapic_error(set, index, ESR_SEND_ILLEGAL);
		return;
	}
	if (shorthand == SHORTHAND_NONE) {
		send(set, destination, icr & ICR_LOGICAL, broadcast, mode, vector, false);
		return;
	}
	for (u32 i = 0; i < set->count; i++) {
		if (i == index ? shorthand != SHORTHAND_OTHERS : shorthand != SHORTHAND_SELF)
			deliver(set, i, mode, vector, false);
	}
}
