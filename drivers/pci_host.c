/* PCI Express Base, "ECAM"; PCI Local Bus Specification, "Configuration Mechanism #1". */
#include "drivers/pci_host.h"
#include "hv/x86/insn.h"
#include "hv/x86/paging.h"
#include "mm/base/log.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ADDRESS_ON   BIT(31)
#define PORTS_REACH  256u

#define ECAM_BUS_BYTES MIB(1)
#define ECAM_PA_LIMIT  BIT(46)

static u32 ones(u32 bytes)
{
	return ~0u >> (32 - 8 * bytes);
}

static volatile u8 *ecam_at(const struct pci_config *config, pci_bdf_t bdf, u32 offset)
{
	return config->ecam + ((u64)(bdf.v - (u32)(config->first_bus << 8)) << 12) + offset;
}

static u32 ecam_read(const struct pci_config *config, pci_bdf_t bdf, u32 offset, u32 bytes)
{
	volatile u8 *at = ecam_at(config, bdf, offset);

	switch (bytes) {
	case 1:
		return *at;
	case 2:
		return *(volatile u16 *)at;
	default:
		return *(volatile u32 *)at;
	}
}

static void ecam_write(
	const struct pci_config *config, pci_bdf_t bdf, u32 offset, u32 bytes, u32 value)
{
	volatile u8 *at = ecam_at(config, bdf, offset);

	switch (bytes) {
	case 1:
		*at = (u8)value;
		break;
	case 2:
		*(volatile u16 *)at = (u16)value;
		break;
	default:
		*(volatile u32 *)at = value;
		break;
	}
}

/* Returns the port of the data, or 0 if it is out of reach. */
static u16 select(pci_bdf_t bdf, u32 offset)
{
	if (offset >= PORTS_REACH)
		return 0;
	outl(PORT_ADDRESS, (u32)(ADDRESS_ON | (u32)bdf.v << 8 | (offset & ~3u)));
	return (u16)(PORT_DATA + (offset & 3));
}

static u32 port_read(const struct pci_config *config, pci_bdf_t bdf, u32 offset, u32 bytes)
{
	u16 port = select(bdf, offset);

	(void)config;
	if (!port)
		return ones(bytes);
	return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

static void port_write(
	const struct pci_config *config, pci_bdf_t bdf, u32 offset, u32 bytes, u32 value)
{
	u16 port = select(bdf, offset);

	(void)config;
	if (!port)
		return;
	if (bytes == 1)
		outb(port, (u8)value);
	else if (bytes == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

static struct pci_config host = {
	.name = "ports 0xcf8 and 0xcfc",
	.read = port_read,
	.write = port_write,
	.last_bus = 255,
};

static bool open_ecam(const struct acpi_info *acpi)
{
	u64 base = acpi->mcfg_base + acpi->mcfg_first_bus * ECAM_BUS_BYTES;
	u64 buses = acpi->mcfg_last_bus - acpi->mcfg_first_bus + 1ull;
	struct pci_config ecam = {
		.name = "ECAM",
		.read = ecam_read,
		.write = ecam_write,
		.first_bus = acpi->mcfg_first_bus,
		.last_bus = acpi->mcfg_last_bus,
		.all_buses = true,
	};

	if (!acpi->mcfg_base || !IS_ALIGNED(acpi->mcfg_base, ECAM_BUS_BYTES) ||
		acpi->mcfg_base >= ECAM_PA_LIMIT || acpi->mcfg_last_bus < acpi->mcfg_first_bus)
		return false;
	ecam.ecam = paging_map_mmio(base, buses * ECAM_BUS_BYTES);
	/* Firmware may name a range where nothing answers: is the root's first function there? */
	if (!ecam.ecam || ecam_read(&ecam, pci_bdf(ecam.first_bus, 0, 0), 0, 4) == ~0u)
		return false;
	host = ecam;
	return true;
}

void pci_host_init(const struct acpi_info *acpi)
{
	if (open_ecam(acpi))
		log_info("pci: ECAM at %llx, buses %u to %u", (unsigned long long)acpi->mcfg_base,
			host.first_bus, host.last_bus);
	else
		log_info("pci: %s%s", host.name,
			acpi->mcfg_base ? "; nothing answers where MCFG says" : "");
}

const struct pci_config *pci_host(void)
{
	return &host;
}
