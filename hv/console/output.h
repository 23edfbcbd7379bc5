/*
 * What a guest printed on its serial line: the last 64 KiB as bytes, and the line under way, which
 * is what the host's console shows (so that several guests do not garble one line) and what the
 * verdict is read from. Pure: no clock, no device, tested on Linux.
 */
#ifndef HV_CONSOLE_OUTPUT_H
#define HV_CONSOLE_OUTPUT_H

#include "mm/base/types.h"

#define OUTPUT_RING_BYTES 65536u
#define OUTPUT_LINE_BYTES 240u

struct output {
	u8 *ring;    /* OUTPUT_RING_BYTES, owned by the VM */
	u64 written; /* bytes ever; the ring holds the last OUTPUT_RING_BYTES of them */
	u32 line_bytes;
	u8 escape;                        /* inside an escape sequence of the guest */
	char line[OUTPUT_LINE_BYTES + 1]; /* printable characters only, NUL-terminated */
	bool reported_ok, reported_fail;  /* a line held WORKLOAD ok, WORKLOAD FAIL */
};

void output_init(struct output *output, u8 *ring);

/*
 * Take one byte. Returns whether a line is complete (or as long as it can get): output->line holds
 * it until the next call. Empty lines are not reported.
 */
bool output_put(struct output *output, u8 byte);

/* Copy bytes from position @from on (positions count all bytes ever written); older ones are gone.
 * Returns how many were copied and moves *from behind them. */
size_t output_read(const struct output *output, u64 *from, u8 *to, size_t bytes);

/* Forget the reports and the line under way (a new run); the ring stays. */
void output_new_run(struct output *output);

#endif
