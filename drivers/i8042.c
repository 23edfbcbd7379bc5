/*
 * i8042 keyboard: status and data ports, and the translation of scan code set 1 (IBM PC/AT
 * Technical Reference, "Keyboard"; the controller translates set 2 to set 1 as firmware left it).
 */
#include "drivers/i8042.h"
#include "hv/x86/insn.h"

#define PORT_DATA    0x60
#define PORT_STATUS  0x64
#define PORT_COMMAND 0x64

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_INPUT_FULL  0x02
#define STATUS_AUX         0x20 /* the byte is the mouse's */

#define COMMAND_READ_CONFIG     0x20
#define COMMAND_WRITE_CONFIG    0x60
#define COMMAND_ENABLE_KEYBOARD 0xae

#define CONFIG_KEYBOARD_IRQ 0x01
#define CONFIG_AUX_IRQ      0x02
#define CONFIG_TRANSLATE    0x40

#define POLL_MOST 10000u /* reads of the status port before the controller counts as dead */
#define READ_MOST 64u    /* bytes that type nothing, in one call: a mouse, or a bus gone dead */

#define SCAN_EXTENDED  0xe0
#define SCAN_PAUSE     0xe1
#define SCAN_RELEASE   0x80
#define SCAN_CONTROL   0x1d
#define SCAN_SHIFT_L   0x2a
#define SCAN_SHIFT_R   0x36
#define SCAN_CAPS_LOCK 0x3a
#define SCAN_DELETE    0x53

static const char plain[] =
	"\0\0331234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] =
	"\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
_Static_assert(sizeof(plain) == sizeof(shifted), "two faces of the same keys");

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int key_down(const struct i8042_keys *keys, u8 key)
{
	if (key >= sizeof(plain) - 1)
		return -1;
	bool upper = keys->shift != (keys->caps_lock && is_letter(plain[key]));
	char c = upper ? shifted[key] : plain[key];

	if (keys->control)
		return c >= '@' && c < 0x7f ? c & 0x1f : -1;
	return c ? c : -1;
}

int i8042_translate(struct i8042_keys *keys, u8 scan_code)
{
	u8 key = scan_code & (u8)~SCAN_RELEASE;
	bool down = !(scan_code & SCAN_RELEASE);
	bool extended = keys->extended;

	if (keys->pause_bytes) {
		keys->pause_bytes--;
		return -1;
	}
	keys->extended = scan_code == SCAN_EXTENDED;
	if (scan_code == SCAN_PAUSE)
		keys->pause_bytes = 5; /* E1 1D 45 E1 9D C5: one key, no release */
	if (scan_code == SCAN_EXTENDED || scan_code == SCAN_PAUSE)
		return -1;
	switch (key) {
	case SCAN_CONTROL:
		keys->control = down;
		return -1;
	case SCAN_SHIFT_L:
	case SCAN_SHIFT_R:
		if (!extended) /* E0 2A is a fake shift around the cursor keys */
			keys->shift = down;
		return -1;
	case SCAN_CAPS_LOCK:
		if (down)
			keys->caps_lock = !keys->caps_lock;
		return -1;
	}
	if (!down)
		return -1;
	if (!extended)
		return key_down(keys, key);
	switch (key) { /* of the extended keys only those that type a byte */
	case 0x1c:
		return '\r';
	case 0x35:
		return '/';
	case SCAN_DELETE:
		return 0x7f;
	default:
		return -1;
	}
}

static struct {
	bool present;
	struct i8042_keys keys;
} keyboard;

static bool wait_status(u8 mask, u8 wanted)
{
	for (u32 i = 0; i < POLL_MOST; i++) {
		if ((inb(PORT_STATUS) & mask) == wanted)
			return true;
	}
	return false;
}

static bool command(u8 byte)
{
	if (!wait_status(STATUS_INPUT_FULL, 0))
		return false;
	outb(PORT_COMMAND, byte);
	return true;
}

static void drain(void)
{
	for (u32 i = 0; i < 64 && (inb(PORT_STATUS) & STATUS_OUTPUT_FULL); i++)
		(void)inb(PORT_DATA);
}

bool i8042_init(void)
{
	if (inb(PORT_STATUS) == 0xff)
		return false; /* nobody drives the bus there */
	drain();
	if (!command(COMMAND_READ_CONFIG) || !wait_status(STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL))
		return false;
	u8 config = inb(PORT_DATA);

	config |= CONFIG_TRANSLATE;
	config &= (u8) ~(CONFIG_KEYBOARD_IRQ | CONFIG_AUX_IRQ);
	if (!command(COMMAND_WRITE_CONFIG) || !wait_status(STATUS_INPUT_FULL, 0))
		return false;
	outb(PORT_DATA, config);
	if (!command(COMMAND_ENABLE_KEYBOARD))
		return false;
	drain();
	keyboard.present = true;
	return true;
}

int i8042_read(void)
{
	for (u32 i = 0; keyboard.present && i < READ_MOST; i++) {
		u8 status = inb(PORT_STATUS);

		if (!(status & STATUS_OUTPUT_FULL))
			break;
		u8 byte = inb(PORT_DATA);
		int typed = status & STATUS_AUX ? -1 : i8042_translate(&keyboard.keys, byte);

		if (typed >= 0)
			return typed;
	}
	return -1;
}
