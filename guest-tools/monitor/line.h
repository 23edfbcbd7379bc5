/*
 * The line to a hypervisor: a UNIX socket (QEMU's), a serial device, or a file with what was
 * recorded of one. It is opened again whenever it breaks, greeted until it answers, and subscribed
 * to again and again, for the hypervisor cannot see that we are still there.
 */
#ifndef GUEST_TOOLS_MONITOR_LINE_H
#define GUEST_TOOLS_MONITOR_LINE_H

#include "guest-tools/monitor/sample.h"

#define LINE_WHY_SIZE 200

struct line {
	const char *path;
	unsigned period_ms;
	int fd;            /* -1: not open */
	bool is_recording; /* a file: read to its end, never written to */
	bool has_ended;    /* the file has been read */
	bool is_answered;
	uint64_t next_ms; /* when to open, greet or subscribe again */
	uint64_t heard_ms;
	char why[LINE_WHY_SIZE]; /* why there is nothing to see; "" = all is well */
	char *text; /* owned: LINE_MOST bytes, what was read and is no whole line yet */
	size_t bytes;
	struct sample building;
	struct sample sample; /* the last whole one */
	uint64_t samples;     /* whole ones ever */
};

/* Returns false with no memory. Opens nothing yet. */
bool line_init(struct line *l, const char *path, unsigned period_ms);
void line_close(struct line *l);

/*
 * Wait, at most so long, for something to come on the line or on @also (-1: nothing else); do what
 * is to be done. Returns whether l->sample is a new one.
 */
bool line_step(struct line *l, int also, int timeout_ms);

/* Milliseconds of a clock that only goes forward. */
uint64_t line_now_ms(void);

#endif
