/*
 * The console. The screen holds finished lines and, at its end, perhaps the prompt with what has
 * been typed so far; whoever writes a line takes that away first, and it is drawn again when the
 * loop comes round. The boot CPU reads what is typed and acts on it; any CPU may write, so what is
 * on the last line is under a lock, which is held while a piece of text is written.
 */
#include "hv/console/console.h"
#include "hv/console/commands.h"
#include "hv/console/line_edit.h"
#include "hv/console/log.h"
#include "hv/sched/sched.h"
#include "hv/console/terminal.h"
#include "mm/base/fmt.h"
#include "mm/base/lock.h"
#include "mm/base/str.h"

#define KEY_DETACH      0x1d /* Ctrl-] */
#define BYTES_PER_POLL  64
#define REPLAY_PER_POLL 2048
#define PROMPT          "bellows> "
#define ERASE_LINE      "\r\x1b[K"

static struct spinlock lock = SPINLOCK(LOCK_RANK_CONSOLE);

static struct line_edit edit; /* boot CPU's, like prompt_wanted and typed_ahead */
static bool prompt_wanted;    /* somebody is there */
static bool prompt_shown;     /* [lock] */
static bool line_open;        /* [lock] the cursor is behind text of an attached guest */

static u64 lines_dropped; /* [a] of guests, for which the line had no room */

static struct vm *attached;  /* [lock]; changed by the boot CPU only */
static u64 attached_at;      /* [lock] position in its output up to which it was shown */
static int typed_ahead = -1; /* a byte the attached guest had no room for */

/* Boot CPU's: for whom a command runs; NULL: for who sits at the terminal. */
static void (*asker)(const char *text, size_t bytes);

static void raw(const char *text, size_t bytes)
{
	terminal_write(text, bytes);
}

static void raw_string(const char *text)
{
	raw(text, strlen(text));
}

/* Lock held. */
static void take_prompt_away(void)
{
	if (prompt_shown)
		raw_string(ERASE_LINE);
	prompt_shown = false;
}

static void draw_prompt(void)
{
	spin_lock(&lock);
	take_prompt_away();
	raw_string(PROMPT);
	raw(edit.text, edit.bytes);
	prompt_shown = true;
	spin_unlock(&lock);
}

/* Whole lines from the hypervisor: not into the middle of a guest's line. */
static void show_lines(const char *text, size_t bytes)
{
	spin_lock(&lock);
	take_prompt_away();
	if (line_open)
		raw_string("\n");
	line_open = false;
	raw(text, bytes);
	spin_unlock(&lock);
}

/* @to: whose eyes it is for. */
static void put(void (*to)(const char *text, size_t bytes), const char *fmt, va_list args)
{
	char text[512];
	int bytes = fmt_vsnprintf(text, sizeof(text), fmt, args);

	if (bytes >= (int)sizeof(text)) {
		bytes = sizeof(text) - 1;
		text[bytes - 1] = '\n';
	}
	to(text, (size_t)bytes);
}

void console_printf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put(asker ? asker : show_lines, fmt, args);
	va_end(args);
}

/* The same for the terminal, whoever a command runs for; from any CPU. */
printf_like(1, 2) static void say_here(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put(show_lines, fmt, args);
	va_end(args);
}

void console_run_for(char *line, void (*answer)(const char *text, size_t bytes))
{
	asker = answer;
	commands_run(line);
	asker = NULL;
}

/* --- A guest's serial line ------------------------------------------------------------------- */

/* Show what comes next of the attached guest's output. Returns how many bytes there were. */
static size_t replay_piece(void)
{
	struct vm *vm = attached;
	u8 piece[256];
	size_t bytes;

	spin_lock(&vm->lock);
	spin_lock(&lock);
	bytes = output_read(&vm->output, &attached_at, piece, sizeof(piece));
	if (bytes) {
		raw((const char *)piece, bytes);
		line_open = piece[bytes - 1] != '\n';
	}
	spin_unlock(&lock);
	spin_unlock(&vm->lock);
	return bytes;
}

static void replay(u32 most)
{
	size_t bytes = 1;

	for (u32 done = 0; bytes && done < most && terminal_has_room_for_guests();
		done += (u32)bytes)
		bytes = replay_piece();
}

static void attach(struct vm *vm)
{
	spin_lock(&lock);
	attached = vm;
	attached_at = 0;
	spin_unlock(&lock);
	typed_ahead = -1;
}

static void detach(void)
{
	const char *name = vm_name(attached);

	attach(NULL);
	say_here("-- detached from %s --\n", name);
}

void console_attach(struct vm *vm)
{
	if (asker) {
		console_printf("console is for who sits at the terminal\n");
		return;
	}
	console_printf("-- %s: its last output, then live; Ctrl-] detaches --\n", vm_name(vm));
	attach(vm);
}

void console_guest_byte(struct vm *vm, u8 byte)
{
	spin_lock(&lock);
	/* Not if nobody looks, or older bytes are still to be shown; nor if there is no room:
	 * poll_attached() shows it later. */
	if (attached == vm && attached_at + 1 == vm->output.written &&
		terminal_has_room_for_guests()) {
		attached_at++;
		raw((const char *)&byte, 1);
		line_open = byte != '\n';
	}
	spin_unlock(&lock);
}

void console_guest_line(struct vm *vm)
{
	if (__atomic_load_n(&attached, __ATOMIC_RELAXED) || !sched_config()->host.guest_output)
		return;
	/* It is in the guest's ring: no VM shall wait until another's line has been sent. */
	if (terminal_has_room_for_guests())
		say_here("[%s] %s\n", vm_name(vm), vm->output.line);
	else
		__atomic_fetch_add(&lines_dropped, 1, __ATOMIC_RELAXED);
}

/* Said once there is room again. */
static void report_dropped(void)
{
	u64 dropped;

	if (!terminal_has_room_for_guests())
		return;
	dropped = __atomic_exchange_n(&lines_dropped, 0, __ATOMIC_RELAXED);
	if (dropped)
		console_printf("-- %llu lines of guests not shown, the line is too slow; try "
			       "console NAME --\n",
			(unsigned long long)dropped);
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

/* The line goes on: by the last byte typed, or as a whole where it is not on the screen. */
static void append(void)
{
	bool shown;

	spin_lock(&lock);
	shown = prompt_shown;
	if (shown)
		raw(&edit.text[edit.bytes - 1], 1);
	spin_unlock(&lock);
	if (!shown)
		draw_prompt();
}

/* The line @text is over, and shown as a whole if it was not on the screen; @end follows it. */
static void leave_line(const char *text, const char *end)
{
	spin_lock(&lock);
	if (!prompt_shown) {
		raw_string(PROMPT);
		raw_string(text);
	}
	raw_string(end);
	prompt_shown = false;
	spin_unlock(&lock);
}

static void act_on(enum line_edit_result result)
{
	switch (result) {
	case LINE_EDIT_NOTHING:
		break;
	case LINE_EDIT_APPENDED:
		append();
		break;
	case LINE_EDIT_CHANGED:
		draw_prompt();
		break;
	case LINE_EDIT_CANCELLED:
		leave_line("", "^C\n");
		break;
	case LINE_EDIT_ENTERED:
		leave_line(edit.entered, "\n");
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
