/* Leveled messages: format on the caller's stack, hand the line to the platform. */
#include "mm/base/log.h"
#include "mm/base/fmt.h"
#include "mm/platform.h"

void log_printf(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_BYTES];
	va_list args;
	int length;

	va_start(args, fmt);
	length = fmt_vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (length >= (int)sizeof(line)) {
		for (size_t i = sizeof(line) - 4; i < sizeof(line) - 1; i++)
			line[i] = '.';
	}
	platform_log(level, line);
}
