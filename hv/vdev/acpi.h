/*
 * The guest's ACPI tables as bytes: hardware-reduced, so there is no 8259, no PIT, no SCI and no
 * SMI to emulate, and power-off and reset are two registers. Pure.
 */
#ifndef HV_VDEV_ACPI_H
#define HV_VDEV_ACPI_H

#include "mm/base/types.h"

/* RSDP, XSDT, FADT, MADT and DSDT for guest-physical @base. Bytes used, or E_RANGE. */
s64 acpi_build(u32 vcpu_count, bool has_disk, u64 base, void *out, size_t bytes);

/* Bytes that so many vCPUs need. */
size_t acpi_bytes_needed(u32 vcpu_count);

#endif
