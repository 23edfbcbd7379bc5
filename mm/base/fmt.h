/*
 * printf's formatting without a C library: %d %i %u %x %X %c %s %p %% with -, 0, #, width,
 * precision and *, h/hh/l/ll/z/j lengths. Anything else is printed as it stands, so a mistake
 * shows.
 */
#ifndef MM_BASE_FMT_H
#define MM_BASE_FMT_H

#include "mm/base/types.h"
#include <stdarg.h>

/* As snprintf: returns the length the whole text would have; buf is always NUL-terminated if bytes
 * > 0. */
int fmt_vsnprintf(char *buf, size_t bytes, const char *fmt, va_list args);
int fmt_snprintf(char *buf, size_t bytes, const char *fmt, ...) printf_like(3, 4);

#endif
