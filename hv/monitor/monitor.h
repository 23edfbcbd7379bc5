/*
 * The second serial line, for programs: line-delimited JSON, requests in, answers and statistics
 * out. README, "The second serial line", is the protocol.
 *
 * Never waits for the line: what it cannot take is queued, what finds no room in the queue is
 * dropped whole and counted. The boot CPU's loop only; no lock.
 */
#ifndef HV_MONITOR_MONITOR_H
#define HV_MONITOR_MONITOR_H

#include "mm/base/types.h"

/* Open COM2, unless it is the console's. */
void monitor_open(void);

/* Hear, answer, send what the line takes. Each turn of the loop; bounded; cheap when not due. */
void monitor_work(u64 now_ns);

/* Is somebody there, or something to send? Then the loop shall come round in MONITOR_TURN_NS: the
 * line's FIFOs hold 16 bytes, which come or go in 1.4 ms, and there is other work in between. */
bool monitor_is_busy(void);
#define MONITOR_TURN_NS 500000ull

/* Before the power goes: send what is queued, as far as the line takes it. */
void monitor_last_call(void);

#endif
