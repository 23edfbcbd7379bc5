/*
 * STI keeps interrupts out for one more instruction, so that a guest that halts behind it is woken
 * by what was waiting. The timer is set to come at all moments around that; on_interrupt() of
 * cpus_start.c looks where it came. A guest that is not woken hangs, and one that is interrupted
 * before its HLT says so.
 */
#include "tests/emu/guests/bare/cpus.h"

#define TICKS_FIRST 50u /* of 2 ns */
#define TICKS_STEP  7u
#define TICKS_COUNT 2000u
#define ROUNDS      TICKS_STEP

void shadow_run(const struct bare_boot *boot, uint32_t *test_count)
{
	cpus_init(free_memory(boot));
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < TICKS_COUNT; i++, ++*test_count)
			cpus_sleep_ticks(TICKS_FIRST + i * TICKS_STEP + round);
	}
}
