/*
 * Writing AML, the byte code of ACPI's DSDT: each function appends one term to the buffer. Blocks
 * whose length comes first (scopes, devices, buffers, packages) are opened and closed; two length
 * bytes always. A full buffer sets .full and drops what follows. (ACPI specification, AML Byte
 * Stream Byte Values.)
 */
#ifndef HV_VDEV_AML_H
#define HV_VDEV_AML_H

#include "mm/base/types.h"

struct aml {
	u8 *at;
	size_t used, room;
	bool full;
};

/* Where an open block's length is to stand. */
struct aml_block {
	size_t length_at;
};

void aml_byte(struct aml *aml, u8 byte);
void aml_bytes(struct aml *aml, const void *bytes, size_t count);
void aml_close(struct aml *aml, struct aml_block block);

/* Name(@name, follows). @name: four characters. */
void aml_name(struct aml *aml, const char *name);
void aml_integer(struct aml *aml, u32 value);
/* A string; printable ASCII. */
void aml_string(struct aml *aml, const char *text);
/* An _HID such as "PNP0501". */
void aml_eisa_id(struct aml *aml, const char *id);

struct aml_block aml_scope(struct aml *aml, const char *root_name);
struct aml_block aml_device(struct aml *aml, const char *name);
struct aml_block aml_package(struct aml *aml, u8 count);

/* Name(_CRS, ResourceTemplate() { IO(port, count) Interrupt(edge, high, exclusive) {gsi} }) */
void aml_crs_port_irq(struct aml *aml, u16 port, u8 count, u32 gsi);
/* Name(_CRS, ResourceTemplate() { Memory32Fixed(read-write, at, bytes) Interrupt(level, active
 * high, exclusive) {gsi} }) */
void aml_crs_memory_irq(struct aml *aml, u32 at, u32 bytes, u32 gsi);
/* Name(_CRS, ResourceTemplate() { Interrupt(edge, active high, exclusive) {gsi} }) */
void aml_crs_irq(struct aml *aml, u32 gsi);

#endif
