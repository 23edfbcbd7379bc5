/* AML terms: see aml.h. */
#include "hv/vdev/aml.h"
#include "mm/base/str.h"

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_EXTENDED = 0x5b,
	OP_DEVICE = 0x82,
	ROOT_CHAR = 0x5c,
};

#define LENGTH_BYTES 2u
#define LENGTH_MAX   0xfffu

void aml_byte(struct aml *aml, u8 byte)
{
	if (aml->used == aml->room) {
		aml->full = true;
		return;
	}
	aml->at[aml->used++] = byte;
}

void aml_bytes(struct aml *aml, const void *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		aml_byte(aml, ((const u8 *)bytes)[i]);
}

static struct aml_block open_block(struct aml *aml)
{
	struct aml_block block = {aml->used};

	for (u32 i = 0; i < LENGTH_BYTES; i++)
		aml_byte(aml, 0);
	return block;
}

/* PkgLength counts itself; in the two-byte form the first byte holds its low four bits. */
void aml_close(struct aml *aml, struct aml_block block)
{
	size_t length = aml->used - block.length_at;

	if (aml->full || length > LENGTH_MAX) {
		aml->full = true;
		return;
	}
	aml->at[block.length_at] = (u8)(0x40 | (length & 15));
	aml->at[block.length_at + 1] = (u8)(length >> 4);
}

void aml_name(struct aml *aml, const char *name)
{
	aml_byte(aml, OP_NAME);
	aml_bytes(aml, name, 4);
}

void aml_integer(struct aml *aml, u32 value)
{
	if (value <= 1) {
		aml_byte(aml, value ? OP_ONE : OP_ZERO);
	} else if (value <= 0xff) {
		aml_byte(aml, OP_BYTE);
		aml_byte(aml, (u8)value);
	} else {
		aml_byte(aml, OP_DWORD);
		aml_bytes(aml, &value, 4);
	}
}

void aml_string(struct aml *aml, const char *text)
{
	aml_byte(aml, OP_STRING);
	aml_bytes(aml, text, strlen(text) + 1);
}

static u32 hex_digit(char c)
{
	return c <= '9' ? (u32)(c - '0') : (u32)(c - 'A' + 10);
}

void aml_eisa_id(struct aml *aml, const char *id)
{
	u32 vendor = (u32)(id[0] - '@') << 10 | (u32)(id[1] - '@') << 5 | (u32)(id[2] - '@');
	u32 product = 0;

	for (u32 i = 3; i < 7; i++)
		product = product << 4 | hex_digit(id[i]);
	aml_integer(aml, __builtin_bswap32(vendor << 16 | product));
}

struct aml_block aml_scope(struct aml *aml, const char *root_name)
{
	struct aml_block block;

	aml_byte(aml, OP_SCOPE);
	block = open_block(aml);
	aml_byte(aml, ROOT_CHAR);
	aml_bytes(aml, root_name, 4);
	return block;
}

struct aml_block aml_device(struct aml *aml, const char *name)
{
	struct aml_block block;

	aml_byte(aml, OP_EXTENDED);
	aml_byte(aml, OP_DEVICE);
	block = open_block(aml);
	aml_bytes(aml, name, 4);
	return block;
}

struct aml_block aml_package(struct aml *aml, u8 count)
{
	struct aml_block block;

	aml_byte(aml, OP_PACKAGE);
	block = open_block(aml);
	aml_byte(aml, count);
	return block;
}

/* Name(_CRS, Buffer of @bytes). */
static void crs(struct aml *aml, const u8 *resources, u32 bytes)
{
	struct aml_block block;

	aml_name(aml, "_CRS");
	aml_byte(aml, OP_BUFFER);
	block = open_block(aml);
	aml_integer(aml, bytes);
	aml_bytes(aml, resources, bytes);
	aml_close(aml, block);
}

#define BYTES_OF(word) (u8)(word), (u8)((word) >> 8), (u8)((word) >> 16), (u8)((word) >> 24)

/* Extended interrupt: consumer, active high, exclusive; edge or level. */
#define INTERRUPT(gsi)       0x89, 6, 0, 0x03, 1, BYTES_OF(gsi)
#define LEVEL_INTERRUPT(gsi) 0x89, 6, 0, 0x01, 1, BYTES_OF(gsi)
#define END_TAG              0x79, 0 /* checksum 0 = not used */

void aml_crs_port_irq(struct aml *aml, u16 port, u8 count, u32 gsi)
{
	const u8 resources[] = {0x47, 0x01, (u8)port, (u8)(port >> 8), (u8)port, (u8)(port >> 8), 1,
		count, INTERRUPT(gsi), END_TAG};

	crs(aml, resources, sizeof(resources));
}

void aml_crs_memory_irq(struct aml *aml, u32 at, u32 bytes, u32 gsi)
{
	const u8 resources[] = {
		0x86, 9, 0, 0x01, BYTES_OF(at), BYTES_OF(bytes), LEVEL_INTERRUPT(gsi), END_TAG};

	crs(aml, resources, sizeof(resources));
}

void aml_crs_irq(struct aml *aml, u32 gsi)
{
	const u8 resources[] = {INTERRUPT(gsi), END_TAG};

	crs(aml, resources, sizeof(resources));
}
