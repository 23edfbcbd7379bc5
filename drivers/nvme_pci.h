/*
 * NVMe controllers on the PCI buses: their registers mapped, their interrupts routed.
 *
 * MSI-X where the controller has it, a message for each queue, that of a pair for the CPU whose it
 * is; else one MSI, for the boot CPU; else polling: a wired interrupt's routing is known to AML
 * only, which nothing here runs. All messages of a controller have one vector, on whichever CPU.
 */
#ifndef DRIVERS_NVME_PCI_H
#define DRIVERS_NVME_PCI_H

#include "drivers/nvme.h"
#include "drivers/pci.h"

struct nvme_controller {
	struct nvme_controller *next;
	struct nvme *nvme;
	pci_bdf_t bdf;
	const char *interrupts; /* "MSI-X", "MSI", "polled" */
	struct nvme_bus bus;
	volatile u8 *registers, *msix_table; /* NULL: it has no MSI-X */
	u8 vector;
};

/*
 * Find and start all of them; each is logged, and those that do not start too. Once, on the boot
 * CPU, after the other CPUs were started. Cost: as long as controllers take to become ready.
 */
void nvme_pci_init(void);

/* The CPU that has the interrupts of a pair, of @pairs: the first online that uses it; or 0. */
u32 nvme_pci_pair_cpu(u32 pair, u32 pairs);

/* All that were found, the dead ones too. */
struct nvme_controller *nvme_pci_first(void);

#endif
