/*
 * Serial line, screen and keyboard as one console. Both outputs are slow, the line 90 us a
 * character: once the scheduler's loop runs, text only goes into a queue and into the screen's
 * cells, and the loop sends and draws a little at each turn.
 */
#include "hv/console/terminal.h"
#include "drivers/font.h"
#include "drivers/framebuffer.h"
#include "drivers/i8042.h"
#include "drivers/uart.h"
#include "hv/monitor/send_queue.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/lock.h"
#include "mm/base/log.h"

#define CELL_ROOM           32768u /* 319 x 100 is the most that a font of 8 x 16 fits, see framebuffer.c */
#define CELLS_PER_SLICE     64u
#define SLICES_PER_POLL     16u
#define LAST_WORDS_SECONDS  10u
#define LOADER_WINDOW_BYTES GIB(4) /* the loader's tables map that much for certain */

#define SENDS_AT_ONCE      4u
#define ROOM_FOR_OWN_LINES (SEND_QUEUE_BYTES / 4)
#define PIECE_BYTES        256u

static struct uart uart;
static struct {
	struct spinlock lock;    /* rank UART; guards the line too */
	struct send_queue queue; /* [lock] */
	bool in_use; /* [lock] the loop runs; until then text is sent while it is written */
} sending = {.lock = SPINLOCK(LOCK_RANK_UART)};
static struct {
	struct spinlock lock;  /* rank UART: never held together with the serial line's */
	struct framebuffer fb; /* [lock] */
	bool present;          /* [I] */
	bool drawn_at_poll;    /* [lock] */
	u64 pa, bytes;         /* [I] */
} screen = {.lock = SPINLOCK(LOCK_RANK_UART)};
static u8 cells[2 * CELL_ROOM];

/* A panic's: has it taken the screen, and is it just drawing (a fault there must not come back)? */
static bool panic_has_screen, panic_is_drawing;

void terminal_prepare_screen(const struct boot_framebuffer *given)
{
	bool reachable = given->base && given->base + given->bytes <= LOADER_WINDOW_BYTES;
	err_t err;

	if (given->format == BOOT_PIXEL_NONE || given->width > 65536 || given->height > 65536 ||
		(u64)given->stride * given->height * sizeof(u32) > given->bytes)
		return;
	err = framebuffer_init(&screen.fb, NULL, given->width, given->height, given->stride, cells,
		CELL_ROOM, font_psf, (size_t)(font_psf_end - font_psf));
	if (err)
		return;
	screen.pa = given->base;
	screen.bytes = (u64)given->stride * given->height * sizeof(u32);
	screen.fb.pixels = reachable ? (u32 *)(BOOT_WINDOW_VA + given->base) : NULL;
	screen.present = true;
}

static void draw_all(void)
{
	while (!framebuffer_draw(&screen.fb, CELLS_PER_SLICE))
		;
}

void terminal_open_screen(void)
{
	void *pixels;

	if (!screen.present) {
		log_info("screen: none that can be drawn on");
		return;
	}
	screen.fb.pixels = NULL; /* what the loader mapped is gone */
	pixels = paging_map_wc(screen.pa, screen.bytes);
	if (!pixels) {
		screen.present = false;
		log_warn("screen: no room to map %llu KiB at %llx",
			(unsigned long long)(screen.bytes >> 10), (unsigned long long)screen.pa);
		return;
	}
	framebuffer_clear(&screen.fb, pixels);
	draw_all();
	log_info("screen: %u x %u pixels, %u x %u characters", screen.fb.width, screen.fb.height,
		screen.fb.columns, screen.fb.rows);
}

void terminal_open_keyboard(void)
{
	log_info("keyboard: %s", i8042_init() ? "i8042" : "none");
}

bool terminal_open_serial(u16 port)
{
	return uart_init(&uart, port);
}

bool terminal_has_serial(void)
{
	return uart.present;
}

bool terminal_is_on(u16 port)
{
	return uart.present && uart.port == port;
}

/* Returns whether the line took all it was offered, so that there may be room for more. [lock] */
static bool send_some(void)
{
	u8 piece[UART_FIFO_BYTES];
	size_t bytes = send_queue_peek(&sending.queue, piece, sizeof(piece));
	size_t sent = bytes ? uart_send(&uart, piece, bytes) : 0;

	send_queue_take(&sending.queue, sent);
	return sent == UART_FIFO_BYTES;
}

void terminal_send(void)
{
	if (!terminal_is_sending())
		return;
	spin_lock(&sending.lock);
	for (u32 i = 0; i < SENDS_AT_ONCE && send_some(); i++)
		;
	spin_unlock(&sending.lock);
}

bool terminal_is_sending(void)
{
	return send_queue_bytes(&sending.queue) > 0;
}

bool terminal_has_room_for_guests(void)
{
	return send_queue_room(&sending.queue) > ROOM_FOR_OWN_LINES;
}

/* The queue goes out until only so much is left. If the line is dead all is thrown away. [lock] */
static void send_until(size_t left)
{
	u8 piece[UART_FIFO_BYTES];

	while (send_queue_bytes(&sending.queue) > left) {
		size_t bytes = send_queue_peek(&sending.queue, piece, sizeof(piece));

		if (!uart_put(&uart, piece, bytes))
			bytes = send_queue_bytes(&sending.queue);
		send_queue_take(&sending.queue, bytes);
	}
}

static void write_serial(const char *text, size_t bytes)
{
	if (!uart.present)
		return;
	spin_lock(&sending.lock);
	if (!sending.in_use) {
		uart_write(&uart, text, bytes);
		bytes = 0;
	}
	while (bytes > 0) {
		size_t piece = min(bytes, (size_t)PIECE_BYTES);

		if (!send_queue_put(&sending.queue, text, piece)) {
			send_until(SEND_QUEUE_BYTES - 2 * PIECE_BYTES);
			continue;
		}
		text += piece;
		bytes -= piece;
	}
	spin_unlock(&sending.lock);
}

void terminal_write_serial(const char *text, size_t bytes)
{
	write_serial(text, bytes);
}

void terminal_write(const char *text, size_t bytes)
{
	write_serial(text, bytes);
	if (!screen.present)
		return;
	spin_lock(&screen.lock);
	framebuffer_write(&screen.fb, text, bytes);
	if (!screen.drawn_at_poll && paging_is_mapped((u64)screen.fb.pixels))
		draw_all();
	spin_unlock(&screen.lock);
}

void terminal_write_unlocked(const char *text, size_t bytes)
{
	if (uart.present)
		send_until(0);
	uart_write(&uart, text, bytes);
	if (!screen.present || !screen.fb.pixels || panic_is_drawing)
		return;
	panic_is_drawing = true;
	if (!panic_has_screen) {
		framebuffer_clear(&screen.fb, screen.fb.pixels);
		framebuffer_restart(&screen.fb, true);
	}
	panic_has_screen = true;
	framebuffer_write(&screen.fb, text, bytes);
	draw_all();
	panic_is_drawing = false;
}

int terminal_read(void)
{
	int byte = uart_read(&uart);

	return byte >= 0 ? byte : i8042_read();
}

void terminal_poll(void)
{
	bool done = !screen.present;

	spin_lock(&sending.lock);
	sending.in_use = true;
	spin_unlock(&sending.lock);
	screen.drawn_at_poll = true;
	for (u32 i = 0; i < SLICES_PER_POLL && !done; i++) {
		if (__atomic_load_n(&this_cpu()->pending, __ATOMIC_RELAXED))
			return;
		spin_lock(&screen.lock);
		done = framebuffer_draw(&screen.fb, CELLS_PER_SLICE);
		spin_unlock(&screen.lock);
	}
}

void terminal_linger(u32 seconds)
{
	u64 end = time_tsc() + time_tsc_from_ns(seconds * 1000000000ull);

	if (uart.present) {
		spin_lock(&sending.lock);
		send_until(0);
		spin_unlock(&sending.lock);
	}
	uart_drain(&uart);
	if (!screen.present)
		return;
	spin_lock(&screen.lock);
	draw_all();
	spin_unlock(&screen.lock);
	while (time_tsc() < end)
		cpu_relax();
}

void terminal_last_call(void)
{
	terminal_linger(uart.present ? 0 : LAST_WORDS_SECONDS);
}
