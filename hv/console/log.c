/*
 * The ring holds the last LOG_RING_BYTES of text; `written` counts all bytes ever, so a position in
 * the text is a number that never wraps and tells by itself whether it is still in the ring.
 */
#include "hv/console/log.h"
#include "hv/console/terminal.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/base/lock.h"
#include "mm/base/str.h"
#include "mm/platform.h"

#define LOG_RING_BYTES KIB(64)

static struct spinlock lock = SPINLOCK(LOCK_RANK_LOG);
static char ring[LOG_RING_BYTES];                    /* [lock] */
static u64 written;                                  /* [lock] */
static void (*sink)(const char *text, size_t bytes); /* [lock] */
static enum log_level shown = LOG_INFO;

static const char *const level_marks[] = {"ERROR ", "warning: ", "", ""};

static void keep(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		ring[(written + i) % LOG_RING_BYTES] = text[i];
	written += bytes;
}

bool log_open_uart(u16 port)
{
	char text[LOG_LINE_BYTES];
	u64 cursor = 0;
	size_t bytes;

	if (!terminal_open_serial(port))
		return false;
	while ((bytes = log_read(&cursor, text, sizeof(text))) != 0)
		terminal_write_serial(text, bytes);
	return true;
}

void log_set_sink(void (*new_sink)(const char *text, size_t bytes))
{
	spin_lock(&lock);
	sink = new_sink;
	spin_unlock(&lock);
}

void log_set_shown(enum log_level most)
{
	shown = most;
}

void platform_log(enum log_level level, const char *line)
{
	char text[LOG_LINE_BYTES + 40];
	u64 us = platform_now_ns() / 1000;
	int length = fmt_snprintf(text, sizeof(text), "[%5llu.%06llu] %s%s\n",
		(unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000),
		level_marks[level & 3], line);

	length = min(length, (int)sizeof(text) - 1);
	spin_lock(&lock);
	keep(text, (size_t)length);
	if (level <= shown) {
		if (sink)
			sink(text, (size_t)length);
		else
			terminal_write(text, (size_t)length);
	}
	spin_unlock(&lock);
}

void log_write_unlocked(const char *text, size_t bytes)
{
	keep(text, bytes);
	terminal_write_unlocked(text, bytes);
}

size_t log_read(u64 *cursor, char *out, size_t bytes)
{
	size_t copied = 0, line_end = 0;
	u64 from;

	spin_lock(&lock);
	from = *cursor;
	if (written > LOG_RING_BYTES && from < written - LOG_RING_BYTES) {
		from = written - LOG_RING_BYTES;
		while (from < written && ring[from++ % LOG_RING_BYTES] != '\n')
			;
	}
	while (from + copied < written && copied < bytes) {
		out[copied] = ring[(from + copied) % LOG_RING_BYTES];
		if (out[copied++] == '\n')
			line_end = copied;
	}
	/* Whole lines, unless one alone is longer than the buffer. */
	copied = line_end ? line_end : copied;
	*cursor = from + copied;
	spin_unlock(&lock);
	return copied;
}
