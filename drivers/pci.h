/*
 * PCI and PCI Express configuration: what devices there are, where their registers lie, how they
 * interrupt. The firmware has numbered the buses and given out addresses; nothing of that is
 * changed here.
 *
 * All access to configuration space goes through struct pci_config, so that this code neither knows
 * nor cares whether it is ECAM, ports 0xCF8/0xCFC (pci_host.c) or a test's fake. Nothing that a
 * device says is trusted: lists are bounded, buses are visited once.
 *
 * PCI Local Bus and PCI Express Base Specifications, "Configuration Space", "MSI and MSI-X
 * Capability Structures". Locks: none; the boot CPU only.
 */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include "mm/base/types.h"
#include "mm/base/err.h"

/* A function's address: bus (15:8), device (7:3), function (2:0). */
typedef struct {
	u16 v;
} pci_bdf_t;

static inline pci_bdf_t pci_bdf(u32 bus, u32 device, u32 function)
{
	return (pci_bdf_t){(u16)(bus << 8 | device << 3 | function)};
}

#define PCI_BUS(bdf)      ((u32)(bdf).v >> 8)
#define PCI_DEVICE(bdf)   ((u32)(bdf).v >> 3 & 31)
#define PCI_FUNCTION(bdf) ((u32)(bdf).v & 7)

/* A way to configuration space. @bytes: 1, 2 or 4, @offset a multiple of it. What is not there
 * reads as ones. */
struct pci_config {
	const char *name;
	u32 (*read)(const struct pci_config *config, pci_bdf_t bdf, u32 offset, u32 bytes);
	void (*write)(
		const struct pci_config *config, pci_bdf_t bdf, u32 offset, u32 bytes, u32 value);
	volatile u8 *ecam; /* pci_host.c: mapped, of bus 0; NULL: ports */
	u8 first_bus, last_bus;
	bool all_buses; /* reading is cheap: look on buses that no bridge leads to, too */
};

#define PCI_COMMAND         0x04
#define PCI_COMMAND_IO      BIT(0)
#define PCI_COMMAND_MEMORY  BIT(1)
#define PCI_COMMAND_MASTER  BIT(2)
#define PCI_COMMAND_NO_INTX BIT(10)

#define PCI_CAPABILITY_MSI  0x05
#define PCI_CAPABILITY_PCIE 0x10
#define PCI_CAPABILITY_MSIX 0x11

struct pci_function {
	pci_bdf_t bdf;
	u16 vendor, device;
	u32 class_code; /* class (23:16), subclass (15:8), programming interface (7:0) */
	u8 revision;
	bool is_bridge; /* to another bus */
	u8 secondary_bus;
};

/* Called for each function; false ends the walk. */
typedef bool (*pci_visit_fn)(void *context, const struct pci_function *function);

/*
 * Visit all functions, a bridge before what lies behind it. Returns how many.
 * Cost: one read for each of 32 slots of each bus there is, or of all buses with config->all_buses.
 */
u32 pci_walk(const struct pci_config *config, pci_visit_fn visit, void *context);

/* The function at @bdf; false if there is none. */
bool pci_read_function(const struct pci_config *config, pci_bdf_t bdf, struct pci_function *out);

struct pci_bar {
	u64 base;  /* physical address, or port */
	u64 bytes; /* 0 from pci_bar_base() */
	bool is_io, is_64bit, is_prefetchable;
};

/*
 * Base address register @index (0-5; a 64-bit one takes two). Returns 0; E_NOTFOUND (not
 * implemented, or upper half of the one before), E_INVAL (no such index). pci_bar_base() reads
 * only.
 */
must_check err_t pci_bar_base(
	const struct pci_config *config, pci_bdf_t bdf, u32 index, struct pci_bar *out);
/* With the size: the function does not decode its addresses meanwhile, so nobody may use it. */
must_check err_t pci_bar_size(
	const struct pci_config *config, pci_bdf_t bdf, u32 index, struct pci_bar *out);

/* Offset of a capability, 0 if there is none. */
u32 pci_find_capability(const struct pci_config *config, pci_bdf_t bdf, u8 id);

/* Set and clear bits of the command register. */
void pci_command(const struct pci_config *config, pci_bdf_t bdf, u16 set, u16 clear);

/* A message that interrupts CPU @apic_id with @vector (SDM, "Message Signalled Interrupts"). */
struct pci_message {
	u64 address;
	u32 data;
};
/* E_UNSUPPORTED: an APIC id above 254 cannot be named without interrupt remapping. */
must_check err_t pci_message_to(u32 apic_id, u8 vector, struct pci_message *out);

/* One MSI, on; the wired interrupt off. E_NOTFOUND: no MSI; E_UNSUPPORTED: address too wide. */
must_check err_t pci_msi_enable(
	const struct pci_config *config, pci_bdf_t bdf, const struct pci_message *message);

struct pci_msix {
	u32 capability; /* its offset */
	u32 count;      /* of vectors */
	u32 table_bar, table_offset;
};
/* E_NOTFOUND; E_CORRUPT: the table lies in no BAR. */
must_check err_t pci_msix_find(
	const struct pci_config *config, pci_bdf_t bdf, struct pci_msix *out);
#define PCI_MSIX_ENTRY_BYTES 16u
/* Fill entry @index, below the count, of the mapped @table, and unmask it. */
void pci_msix_set(volatile void *table, u32 index, const struct pci_message *message);
/* After the entries are set that will be used: others stay masked, the wired interrupt goes off. */
void pci_msix_enable(const struct pci_config *config, pci_bdf_t bdf, const struct pci_msix *msix);

#endif
