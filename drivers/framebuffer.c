/* The text console: cells, cursor, scrolling; light grey on black, the same in RGBX and BGRX. */
#include "drivers/framebuffer.h"
#include "mm/base/str.h"

#define PIXEL_FOREGROUND 0x00c0c0c0u
#define PIXEL_BACKGROUND 0x00000000u

#define TAB_COLUMNS 8u
#define WIDTH_PER_SCALE                                                                            \
	2560u /* from so many pixels on the font is doubled, from twice as many tripled */
#define SHOWN_UNKNOWN 0u /* is never wanted: drawn anew */

enum { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI, ESCAPE_CSI_ARGUMENT };

static u8 *wanted_row(const struct framebuffer *fb, u32 row)
{
	u32 at = fb->top + row;

	return fb->wanted + (size_t)(at < fb->rows ? at : at - fb->rows) * fb->columns;
}

static u8 *shown_row(const struct framebuffer *fb, u32 row)
{
	return fb->shown + (size_t)row * fb->columns;
}

static void erase(struct framebuffer *fb, u32 row, u32 from)
{
	memset(wanted_row(fb, row) + from, ' ', fb->columns - from);
	fb->dirty = true;
}

static bool is_full(const struct framebuffer *fb)
{
	return fb->row == fb->rows;
}

static void line_feed(struct framebuffer *fb)
{
	fb->column = 0;
	if (fb->row + 1 < fb->rows || fb->frozen) {
		fb->row++;
		return;
	}
	fb->top = fb->top + 1 < fb->rows ? fb->top + 1 : 0;
	erase(fb, fb->rows - 1, 0);
}

/* A sequence that means something here: erase to the end of the line (K), and of the screen (J). */
static void act_on_escape(struct framebuffer *fb, u8 final, bool has_argument)
{
	if (has_argument || (final != 'K' && final != 'J'))
		return;
	erase(fb, fb->row, fb->column);
	for (u32 row = fb->row + 1; final == 'J' && row < fb->rows; row++)
		erase(fb, row, 0);
}

/* Does the character belong to an escape sequence (ESC x, or ESC [ ... letter)? */
static bool eat_escape(struct framebuffer *fb, u8 character)
{
	switch (fb->escape) {
	case ESCAPE_NONE:
		if (character == 0x1b)
			fb->escape = ESCAPE_START;
		return character == 0x1b;
	case ESCAPE_START:
		fb->escape = character == '[' ? ESCAPE_CSI : ESCAPE_NONE;
		return true;
	default:
		if (character >= 0x40 && character <= 0x7e) {
			act_on_escape(fb, character, fb->escape == ESCAPE_CSI_ARGUMENT);
			fb->escape = ESCAPE_NONE;
		} else {
			fb->escape = ESCAPE_CSI_ARGUMENT;
		}
		return true;
	}
}

static void put(struct framebuffer *fb, u8 character)
{
	if (is_full(fb) || eat_escape(fb, character))
		return;
	switch (character) {
	case '\n':
		line_feed(fb);
		return;
	case '\r':
		fb->column = 0;
		return;
	case '\b':
		if (fb->column)
			fb->column--;
		return;
	case '\t':
		fb->column =
			min(ALIGN_DOWN(fb->column, TAB_COLUMNS) + TAB_COLUMNS, fb->columns - 1);
		return;
	}
	if (character < ' ' || character == 0x7f)
		return;
	/* Wrapped by the character that does not fit: a full line costs no empty one. */
	if (fb->column == fb->columns)
		line_feed(fb);
	if (is_full(fb))
		return;
	wanted_row(fb, fb->row)[fb->column++] = character;
	fb->dirty = true;
}

void framebuffer_write(struct framebuffer *fb, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		put(fb, (u8)text[i]);
}

/* --- Pixels ---------------------------------------------------------------------------------- */

static void glyph_row_draw(const struct framebuffer *fb, volatile u32 *line, u32 bits)
{
	for (u32 x = 0; x < fb->font.width; x++, bits <<= 1) {
		for (u32 i = 0; i < fb->scale; i++)
			*line++ = bits & BIT(31) ? PIXEL_FOREGROUND : PIXEL_BACKGROUND;
	}
}

static void cell_draw(const struct framebuffer *fb, u32 column, u32 row, u8 character)
{
	volatile u32 *line = fb->pixels + (size_t)row * fb->font.height * fb->scale * fb->stride +
			     (size_t)column * fb->font.width * fb->scale;

	for (u32 y = 0; y < fb->font.height; y++) {
		u32 bits = psf_row(&fb->font, character, y);

		for (u32 i = 0; i < fb->scale; i++, line += fb->stride)
			glyph_row_draw(fb, line, bits);
	}
}

/* Returns how many of at most @most cells were drawn. */
static u32 row_draw(const struct framebuffer *fb, u32 row, u32 most)
{
	const u8 *wanted = wanted_row(fb, row);
	u8 *shown = shown_row(fb, row);
	u32 drawn = 0;

	for (u32 column = 0; column < fb->columns && drawn < most; column++) {
		if (shown[column] == wanted[column])
			continue;
		shown[column] = wanted[column];
		cell_draw(fb, column, row, wanted[column]);
		drawn++;
	}
	return drawn;
}

bool framebuffer_draw(struct framebuffer *fb, u32 most)
{
	if (!fb->pixels || (!fb->dirty && !fb->drawing))
		return true;
	if (!fb->drawing)
		fb->dirty = false;
	fb->drawing = true;
	for (; fb->draw_row < fb->rows; fb->draw_row++) {
		most -= row_draw(fb, fb->draw_row, most);
		if (most == 0)
			return false;
	}
	fb->draw_row = 0;
	fb->drawing = false;
	return !fb->dirty;
}

void framebuffer_clear(struct framebuffer *fb, volatile void *pixels)
{
	fb->pixels = pixels;
	for (u32 y = 0; y < fb->height; y++) {
		for (u32 x = 0; x < fb->width; x++)
			fb->pixels[(size_t)y * fb->stride + x] = PIXEL_BACKGROUND;
	}
	memset(fb->shown, ' ', (size_t)fb->columns * fb->rows);
	fb->dirty = true;
}

void framebuffer_restart(struct framebuffer *fb, bool frozen)
{
	fb->frozen = frozen;
	fb->escape = ESCAPE_NONE;
	fb->column = fb->row = fb->top = 0;
	for (u32 row = 0; row < fb->rows; row++)
		erase(fb, row, 0);
}

err_t framebuffer_init(struct framebuffer *fb, volatile void *pixels, u32 width, u32 height,
	u32 stride, u8 *cells, size_t cell_room, const void *font, size_t font_bytes)
{
	err_t err;

	memset(fb, 0, sizeof(*fb));
	err = psf_open(font, font_bytes, &fb->font);
	if (err)
		return err;
	fb->scale = 1 + width / WIDTH_PER_SCALE;
	fb->columns = width / (fb->font.width * fb->scale);
	if (!fb->columns || stride < width)
		return E_INVAL;
	fb->rows =
		(u32)min((size_t)(height / (fb->font.height * fb->scale)), cell_room / fb->columns);
	if (!fb->rows)
		return E_INVAL;
	fb->pixels = pixels;
	fb->width = width;
	fb->height = height;
	fb->stride = stride;
	fb->wanted = cells;
	fb->shown = cells + cell_room;
	memset(fb->shown, SHOWN_UNKNOWN, (size_t)fb->columns * fb->rows);
	framebuffer_restart(fb, false);
	return E_OK;
}
