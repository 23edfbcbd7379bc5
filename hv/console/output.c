/*
 * A guest's serial output: ring, line under way, and the workload's report. A guest's bytes reach
 * the host's console only through the line, from which control characters and escape sequences are
 * taken out: one guest must not be able to paint over another's, or to drive the administrator's
 * terminal.
 */
#include "hv/console/output.h"
#include "mm/base/str.h"

enum { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI };

void output_init(struct output *output, u8 *ring)
{
	*output = (struct output){.ring = ring};
}

void output_new_run(struct output *output)
{
	output->line_bytes = 0;
	output->line[0] = '\0';
	output->escape = ESCAPE_NONE;
	output->reported_ok = output->reported_fail = false;
}

static bool contains(const char *line, const char *word)
{
	size_t bytes = strlen(word);

	for (; *line; line++) {
		if (strncmp(line, word, bytes) == 0)
			return true;
	}
	return false;
}

static bool finish_line(struct output *output)
{
	bool empty = output->line_bytes == 0;

	output->line[output->line_bytes] = '\0';
	output->line_bytes = 0;
	output->reported_ok |= contains(output->line, "WORKLOAD ok");
	output->reported_fail |= contains(output->line, "WORKLOAD FAIL");
	return !empty;
}

/* Does @byte belong to an escape sequence (ESC x, or ESC [ ... letter)? */
static bool eat_escape(struct output *output, u8 byte)
{
	switch (output->escape) {
	case ESCAPE_START:
		output->escape = byte == '[' ? ESCAPE_CSI : ESCAPE_NONE;
		return true;
	case ESCAPE_CSI:
		if (byte >= 0x40 && byte <= 0x7e)
			output->escape = ESCAPE_NONE;
		return true;
	default:
		if (byte == 0x1b)
			output->escape = ESCAPE_START;
		return byte == 0x1b;
	}
}

bool output_put(struct output *output, u8 byte)
{
	output->ring[output->written++ % OUTPUT_RING_BYTES] = byte;
	if (byte == '\n') {
		output->escape = ESCAPE_NONE;
		return finish_line(output);
	}
	if (eat_escape(output, byte))
		return false;
	if (byte == '\t')
		byte = ' ';
	if (byte < 0x20 || byte >= 0x7f)
		return false;
	output->line[output->line_bytes++] = (char)byte;
	return output->line_bytes == OUTPUT_LINE_BYTES && finish_line(output);
}

size_t output_read(const struct output *output, u64 *from, u8 *to, size_t bytes)
{
	u64 oldest = output->written > OUTPUT_RING_BYTES ? output->written - OUTPUT_RING_BYTES : 0;
	size_t count = 0;

	if (*from < oldest)
		*from = oldest;
	while (count < bytes && *from < output->written)
		to[count++] = output->ring[(*from)++ % OUTPUT_RING_BYTES];
	return count;
}
