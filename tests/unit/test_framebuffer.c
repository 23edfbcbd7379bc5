/* SRCS: drivers/framebuffer.c drivers/psf.c */
/* The screen console: what is written stands there in pixels, scrolls, and no font can lead it
 * astray. */
#include "drivers/framebuffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define GLYPH_ROWS 8u
#define PSF1_BYTES (4 + 256 * GLYPH_ROWS)
#define WIDTH      64u
#define HEIGHT     32u
#define STRIDE     70u

/* Each glyph's rows are its own number, so that a cell on the screen can be read back; a space is
 * blank. */
static void font_make(u8 *font)
{
	font[0] = 0x36;
	font[1] = 0x04;
	font[2] = 0;
	font[3] = GLYPH_ROWS;
	for (u32 glyph = 0; glyph < 256; glyph++)
		memset(font + 4 + glyph * GLYPH_ROWS, glyph == ' ' ? 0 : (int)glyph, GLYPH_ROWS);
}

#define CELL_ROOM 64u /* more than the 8 x 4 that fit */

struct screen {
	struct framebuffer fb;
	u32 *pixels;
	u8 *cells;
	u8 font[PSF1_BYTES];
};

static void screen_make(struct screen *s)
{
	font_make(s->font);
	s->pixels = malloc(STRIDE * HEIGHT * 4);
	memset(s->pixels, 0x55, STRIDE * HEIGHT * 4);
	s->cells = malloc(CELL_ROOM * 2);
	assert_int_equal(framebuffer_init(&s->fb, NULL, WIDTH, HEIGHT, STRIDE, s->cells, CELL_ROOM,
				 s->font, sizeof(s->font)),
		E_OK);
	framebuffer_clear(&s->fb, s->pixels);
}

static void show(struct screen *s, const char *text)
{
	framebuffer_write(&s->fb, text, strlen(text));
	while (!framebuffer_draw(&s->fb, 3))
		;
}

static void screen_free(struct screen *s)
{
	free(s->pixels);
	free(s->cells);
}

/* The character whose glyph stands in a cell; -1 if its rows differ. */
static int cell_read(const struct screen *s, u32 column, u32 row)
{
	int seen = -1;

	for (u32 y = 0; y < GLYPH_ROWS; y++) {
		u32 bits = 0;

		for (u32 x = 0; x < 8; x++)
			bits = bits << 1 |
			       (s->pixels[(row * GLYPH_ROWS + y) * STRIDE + column * 8 + x] != 0);
		if (y && (int)bits != seen)
			return -1;
		seen = (int)bits;
	}
	return seen ? seen : ' ';
}

static void row_is(const struct screen *s, u32 row, const char *text)
{
	for (u32 i = 0; i < strlen(text); i++)
		assert_int_equal(cell_read(s, i, row), text[i]);
}

static void text_stands_where_it_was_written(void **state)
{
	struct screen s;

	(void)state;
	screen_make(&s);
	show(&s, "ab\ncd\re\tX\bY");
	row_is(&s, 0, "ab");
	row_is(&s, 1, "ed     Y");
	screen_free(&s);
}

static void long_lines_wrap_and_the_screen_scrolls(void **state)
{
	struct screen s;

	(void)state;
	screen_make(&s);
	show(&s, "12345678abc\nd\ne\nf");
	row_is(&s, 0, "abc     ");
	row_is(&s, 1, "d       ");
	row_is(&s, 3, "f       ");
	screen_free(&s);
}

static void a_line_that_just_fits_takes_one_row(void **state)
{
	struct screen s;

	(void)state;
	screen_make(&s);
	show(&s, "12345678\nabc");
	row_is(&s, 0, "12345678");
	row_is(&s, 1, "abc     ");
	screen_free(&s);
}

static void the_end_of_a_line_is_erased_and_other_escapes_vanish(void **state)
{
	struct screen s;

	(void)state;
	screen_make(&s);
	show(&s, "prompt\r\x1b[Kab\x1b[1;31mc\x1b[2Kd\x1b"
		 "7e\x1b[6n");
	row_is(&s, 0, "abcde   ");
	show(&s, "\n1\n2\n3\r\x1b[J");
	row_is(&s, 3, "        ");
	row_is(&s, 2, "2       ");
	screen_free(&s);
}

static void nothing_is_drawn_before_it_is_asked_for(void **state)
{
	struct screen s;

	(void)state;
	screen_make(&s);
	show(&s, "");
	framebuffer_write(&s.fb, "abc", 3);
	assert_int_equal(cell_read(&s, 0, 0), ' ');
	assert_false(framebuffer_draw(&s.fb, 2));
	row_is(&s, 0, "ab ");
	assert_true(framebuffer_draw(&s.fb, 2));
	row_is(&s, 0, "abc");
	screen_free(&s);
}

/* A panic's first lines matter most. */
static void a_frozen_screen_keeps_what_came_first(void **state)
{
	struct screen s;

	(void)state;
	screen_make(&s);
	show(&s, "old\nold\nold\nold\nold");
	framebuffer_restart(&s.fb, true);
	show(&s, "1\n2\n3\n4\n5\n6\x1b[J\x1b[K7");
	row_is(&s, 0, "1       ");
	row_is(&s, 3, "4       ");
	screen_free(&s);
}

static void text_written_before_there_are_pixels_is_drawn_later(void **state)
{
	struct screen s;

	(void)state;
	screen_make(&s);
	s.fb.pixels = NULL;
	show(&s, "early");
	framebuffer_clear(&s.fb, s.pixels);
	show(&s, "\nlate");
	row_is(&s, 0, "early");
	row_is(&s, 1, "late");
	screen_free(&s);
}

static void scrolled_text_is_what_a_naive_screen_shows(void **state)
{
	struct screen s;
	char naive[4][9], line[9];

	(void)state;
	screen_make(&s);
	memset(naive, ' ', sizeof(naive));
	for (u32 i = 0; i < 500; i++) {
		snprintf(line, sizeof(line), "%-8u", i * 7919 % 100000);
		show(&s, "\n");
		show(&s, line);
		memmove(naive[0], naive[1], sizeof(naive) - sizeof(naive[0]));
		memcpy(naive[3], line, 9);
		for (u32 row = 0; i >= 3 && row < 4; row++)
			row_is(&s, row, naive[row]);
	}
	screen_free(&s);
}

static void pixels_beyond_the_width_stay_untouched(void **state)
{
	struct screen s;

	(void)state;
	screen_make(&s);
	for (u32 i = 0; i < 200; i++)
		show(&s, "zyxwvut\n");
	for (u32 y = 0; y < HEIGHT; y++) {
		for (u32 x = WIDTH; x < STRIDE; x++)
			assert_int_equal(s.pixels[y * STRIDE + x], 0x55555555);
	}
	screen_free(&s);
}

static void unicode_table_names_the_glyphs(void **state)
{
	static u8 blob[PSF1_BYTES + 256 * 4];
	struct psf_font font;
	u8 *table = blob + PSF1_BYTES;

	(void)state;
	font_make(blob);
	blob[2] = 2;
	for (u32 glyph = 0; glyph < 256; glyph++) {
		u32 code = glyph == 200 ? 'A' : 0x2500 + glyph;

		if (glyph == 77)
			code = '?';
		table[glyph * 4] = (u8)code;
		table[glyph * 4 + 1] = (u8)(code >> 8);
		table[glyph * 4 + 2] = table[glyph * 4 + 3] = 0xff;
	}
	assert_int_equal(psf_open(blob, sizeof(blob), &font), E_OK);
	assert_int_equal(psf_row(&font, 'A', 0), 200u << 24);
	assert_int_equal(psf_row(&font, 'B', 3), 77u << 24);
	assert_int_equal(psf_row(&font, 0xe4, 3), 77u << 24);
}

static void broken_fonts_are_refused(void **state)
{
	u8 *blob = malloc(PSF1_BYTES);
	struct psf_font font;

	(void)state;
	font_make(blob);
	for (size_t bytes = 0; bytes < PSF1_BYTES; bytes += 7)
		assert_int_equal(psf_open(blob, bytes, &font), E_INVAL);
	blob[3] = 0;
	assert_int_equal(psf_open(blob, PSF1_BYTES, &font), E_INVAL);
	blob[0] = 'x';
	assert_int_equal(psf_open(blob, PSF1_BYTES, &font), E_INVAL);
	free(blob);
}

static void screens_too_small_for_a_character_are_refused(void **state)
{
	struct framebuffer fb;
	u8 font[PSF1_BYTES];
	u8 cells[CELL_ROOM * 2];

	(void)state;
	font_make(font);
	assert_int_equal(framebuffer_init(&fb, NULL, 7, 8, 8, cells, CELL_ROOM, font, sizeof(font)),
		E_INVAL);
	assert_int_equal(framebuffer_init(&fb, NULL, 8, 7, 8, cells, CELL_ROOM, font, sizeof(font)),
		E_INVAL);
	assert_int_equal(framebuffer_init(&fb, NULL, 8, 8, 4, cells, CELL_ROOM, font, sizeof(font)),
		E_INVAL);
	assert_int_equal(
		framebuffer_init(&fb, NULL, 800, 600, 800, cells, CELL_ROOM, font, sizeof(font)),
		E_INVAL);
}

static void large_screens_magnify_and_use_no_more_cells_than_there_are(void **state)
{
	struct framebuffer fb;
	u8 font[PSF1_BYTES];
	u8 *cells = malloc(2 * 1000);
	u32 *pixels = calloc(3840 * 32, 4);

	(void)state;
	font_make(font);
	assert_int_equal(
		framebuffer_init(&fb, NULL, 3840, 2160, 3840, cells, 1000, font, sizeof(font)),
		E_OK);
	assert_int_equal(fb.scale, 2);
	assert_int_equal(fb.columns, 240);
	assert_int_equal(fb.rows, 4);
	fb.height = 32; /* of which no more than two rows are drawn here */
	fb.rows = 2;
	framebuffer_clear(&fb, pixels);
	framebuffer_write(&fb, "A", 1); /* 0x41 */
	while (!framebuffer_draw(&fb, 100))
		;
	assert_int_equal(pixels[0], 0);
	assert_int_not_equal(pixels[2], 0);
	assert_int_not_equal(pixels[3840 + 3], 0);
	assert_int_equal(pixels[4], 0);
	free(pixels);
	free(cells);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_stands_where_it_was_written),
		cmocka_unit_test(long_lines_wrap_and_the_screen_scrolls),
		cmocka_unit_test(a_line_that_just_fits_takes_one_row),
		cmocka_unit_test(the_end_of_a_line_is_erased_and_other_escapes_vanish),
		cmocka_unit_test(nothing_is_drawn_before_it_is_asked_for),
		cmocka_unit_test(a_frozen_screen_keeps_what_came_first),
		cmocka_unit_test(text_written_before_there_are_pixels_is_drawn_later),
		cmocka_unit_test(scrolled_text_is_what_a_naive_screen_shows),
		cmocka_unit_test(pixels_beyond_the_width_stay_untouched),
		cmocka_unit_test(unicode_table_names_the_glyphs),
		cmocka_unit_test(broken_fonts_are_refused),
		cmocka_unit_test(screens_too_small_for_a_character_are_refused),
		cmocka_unit_test(large_screens_magnify_and_use_no_more_cells_than_there_are),
	};

	return cmocka_run_group_tests_name("unit/framebuffer", tests, NULL, NULL);
}
