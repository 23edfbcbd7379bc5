/*
 * Leveled messages. A line is formatted on the caller's stack (at most LOG_LINE_BYTES) and handed
 * to platform_log(), which keeps it in a ring and shows it. Never waits, may be called with locks
 * held.
 */
#ifndef MM_BASE_LOG_H
#define MM_BASE_LOG_H

#include "mm/base/types.h"

#define LOG_LINE_BYTES 256

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_printf(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_error(...) log_printf(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_printf(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_printf(LOG_DEBUG, __VA_ARGS__)

#endif
