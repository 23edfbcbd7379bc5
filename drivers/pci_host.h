/*
 * The host's own PCI configuration space: memory-mapped (ECAM) where ACPI's MCFG says where, else
 * through ports 0xCF8/0xCFC, which reach the first 256 bytes of each function.
 */
#ifndef DRIVERS_PCI_HOST_H
#define DRIVERS_PCI_HOST_H

#include "drivers/acpi.h"
#include "drivers/pci.h"

/* Once, boot CPU, after paging_init(). Whatever is missing, there is something to ask then. */
void pci_host_init(const struct acpi_info *acpi);

/* Never NULL after pci_host_init(). */
const struct pci_config *pci_host(void);

#endif
