/*
 * Whether a CPU takes part is settled once, between it and the boot CPU, which calls it and does
 * not wait for ever: the state moves CPU_ABSENT -> STARTING (called) -> COMING (it answers, and
 * sets itself up) -> ONLINE, or ends as FAILED. Each step is one compare-and-swap, so that both
 * sides always agree: a CPU that was given up never works, and one that works is counted.
 *
 * Until it has answered a CPU touches nothing that is shared, so one that has not may be put back
 * by INIT at any moment. Pure: runs on the host under test.
 */
#ifndef HV_X86_CPU_START_H
#define HV_X86_CPU_START_H

#include "mm/base/types.h"

enum cpu_state { CPU_ABSENT, CPU_STARTING, CPU_COMING, CPU_ONLINE, CPU_FAILED };

/* Boot CPU: it is about to be called. */
void cpu_start_call(u32 *state);
/* The CPU: it has come. False: it was given up, and must touch nothing. */
bool cpu_start_answer(u32 *state);
/* The CPU: it is set up, and @fit to work or not. False: it is FAILED, and must not work. */
bool cpu_start_finish(u32 *state, bool fit);
/* Boot CPU: is there no more to wait for? */
bool cpu_start_is_settled(const u32 *state);
/* Boot CPU: wait no longer. Returns the state that it was in; if not ONLINE it is FAILED now. */
enum cpu_state cpu_start_settle(u32 *state);

#endif
