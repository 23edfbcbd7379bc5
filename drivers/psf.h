/*
 * Console fonts in the PC Screen Font formats 1 and 2, as Debian packages ship them: find the glyph
 * of an ASCII character. Pure; nothing of the font is trusted.
 *
 * Formats: the kbd project's description of PSF; all numbers little-endian, a glyph's rows padded
 * to whole bytes, the leftmost pixel in the highest bit.
 */
#ifndef DRIVERS_PSF_H
#define DRIVERS_PSF_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct psf_font {
	const u8 *glyphs;
	u32 glyph_count;
	u32 glyph_bytes;
	u32 width, height; /* pixels; width at most 32 */
	u16 ascii[128];    /* glyph number of each character; that of '?' where the font has none */
};

/* @blob stays in use. E_INVAL (not PSF, or truncated), E_UNSUPPORTED (wider than 32 pixels). */
must_check err_t psf_open(const void *blob, size_t bytes, struct psf_font *font);

/* Row @y of a character, leftmost pixel in bit 31. Non-ASCII characters show as '?'. */
u32 psf_row(const struct psf_font *font, u8 character, u32 y);

#endif
