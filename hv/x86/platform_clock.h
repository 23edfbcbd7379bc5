/*
 * The board's clocks, used for moments at boot only: a counter of known rate (ACPI PM timer, else
 * PIT channel 2) to measure others with, and the CMOS clock for the date.
 */
#ifndef HV_X86_PLATFORM_CLOCK_H
#define HV_X86_PLATFORM_CLOCK_H

#include "mm/base/types.h"

struct platform_clock {
	const char *name;
	bool is_pm_timer;
	u32 mask; /* width of the PM timer */
};

/* Choose a clock that runs. Needs power_init()'s ACPI facts. false: none. */
bool platform_clock_start(struct platform_clock *clock);
/* Wait some @us (at most 50,000): returns how many really went by, 0 if the clock stopped. */
u64 platform_clock_wait_us(const struct platform_clock *clock, u32 us);
/* Seconds since 1970 by the CMOS clock, taken for UTC. */
u64 platform_clock_epoch(void);

#endif
