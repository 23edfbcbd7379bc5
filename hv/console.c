/*
 * The console. The screen holds finished lines and, at its end, perhaps the prompt with what has
 * been typed so far; whoever writes a line takes that away first, and it is drawn again when the
 * loop comes round.
 */
#include "hv/console.h"
#include "hv/commands.h"
#include "hv/line_edit.h"
#include "hv/log.h"
#include "hv/sched.h"
#include "hv/terminal.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

#define KEY_DETACH      0x1d /* Ctrl-] */
#define BYTES_PER_POLL  64
#define REPLAY_PER_POLL 2048
#define PROMPT          "bellows> "
#define ERASE_LINE      "\r\x1b[K"

static struct line_edit edit;
static bool prompt_wanted; /* somebody is there */
static bool prompt_shown;
static bool line_open; /* the cursor is behind text of an attached guest */

static u64 lines_dropped; /* of guests, for which the line had no room */

static struct vm *attached;
static u64 attached_at;      /* position in its output up to which it was shown */
static int typed_ahead = -1; /* a byte the attached guest had no room for */

static void (*asker)(const char *text, size_t bytes); /* for whom a command runs; NULL: for us */

static void raw(const char *text, size_t bytes)
{
	terminal_write(text, bytes);
}

static void raw_string(const char *text)
{
	raw(text, strlen(text));
}

static void take_prompt_away(void)
{
	if (prompt_shown)
		raw_string(ERASE_LINE);
	prompt_shown = false;
}

static void draw_prompt(void)
{
	take_prompt_away();
	raw_string(PROMPT);
	raw(edit.text, edit.bytes);
	prompt_shown = true;
}

/* Whole lines from the hypervisor: not into the middle of a guest's line. */
static void show_lines(const char *text, size_t bytes)
{
	take_prompt_away();
	if (line_open)
		raw_string("\n");
	line_open = false;
	raw(text, bytes);
}

void console_printf(const char *fmt, ...)
{
	char text[512];
	va_list args;
	int bytes;

	va_start(args, fmt);
	bytes = fmt_vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (bytes >= (int)sizeof(text)) {
		bytes = sizeof(text) - 1;
		text[bytes - 1] = '\n';
	}
	(asker ? asker : show_lines)(text, (size_t)bytes);
}

void console_run_for(char *line, void (*answer)(const char *text, size_t bytes))
{
	asker = answer;
	commands_run(line);
	asker = NULL;
}

/* --- A guest's serial line ------------------------------------------------------------------- */

static void replay(u32 most)
{
	u8 piece[256];
	size_t bytes;

	for (u32 done = 0; done < most && terminal_has_room_for_guests(); done += (u32)bytes) {
		bytes = output_read(&attached->output, &attached_at, piece, sizeof(piece));
		if (bytes == 0)
			return;
		raw((const char *)piece, bytes);
		line_open = piece[bytes - 1] != '\n';
	}
}

static void detach(void)
{
	const char *name = vm_name(attached);

	attached = NULL;
	typed_ahead = -1;
	console_printf("-- detached from %s --\n", name);
}

void console_attach(struct vm *vm)
{
	if (asker) {
		console_printf("console is for who sits at the terminal\n");
		return;
	}
	console_printf("-- %s: its last output, then live; Ctrl-] detaches --\n", vm_name(vm));
	attached = vm;
	attached_at = 0;
	typed_ahead = -1;
}

void console_guest_byte(struct vm *vm, u8 byte)
{
	if (attached != vm || attached_at + 1 != vm->output.written)
		return; /* nobody looks, or older bytes are still to be shown */
	if (!terminal_has_room_for_guests())
		return; /* poll_attached() shows it later */
	attached_at++;
	raw((const char *)&byte, 1);
	line_open = byte != '\n';
}

void console_guest_line(struct vm *vm)
{
	if (attached || !sched_config()->host.guest_output)
		return;
	/* It is in the guest's ring: no VM shall wait until another's line has been sent. */
	if (terminal_has_room_for_guests())
		console_printf("[%s] %s\n", vm_name(vm), vm->output.line);
	else
		lines_dropped++;
}

/* Said once there is room again. */
static void report_dropped(void)
{
	if (lines_dropped == 0 || !terminal_has_room_for_guests())
		return;
	console_printf(
		"-- %llu lines of guests not shown, the line is too slow; try console NAME --\n",
		(unsigned long long)lines_dropped);
	lines_dropped = 0;
}

void console_guest_ended(struct vm *vm)
{
	if (attached != vm)
		return;
	replay(OUTPUT_RING_BYTES);
	detach();
}

/* Returns false if the guest has no room for it now. */
static bool pass_on(u8 byte)
{
	bool taken;

	if (attached->state != VM_RUNNING)
		return true;
	spin_lock(&attached->lock);
	taken = vdev_serial_in(attached->vdev, byte);
	spin_unlock(&attached->lock);
	return taken;
}

static void poll_attached(void)
{
	replay(REPLAY_PER_POLL);
	for (u32 i = 0; i < BYTES_PER_POLL && attached; i++) {
		int byte = typed_ahead >= 0 ? typed_ahead : terminal_read();

		typed_ahead = -1;
		if (byte < 0)
			return;
		if (byte == KEY_DETACH) {
			detach();
		} else if (!pass_on((u8)byte)) {
			typed_ahead = byte;
			return;
		}
	}
}

/* --- The prompt ------------------------------------------------------------------------------ */

static void act_on(enum line_edit_result result)
{
	switch (result) {
	case LINE_EDIT_NOTHING:
		break;
	case LINE_EDIT_APPENDED:
		if (prompt_shown)
			raw(&edit.text[edit.bytes - 1], 1);
		else
			draw_prompt();
		break;
	case LINE_EDIT_CHANGED:
		draw_prompt();
		break;
	case LINE_EDIT_CANCELLED:
		raw_string("^C\n");
		prompt_shown = false;
		break;
	case LINE_EDIT_ENTERED:
		if (!prompt_shown) {
			raw_string(PROMPT);
			raw_string(edit.entered);
		}
		raw_string("\n");
		prompt_shown = false;
		commands_run(edit.entered);
		break;
	}
}

static void poll_input(void)
{
	if (attached) {
		poll_attached();
		if (attached)
			return;
	}
	for (u32 i = 0; i < BYTES_PER_POLL && !attached; i++) {
		int byte = terminal_read();

		if (byte < 0)
			break;
		prompt_wanted = true;
		act_on(line_edit_put(&edit, (u8)byte));
	}
	if (prompt_wanted && !prompt_shown && !attached)
		draw_prompt();
}

void console_poll(void)
{
	poll_input();
	report_dropped();
	terminal_poll();
}

void console_start(void)
{
	line_edit_init(&edit);
	prompt_wanted = !sched_config()->host.autostop;
	log_set_sink(show_lines);
	if (prompt_wanted)
		console_printf("This is the hypervisor's console: try help, vms, console NAME.\n");
}
