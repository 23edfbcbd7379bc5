/*
 * The line being typed at the console: printable characters, Backspace, Ctrl-U, Ctrl-C, Enter, and
 * Up and Down through the last lines. Pure: bytes in, what is to be shown out.
 */
#ifndef HV_CONSOLE_LINE_EDIT_H
#define HV_CONSOLE_LINE_EDIT_H

#include "mm/base/types.h"

#define LINE_EDIT_BYTES   128
#define LINE_EDIT_HISTORY 8

enum line_edit_result {
	LINE_EDIT_NOTHING,
	LINE_EDIT_APPENDED, /* the last character of .text is new: show it */
	LINE_EDIT_CHANGED,  /* show the whole line anew */
	LINE_EDIT_ENTERED,  /* .entered holds the line; .text is empty again */
	LINE_EDIT_CANCELLED,
};

struct line_edit {
	char text[LINE_EDIT_BYTES]; /* NUL-terminated */
	u32 bytes;
	char entered[LINE_EDIT_BYTES];
	char history[LINE_EDIT_HISTORY][LINE_EDIT_BYTES];
	u32 history_count; /* lines ever kept */
	u32 back;          /* how many lines back .text was taken from; 0 = newly typed */
	u8 escape;
	bool after_cr; /* an LF that follows belongs to it */
};

/* An empty line, no history. */
void line_edit_init(struct line_edit *edit);
/* Take a byte that was typed; any value. */
enum line_edit_result line_edit_put(struct line_edit *edit, u8 byte);

#endif
