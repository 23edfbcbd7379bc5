/*
 * mm's platform on Linux: RAM is an arena, CPUs are numbers.
 *
 * The current CPU is a thread's own variable. One thread may play all CPUs in turn (fake_cpu_set),
 * so that a test decides every interleaving; or each thread plays one, and they really race. Free
 * frames are poisoned, in value and, under ASan, in access; so are the frame tables' parts where no
 * RAM is.
 */
#ifndef TESTS_FAKE_PLATFORM_H
#define TESTS_FAKE_PLATFORM_H

#include "mm/frame/frame.h"
#include "mm/platform.h"

/* Start mm on such RAM, all of its parts up to memsched. @ranges as for frame_init(). */
void fake_start(u32 cpu_count, const struct frame_range *ranges, u32 range_count);
/* The same with @frames free frames, and a few of the hypervisor's own below them. */
void fake_start_plain(u32 cpu_count, u64 frame_count);
void fake_stop(void);

void fake_cpu_set(u32 cpu);

/*
 * From now on the clock is the test's own, so that a test of one thread repeats itself; until then
 * it is the machine's. It stands, but for fake_clock_move() and for each look at it, which moves it
 * on by up to @look_ns, drawn from @seed, so that what goes on until a moment comes to its end.
 */
void fake_clock_start(u64 seed);
void fake_clock_move(u64 ns, u64 look_ns);

/* Called by platform_kick(). Without one, kicking a CPU is an error of the test. */
void fake_on_kick(void (*kick)(u32 cpu));

/* How often platform_wake() was called; and whom to tell. */
u64 fake_wakes(void);
void fake_on_wake(void (*wake)(struct space *space));

/*
 * How often a frame has been allocated: tells whether it is still the same one. Odd while it is in
 * use.
 */
u64 fake_frame_serial(pfn_t pfn);

/* The @nth allocation from now on fails (1 = the next), or all from there on. 0: none. */
void fake_fail_alloc(u64 nth, bool and_all_after);
/* Allocations tried since then. */
u64 fake_alloc_count(void);

/* Run @act; whether it ended in platform_panic(), with the text kept for fake_panic_text(). */
bool fake_panics(void (*act)(void *), void *arg);
const char *fake_panic_text(void);

/* Log lines at or above warning since the start; the first few are shown. */
u64 fake_log_count(void);
void fake_log_quiet(bool quiet);

#endif
