/* Line editing: one byte at a time, escape sequences across bytes. */
#include "hv/console/line_edit.h"
#include "mm/base/str.h"

enum { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI };

#define KEY_CTRL_C    0x03
#define KEY_BACKSPACE 0x08
#define KEY_CTRL_U    0x15
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f

void line_edit_init(struct line_edit *edit)
{
	memset(edit, 0, sizeof(*edit));
}

static void set_text(struct line_edit *edit, const char *text)
{
	edit->bytes = (u32)strnlen(text, LINE_EDIT_BYTES - 1);
	memcpy(edit->text, text, edit->bytes);
	edit->text[edit->bytes] = '\0';
}

static char *kept(struct line_edit *edit, u32 back)
{
	return edit->history[(edit->history_count - back) % LINE_EDIT_HISTORY];
}

static enum line_edit_result enter(struct line_edit *edit)
{
	memcpy(edit->entered, edit->text, edit->bytes + 1);
	if (edit->bytes > 0 &&
		(edit->history_count == 0 || strcmp(kept(edit, 1), edit->text) != 0)) {
		memcpy(edit->history[edit->history_count % LINE_EDIT_HISTORY], edit->text,
			edit->bytes + 1);
		edit->history_count++;
	}
	set_text(edit, "");
	edit->back = 0;
	return LINE_EDIT_ENTERED;
}

static enum line_edit_result move_in_history(struct line_edit *edit, bool older)
{
	u32 most = min(edit->history_count, (u32)LINE_EDIT_HISTORY);

	if (older ? edit->back == most : edit->back == 0)
		return LINE_EDIT_NOTHING;
	edit->back += older ? 1 : -1;
	set_text(edit, edit->back ? kept(edit, edit->back) : "");
	return LINE_EDIT_CHANGED;
}

static enum line_edit_result put_escape(struct line_edit *edit, u8 byte)
{
	if (edit->escape == ESCAPE_START) {
		edit->escape = byte == '[' ? ESCAPE_CSI : ESCAPE_NONE;
		return LINE_EDIT_NOTHING;
	}
	if (byte < 0x40)
		return LINE_EDIT_NOTHING; /* parameters */
	edit->escape = ESCAPE_NONE;
	return byte == 'A' || byte == 'B' ? move_in_history(edit, byte == 'A') : LINE_EDIT_NOTHING;
}

static enum line_edit_result put_character(struct line_edit *edit, u8 byte)
{
	if (byte < 0x20 || byte > 0x7e || edit->bytes == LINE_EDIT_BYTES - 1)
		return LINE_EDIT_NOTHING;
	edit->text[edit->bytes++] = (char)byte;
	edit->text[edit->bytes] = '\0';
	return LINE_EDIT_APPENDED;
}

enum line_edit_result line_edit_put(struct line_edit *edit, u8 byte)
{
	bool after_cr = edit->after_cr;

	edit->after_cr = byte == '\r';
	if (edit->escape != ESCAPE_NONE)
		return put_escape(edit, byte);
	switch (byte) {
	case '\n':
		return after_cr ? LINE_EDIT_NOTHING : enter(edit);
	case '\r':
		return enter(edit);
	case KEY_ESCAPE:
		edit->escape = ESCAPE_START;
		return LINE_EDIT_NOTHING;
	case KEY_BACKSPACE:
	case KEY_DELETE:
		if (edit->bytes == 0)
			return LINE_EDIT_NOTHING;
		edit->text[--edit->bytes] = '\0';
		return LINE_EDIT_CHANGED;
	case KEY_CTRL_U:
		set_text(edit, "");
		return LINE_EDIT_CHANGED;
	case KEY_CTRL_C:
		set_text(edit, "");
		edit->back = 0;
		return LINE_EDIT_CANCELLED;
	default:
		return put_character(edit, byte);
	}
}
