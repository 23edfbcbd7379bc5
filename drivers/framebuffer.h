/*
 * A text console on a linear framebuffer, for machines with no serial line. It takes the same bytes
 * as the serial console: printable ASCII, newline, carriage return, backspace, tab, and of escape
 * sequences those that erase to the end of the line or of the screen; the others are swallowed.
 *
 * Writing text changes characters in memory only; framebuffer_draw() then draws the cells whose
 * character differs from what stands on the screen. So a flood of lines costs no pixel until
 * somebody has time to draw, and the framebuffer, which is slow to read, is never read. Both grids
 * of characters are rings of rows: a scrolled line moves no memory.
 *
 * Locks: the caller's console lock; a panic calls in without it, which can garble a line and
 * nothing else.
 */
#ifndef DRIVERS_FRAMEBUFFER_H
#define DRIVERS_FRAMEBUFFER_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "drivers/psf.h"

struct framebuffer {
	volatile u32
		*pixels; /* mapped memory, 32 bits a pixel; NULL: text is kept, nothing is drawn */
	u32 width, height, stride; /* pixels */
	u32 scale;                 /* each pixel of the font is so many wide and high */
	struct psf_font font;
	u32 columns, rows;
	u8 *wanted; /* columns x rows characters; row 0 of the screen is row `top` of it */
	u8 *shown;  /* the characters that stand on the screen; its row 0 is row 0 */
	u32 top;
	u32 column, row; /* where the next character goes */
	u32 draw_row;    /* where drawing goes on */
	u8 escape;
	bool frozen;  /* what does not fit is dropped: nothing scrolls away */
	bool dirty;   /* `wanted` changed since drawing began its round over the rows */
	bool drawing; /* a round is under way */
};

/*
 * Take over a screen; it is not touched before framebuffer_draw(). @pixels may be NULL for now.
 * @cells: memory for the characters, 2 * @cell_room bytes, the caller's for as long; a screen with
 * more cells than @cell_room shows fewer rows. Large screens get a magnified font. Returns E_INVAL
 * (not one character fits, or the font is broken), E_UNSUPPORTED.
 */
must_check err_t framebuffer_init(struct framebuffer *fb, volatile void *pixels, u32 width,
	u32 height, u32 stride, u8 *cells, size_t cell_room, const void *font, size_t font_bytes);

/* Paint everything black and forget what is shown, but keep the text. Cost: O(pixels). */
void framebuffer_clear(struct framebuffer *fb, volatile void *pixels);

/* No text on the screen. With @frozen what comes now stays: lines beyond the last are dropped. */
void framebuffer_restart(struct framebuffer *fb, bool frozen);

/* Cost: O(bytes), and O(columns) a line. */
void framebuffer_write(struct framebuffer *fb, const char *text, size_t bytes);

/*
 * Draw up to @most changed cells. Returns whether the screen shows all that was written.
 * Cost: O(cells) comparisons if anything was written since, else nothing.
 */
bool framebuffer_draw(struct framebuffer *fb, u32 most);

#endif
