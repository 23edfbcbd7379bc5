/*
 * The machine's own console, whatever it consists of: a serial line, the screen that firmware left
 * us, a plain PC keyboard. What is written goes to serial line and screen alike, and both are typed
 * on; either may be missing.
 *
 * Text for the screen is kept from the very first line on, and stands there as soon as there are
 * pixels.
 */
#ifndef HV_CONSOLE_TERMINAL_H
#define HV_CONSOLE_TERMINAL_H

#include "mm/base/types.h"
#include "boot/boot_info.h"

/* Keep text for this screen from now on. First thing; until terminal_open_screen() only a panic
 * draws on it. */
void terminal_prepare_screen(const struct boot_framebuffer *screen);
/* Map and clear it, and show what was written so far. After paging_init(), boot CPU. */
void terminal_open_screen(void);
void terminal_open_keyboard(void);

/* COM1 or what firmware names: then text goes there too. Returns whether there is such a port. */
bool terminal_open_serial(u16 port);
bool terminal_has_serial(void);
/* Is it that port? */
bool terminal_is_on(u16 port);

/*
 * Text, "\n" ends a line. Once terminal_poll() is being called it only queues it for the serial
 * line, which terminal_send() feeds; it waits for the line only when the queue is full. Takes
 * locks, which are the innermost.
 */
void terminal_write(const char *text, size_t bytes);
/* Can a guest's text be taken, with room for the hypervisor's own? Else it is not to be written. */
bool terminal_has_room_for_guests(void);
/* To the serial line alone: for what was written before it was open. */
void terminal_write_serial(const char *text, size_t bytes);
/* For a panic: takes no lock; clears the screen at first, and keeps on it what comes first. */
void terminal_write_unlocked(const char *text, size_t bytes);

/* The next byte typed, or -1. Never waits. */
int terminal_read(void);

/*
 * Give the serial line what it takes now: 16 bytes, where it is a real one. Never waits; cheap when
 * there is nothing to send.
 */
void terminal_send(void);
/* Is there more to send? Then terminal_send() is to be called again in TERMINAL_SEND_NS. */
bool terminal_is_sending(void);
#define TERMINAL_SEND_NS 1400000ull /* 16 characters at 115200 */

/*
 * From the first call on the screen is drawn here, not while text is written: at most some thousand
 * characters, and no longer than 100 us at a stretch without looking whether something else is due
 * on this CPU.
 */
void terminal_poll(void);

/* Everything is sent and drawn, and stays for so long. For what a person must have read. */
void terminal_linger(u32 seconds);

/* Before the power goes: everything is sent and drawn, and where the screen is all there is, it
 * stays a while. */
void terminal_last_call(void);

#endif
