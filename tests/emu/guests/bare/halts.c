/*
 * Two CPUs that halt with interrupts off. As long as one of them runs, or an NMI is on its way, the
 * VM is alive: CPU 0 spins for a while beside CPU 1, which is halted; then they wake each other in
 * turn by NMIs, and halt as soon as they have sent one. At last both halt, and nothing can wake
 * them any more; bellows.halts= says how:
 *
 *   halt     CPU 0 halts
 *   init     CPU 0 sends CPU 1 an INIT, and halts
 *   blocked  CPU 0 halts in an NMI's handler, with another NMI pending
 */
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/cpus.h"

#define ROUNDS   200u
#define ALONE_MS 20u
#define NMI      2u
#define LAPIC_ID 0xfee00020ul

static const char *how;
static volatile bool is_other_there, is_end;
static volatile uint32_t nmis[2]; /* that each has had */

static _Noreturn void halt(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

static void other(uint32_t cpu)
{
	(void)cpu;
	is_other_there = true;
	halt();
}

/* On CPU 0, with its last NMI over. */
static _Noreturn void end(void)
{
	print_number("HALTS rounds=", ROUNDS);
	print("\n");
	is_end = true;
	if (is_word(how, "init"))
		cpus_send_init(1);
	if (is_word(how, "blocked"))
		cpus_send_nmi(0);
	halt();
}

static void on_interrupt(struct frame *frame)
{
	uint32_t cpu = *(volatile uint32_t *)LAPIC_ID >> 24;

	if (frame->vector != NMI || cpu > 1) {
		print_number("WORKLOAD FAIL profile=halts: vector=", frame->vector);
		print("\n");
		power_off();
	}
	if (is_end) {
		cpus_send_nmi(0);
		halt();
	}
	if (++nmis[cpu] == ROUNDS && cpu == 0)
		frame->rip = (uintptr_t)end;
	else
		cpus_send_nmi(1 - cpu);
}

_Noreturn void halts_run(const struct bare_boot *boot, const char *arguments)
{
	uint64_t began, ticks = ALONE_MS * ticks_per_ms();

	how = arguments;
	cpus_init(free_memory(boot) + CPUS_STACK_BYTES);
	interrupt_handler = on_interrupt;
	cpus_start_one(1, other);
	while (!is_other_there)
		asm volatile("pause");
	began = measure_tsc();
	while (measure_tsc() - began < ticks)
		;
	cpus_send_nmi(1);
	halt();
}
