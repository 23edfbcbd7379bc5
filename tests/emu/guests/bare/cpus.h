/* Guests with several CPUs: how the others are started, and how each sleeps and is woken. */
#ifndef TESTS_EMU_GUESTS_BARE_CPUS_H
#define TESTS_EMU_GUESTS_BARE_CPUS_H

#include "tests/emu/guests/bare/bare.h"

#define CPUS_MOST        62u
#define CPUS_START_AT    0x40000u
#define CPUS_STACK_BYTES 8192u

/**
 * On the first CPU, once: interrupts of its own, so that cpus_sleep() works. @stacks:
 * CPUS_STACK_BYTES for each CPU that will be started.
 */
void cpus_init(uint8_t *stacks);

/** On the first CPU: INIT and SIPI to CPU @index; it runs @run(@index) when this returns. */
void cpus_start_one(uint32_t index, void (*run)(uint32_t index));

/** On any CPU: an NMI, or an INIT, to CPU @index. */
void cpus_send_nmi(uint32_t index);
void cpus_send_init(uint32_t index);

/** On any CPU: halted for so many microseconds by its own timer, or until another interrupt. */
void cpus_sleep(uint32_t us);
void cpus_sleep_ticks(uint32_t ticks); /* of the timer, 2 ns each; not 0 */

/** Where a started CPU gets to in C (cpus_start.S). */
_Noreturn void cpus_main(void);

/**
 * All CPUs write the same pages at once; bellows.cpus=n=4,pages=256,rounds=200: see cpus.c.
 */
_Noreturn void cpus_run(const struct bare_boot *boot, const char *arguments);

/** A CPU in each state, for ever; bellows.roles=mib=8: see roles.c. */
_Noreturn void roles_run(const struct bare_boot *boot, const char *arguments);

/** Sleeps of all lengths, so that interrupts come around STI; HLT: see shadow.c. */
void shadow_run(const struct bare_boot *boot, uint32_t *test_count);

/** Two CPUs halt with interrupts off, for good at last; bellows.halts=halt: see halts.c. */
_Noreturn void halts_run(const struct bare_boot *boot, const char *arguments);

#endif
