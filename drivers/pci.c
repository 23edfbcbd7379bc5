/* Configuration space: walking the buses, base addresses, capabilities, messages. */
#include "drivers/pci.h"

#define REG_VENDOR        0x00
#define REG_STATUS        0x06
#define REG_REVISION      0x08 /* and the class code above it */
#define REG_HEADER_TYPE   0x0e
#define REG_BAR           0x10
#define REG_SECONDARY_BUS 0x19
#define REG_CAPABILITIES  0x34

#define NO_DEVICE            0xffffu
#define STATUS_CAPABILITIES  BIT(4)
#define HEADER_MULTIFUNCTION BIT(7)
#define HEADER_TYPE          0x7fu
#define HEADER_NORMAL        0u
#define HEADER_BRIDGE        1u
#define CAPABILITY_FIRST     0x40u
#define CAPABILITY_MOST      48u /* as many as fit into 192 bytes */

#define BAR_IO           BIT(0)
#define BAR_TYPE         BITS(2, 1)
#define BAR_TYPE_64BIT   BIT(2)
#define BAR_PREFETCHABLE BIT(3)
#define BAR_IO_FLAGS     3u
#define BAR_MEMORY_FLAGS 15u

#define MSI_CONTROL        2u
#define MSI_ADDRESS        4u
#define MSI_CONTROL_ENABLE BIT(0)
#define MSI_CONTROL_COUNT  BITS(6, 4) /* messages enabled, as a power of two */
#define MSI_CONTROL_64BIT  BIT(7)
#define MSI_CONTROL_MASKS  BIT(8)

#define MSIX_CONTROL        2u
#define MSIX_TABLE          4u
#define MSIX_CONTROL_SIZE   BITS(10, 0)
#define MSIX_CONTROL_MASKED BIT(14)
#define MSIX_CONTROL_ENABLE BIT(15)
#define MSIX_BAR            7u
#define MSIX_ENTRY_MASKED   1u

#define MESSAGE_BASE 0xfee00000u

static u32 get(const struct pci_config *c, pci_bdf_t bdf, u32 offset, u32 bytes)
{
	return c->read(c, bdf, offset, bytes);
}

static void put(const struct pci_config *c, pci_bdf_t bdf, u32 offset, u32 bytes, u32 value)
{
	c->write(c, bdf, offset, bytes, value);
}

/* --- What there is --------------------------------------------------------------------------- */

bool pci_read_function(const struct pci_config *config, pci_bdf_t bdf, struct pci_function *out)
{
	u32 id = get(config, bdf, REG_VENDOR, 4), class_revision;
	u8 header;

	if ((id & 0xffff) == NO_DEVICE || (id & 0xffff) == 0)
		return false;
	class_revision = get(config, bdf, REG_REVISION, 4);
	header = (u8)get(config, bdf, REG_HEADER_TYPE, 1);
	*out = (struct pci_function){
		.bdf = bdf,
		.vendor = (u16)id,
		.device = (u16)(id >> 16),
		.class_code = class_revision >> 8,
		.revision = (u8)class_revision,
		.is_bridge = (header & HEADER_TYPE) == HEADER_BRIDGE,
	};
	if (out->is_bridge)
		out->secondary_bus = (u8)get(config, bdf, REG_SECONDARY_BUS, 1);
	return true;
}

struct walk {
	const struct pci_config *config;
	pci_visit_fn visit;
	void *context;
	u64 seen[256 / 64]; /* buses */
	u8 waiting[256];    /* buses behind bridges, still to be looked at: each at most once */
	u32 waiting_count;
	u32 found;
	bool ended;
};

static void await_bus(struct walk *w, u32 bus)
{
	if (bus < w->config->first_bus || bus > w->config->last_bus ||
		(w->seen[bus / 64] >> bus % 64 & 1))
		return;
	w->seen[bus / 64] |= BIT(bus % 64);
	w->waiting[w->waiting_count++] = (u8)bus;
}

static void walk_device(struct walk *w, u32 bus, u32 device)
{
	u32 functions = 1;

	for (u32 i = 0; i < functions && !w->ended; i++) {
		pci_bdf_t bdf = pci_bdf(bus, device, i);
		struct pci_function f;

		if (!pci_read_function(w->config, bdf, &f)) {
			if (i == 0)
				return;
			continue;
		}
		if (i == 0 && (get(w->config, bdf, REG_HEADER_TYPE, 1) & HEADER_MULTIFUNCTION))
			functions = 8;
		w->found++;
		w->ended = !w->visit(w->context, &f);
		if (f.is_bridge && f.secondary_bus > bus)
			await_bus(w, f.secondary_bus);
	}
}

static void walk_from(struct walk *w, u32 bus)
{
	await_bus(w, bus);
	while (w->waiting_count && !w->ended) {
		bus = w->waiting[--w->waiting_count];
		for (u32 device = 0; device < 32 && !w->ended; device++)
			walk_device(w, bus, device);
	}
}

u32 pci_walk(const struct pci_config *config, pci_visit_fn visit, void *context)
{
	struct walk w = {.config = config, .visit = visit, .context = context};

	walk_from(&w, config->first_bus);
	/* Large machines have more than one root; only their ACPI code names the others. */
	for (u32 bus = config->first_bus; config->all_buses && bus <= config->last_bus && !w.ended;
		bus++)
		walk_from(&w, bus);
	return w.found;
}

/* --- Base addresses -------------------------------------------------------------------------- */

static bool is_memory_64bit(u32 bar)
{
	return !(bar & BAR_IO) && (bar & BAR_TYPE) == BAR_TYPE_64BIT;
}

/* How many base address registers the function's header has. */
static u32 bar_count(const struct pci_config *config, pci_bdf_t bdf)
{
	switch (get(config, bdf, REG_HEADER_TYPE, 1) & HEADER_TYPE) {
	case HEADER_NORMAL:
		return 6;
	case HEADER_BRIDGE:
		return 2;
	default:
		return 0;
	}
}

static bool is_upper_half(const struct pci_config *config, pci_bdf_t bdf, u32 index)
{
	bool upper = false;

	for (u32 i = 0; i < index; i++)
		upper = !upper && is_memory_64bit(get(config, bdf, REG_BAR + 4 * i, 4));
	return upper;
}

err_t pci_bar_base(const struct pci_config *config, pci_bdf_t bdf, u32 index, struct pci_bar *out)
{
	u32 count = bar_count(config, bdf), low;

	if (index >= count)
		return E_INVAL;
	low = get(config, bdf, REG_BAR + 4 * index, 4);
	*out = (struct pci_bar){
		.is_io = low & BAR_IO,
		.is_64bit = is_memory_64bit(low),
		.is_prefetchable = !(low & BAR_IO) && (low & BAR_PREFETCHABLE),
	};
	if (is_upper_half(config, bdf, index) || (out->is_64bit && index + 1 == count))
		return E_NOTFOUND;
	out->base = low & ~(out->is_io ? BAR_IO_FLAGS : BAR_MEMORY_FLAGS);
	if (out->is_64bit)
		out->base |= (u64)get(config, bdf, REG_BAR + 4 * index + 4, 4) << 32;
	return low || out->base ? 0 : E_NOTFOUND;
}

/* Which bits of a register can be set: it must not decode meanwhile. */
static u32 bar_mask(const struct pci_config *config, pci_bdf_t bdf, u32 offset)
{
	u32 before = get(config, bdf, offset, 4), mask;

	put(config, bdf, offset, 4, ~0u);
	mask = get(config, bdf, offset, 4);
	put(config, bdf, offset, 4, before);
	return mask;
}

err_t pci_bar_size(const struct pci_config *config, pci_bdf_t bdf, u32 index, struct pci_bar *out)
{
	u32 offset = REG_BAR + 4 * index, command;
	err_t err = pci_bar_base(config, bdf, index, out);
	u64 mask;

	if (err)
		return err;
	command = get(config, bdf, PCI_COMMAND, 2);
	put(config, bdf, PCI_COMMAND, 2, command & ~(u32)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	mask = bar_mask(config, bdf, offset) & ~(out->is_io ? BAR_IO_FLAGS : BAR_MEMORY_FLAGS);
	if (out->is_64bit)
		mask |= (u64)bar_mask(config, bdf, offset + 4) << 32;
	else if (mask)
		mask |= BITS(63, 32);
	if (out->is_io && mask)
		mask |= BITS(63, 16); /* the upper half of a port's register may be wired to 0 */
	put(config, bdf, PCI_COMMAND, 2, command);
	out->bytes = mask & -mask; /* its lowest settable bit */
	return out->bytes ? 0 : E_NOTFOUND;
}

void pci_command(const struct pci_config *config, pci_bdf_t bdf, u16 set, u16 clear)
{
	u32 command = get(config, bdf, PCI_COMMAND, 2);

	put(config, bdf, PCI_COMMAND, 2, (command | set) & ~(u32)clear);
}

/* --- Capabilities and messages --------------------------------------------------------------- */

u32 pci_find_capability(const struct pci_config *config, pci_bdf_t bdf, u8 id)
{
	u32 at;

	if (!(get(config, bdf, REG_STATUS, 2) & STATUS_CAPABILITIES))
		return 0;
	at = get(config, bdf, REG_CAPABILITIES, 1) & ~3u;
	for (u32 i = 0; i < CAPABILITY_MOST && at >= CAPABILITY_FIRST; i++) {
		u32 head = get(config, bdf, at, 2);

		if ((head & 0xff) == id)
			return at;
		at = head >> 8 & ~3u;
	}
	return 0;
}

err_t pci_message_to(u32 apic_id, u8 vector, struct pci_message *out)
{
	if (apic_id >= 255) /* 255 is all of them */
		return E_UNSUPPORTED;
	*out = (struct pci_message){.address = MESSAGE_BASE | apic_id << 12, .data = vector};
	return 0;
}

err_t pci_msi_enable(
	const struct pci_config *config, pci_bdf_t bdf, const struct pci_message *message)
{
	u32 at = pci_find_capability(config, bdf, PCI_CAPABILITY_MSI), control, data;

	if (!at)
		return E_NOTFOUND;
	control = get(config, bdf, at + MSI_CONTROL, 2) &
		  ~(u32)(MSI_CONTROL_ENABLE | MSI_CONTROL_COUNT);
	if (message->address >> 32 && !(control & MSI_CONTROL_64BIT))
		return E_UNSUPPORTED;
	put(config, bdf, at + MSI_CONTROL, 2, control);
	put(config, bdf, at + MSI_ADDRESS, 4, (u32)message->address);
	data = at + MSI_ADDRESS + 4;
	if (control & MSI_CONTROL_64BIT) {
		put(config, bdf, data, 4, (u32)(message->address >> 32));
		data += 4;
	}
	put(config, bdf, data, 2, message->data);
	if (control & MSI_CONTROL_MASKS)
		put(config, bdf, data + 4, 4, 0);
	pci_command(config, bdf, PCI_COMMAND_NO_INTX, 0);
	put(config, bdf, at + MSI_CONTROL, 2, control | MSI_CONTROL_ENABLE);
	return 0;
}

err_t pci_msix_find(const struct pci_config *config, pci_bdf_t bdf, struct pci_msix *out)
{
	u32 at = pci_find_capability(config, bdf, PCI_CAPABILITY_MSIX), table;
	struct pci_bar bar;

	if (!at)
		return E_NOTFOUND;
	table = get(config, bdf, at + MSIX_TABLE, 4);
	*out = (struct pci_msix){
		.capability = at,
		.count = (u32)(get(config, bdf, at + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1,
		.table_bar = table & MSIX_BAR,
		.table_offset = table & ~MSIX_BAR,
	};
	return pci_bar_base(config, bdf, out->table_bar, &bar) || bar.is_io ? E_CORRUPT : 0;
}

void pci_msix_set(volatile void *table, u32 index, const struct pci_message *message)
{
	volatile u32 *entry = (volatile u32 *)table + index * (PCI_MSIX_ENTRY_BYTES / sizeof(u32));

	entry[3] |= MSIX_ENTRY_MASKED;
	entry[0] = (u32)message->address;
	entry[1] = (u32)(message->address >> 32);
	entry[2] = message->data;
	entry[3] &= ~MSIX_ENTRY_MASKED;
}

void pci_msix_enable(const struct pci_config *config, pci_bdf_t bdf, const struct pci_msix *msix)
{
	u32 at = msix->capability + MSIX_CONTROL, control = get(config, bdf, at, 2);

	pci_command(config, bdf, PCI_COMMAND_NO_INTX, 0);
	put(config, bdf, at, 2, (control | MSIX_CONTROL_ENABLE) & ~(u32)MSIX_CONTROL_MASKED);
}
