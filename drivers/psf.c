/* PSF fonts: headers, and the Unicode table that says which glyph shows which character. */
#include "drivers/psf.h"
#include "mm/base/str.h"

#define PSF1_MAGIC        0x0436u
#define PSF1_HEADER_BYTES 4u
#define PSF1_MODE_512     1u
#define PSF1_MODE_UNICODE 6u /* has a table, or a table with sequences */
#define PSF1_SEPARATOR    0xffffu
#define PSF1_SEQUENCE     0xfffeu

#define PSF2_MAGIC        0x864ab572u
#define PSF2_HEADER_BYTES 32u
#define PSF2_FLAG_UNICODE 1u
#define PSF2_SEPARATOR    0xffu
#define PSF2_SEQUENCE     0xfeu

#define WIDTH_MAX 32u

static u32 get_u16(const u8 *p)
{
	return p[0] | (u32)p[1] << 8;
}

static u32 get_u32(const u8 *p)
{
	return get_u16(p) | get_u16(p + 2) << 16;
}

/* PSF1: 16-bit characters; FFFE begins sequences, not single characters; FFFF ends a glyph. */
static void map_psf1(struct psf_font *font, const u8 *at, const u8 *end)
{
	bool in_sequence = false;

	for (u32 glyph = 0; glyph < font->glyph_count && end - at >= 2; at += 2) {
		u32 code = get_u16(at);

		if (code == PSF1_SEPARATOR) {
			glyph++;
			in_sequence = false;
		} else if (code == PSF1_SEQUENCE) {
			in_sequence = true;
		} else if (code < ARRAY_COUNT(font->ascii) && !in_sequence) {
			font->ascii[code] = (u16)glyph;
		}
	}
}

/* PSF2: the same in UTF-8; ASCII is one byte, and no byte of a longer character looks like it. */
static void map_psf2(struct psf_font *font, const u8 *at, const u8 *end)
{
	bool in_sequence = false;

	for (u32 glyph = 0; glyph < font->glyph_count && at < end; at++) {
		if (*at == PSF2_SEPARATOR) {
			glyph++;
			in_sequence = false;
		} else if (*at == PSF2_SEQUENCE) {
			in_sequence = true;
		} else if (*at < ARRAY_COUNT(font->ascii) && !in_sequence) {
			font->ascii[*at] = (u16)glyph;
		}
	}
}

static void map_by_position(struct psf_font *font)
{
	for (u32 c = 0; c < ARRAY_COUNT(font->ascii); c++)
		font->ascii[c] = (u16)(c < font->glyph_count ? c : 0);
}

static void map_missing_to(struct psf_font *font, u16 missing, u8 shown)
{
	for (u32 c = 0; c < ARRAY_COUNT(font->ascii); c++) {
		if (font->ascii[c] == missing)
			font->ascii[c] = font->ascii[shown] == missing ? 0 : font->ascii[shown];
	}
}

err_t psf_open(const void *blob, size_t bytes, struct psf_font *font)
{
	const u8 *start = blob, *end = start + bytes;
	u32 header;
	bool has_table;

	if (bytes >= PSF2_HEADER_BYTES && get_u32(start) == PSF2_MAGIC) {
		header = get_u32(start + 8);
		has_table = get_u32(start + 12) & PSF2_FLAG_UNICODE;
		font->glyph_count = get_u32(start + 16);
		font->glyph_bytes = get_u32(start + 20);
		font->height = get_u32(start + 24);
		font->width = get_u32(start + 28);
	} else if (bytes >= PSF1_HEADER_BYTES && get_u16(start) == PSF1_MAGIC) {
		header = PSF1_HEADER_BYTES;
		has_table = start[2] & PSF1_MODE_UNICODE;
		font->glyph_count = start[2] & PSF1_MODE_512 ? 512 : 256;
		font->glyph_bytes = font->height = start[3];
		font->width = 8;
	} else {
		return E_INVAL;
	}
	if (font->width > WIDTH_MAX)
		return E_UNSUPPORTED;
	if (font->width == 0 || font->height == 0 || font->glyph_count == 0 ||
		font->glyph_count > UINT16_MAX || header > bytes ||
		(u64)font->height * ((font->width + 7) / 8) != font->glyph_bytes ||
		(u64)font->glyph_count * font->glyph_bytes > bytes - header)
		return E_INVAL;
	font->glyphs = start + header;
	map_by_position(font);
	if (has_table) {
		const u8 *table = font->glyphs + (size_t)font->glyph_count * font->glyph_bytes;

		memset(font->ascii, 0xff, sizeof(font->ascii));
		if (get_u16(start) == PSF1_MAGIC)
			map_psf1(font, table, end);
		else
			map_psf2(font, table, end);
		map_missing_to(font, 0xffff, '?');
	}
	return E_OK;
}

u32 psf_row(const struct psf_font *font, u8 character, u32 y)
{
	u32 row_bytes = (font->width + 7) / 8;
	u16 glyph = font->ascii[character < ARRAY_COUNT(font->ascii) ? character : '?'];
	const u8 *row = font->glyphs + (size_t)glyph * font->glyph_bytes + y * row_bytes;
	u32 bits = 0;

	for (u32 i = 0; i < row_bytes; i++)
		bits |= (u32)row[i] << (24 - 8 * i);
	return bits;
}
