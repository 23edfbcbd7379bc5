/* SRCS: hv/monitor/monitor_request.c hv/monitor/json_read.c hv/monitor/json_write.c
   mm/base/fmt.c */
/*
 * Any line as a request: it is understood or refused with a reason, what is understood is printable
 * and lies in the line; and any bytes, written as JSON, are one line of printable ASCII.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/monitor/json_write.h"
#include "hv/monitor/monitor_request.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void is_printable(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		require(text[i] >= 0x20 && text[i] < 0x7f);
}

static void read_request(const u8 *data, size_t bytes)
{
	char *line = malloc(bytes + 1);
	struct monitor_request request;
	const char *why = NULL;

	memcpy(line, data, bytes);
	line[bytes] = '\0';
	size_t length = strlen(line);

	if (monitor_request_read(line, &request, &why) != 0) {
		require(why != NULL);
	} else if (request.what == MONITOR_COMMAND) {
		require(request.command >= line && request.command < line + length);
		is_printable(request.command, strlen(request.command));
	} else {
		require(request.period_ms >= MONITOR_PERIOD_MS_MIN &&
			request.period_ms <= MONITOR_PERIOD_MS_MAX);
	}
	require(strnlen(request.id, sizeof(request.id)) < sizeof(request.id));
	is_printable(request.id, strlen(request.id));
	free(line);
}

static void write_object(const u8 *data, size_t bytes)
{
	size_t room = bytes * 6 + 32;
	char *text = malloc(room);
	struct json_write j;

	json_write_begin(&j, text, room);
	json_write_text(&j, "text", (const char *)data, bytes);
	size_t written = json_write_end(&j);

	require(written > 0 && text[written - 1] == '\n');
	is_printable(text, written - 1);
	free(text);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	if (bytes > MONITOR_LINE_BYTES)
		return 0;
	read_request(data, bytes);
	write_object(data, bytes);
	return 0;
}
