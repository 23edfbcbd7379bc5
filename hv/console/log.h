/*
 * The hypervisor's own lines: stamped with the time since the hypervisor's start, kept in a ring
 * that the console's `log` shows, and sent to the terminal (hv/console/terminal.h). Each line is
 * whole, whichever CPUs log at once.
 */
#ifndef HV_CONSOLE_LOG_H
#define HV_CONSOLE_LOG_H

#include "mm/base/types.h"
#include "mm/base/log.h"

/* Open the serial line; what was logged before is sent then. @port: 0x3f8 or as firmware says. */
bool log_open_uart(u16 port);

/*
 * Let @sink show lines instead of writing them straight to the line, so that a console can redraw
 * what is being typed. Called under the log's lock: it must not log. NULL restores.
 */
void log_set_sink(void (*sink)(const char *text, size_t bytes));

/* Lines above this level are kept but not shown. LOG_INFO at first. */
void log_set_shown(enum log_level most);

/*
 * Copy kept text (whole lines, oldest first) from *cursor on; 0 starts at the oldest kept. Returns
 * the bytes copied, 0 at the end; *cursor moves on. Text that was overwritten meanwhile is skipped.
 */
size_t log_read(u64 *cursor, char *out, size_t bytes);

/* Keep and show text with no lock taken: for a panic, when nothing else runs any more. */
void log_write_unlocked(const char *text, size_t bytes);

#endif
