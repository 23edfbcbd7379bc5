/*
 * mm on Linux at its real speed: plain RAM, threads as CPUs, and none of what the tests' platform
 * watches (tests/fake/fake_platform.h). Nobody runs a guest.
 */
#ifndef TESTS_BENCH_HOST_PLATFORM_H
#define TESTS_BENCH_HOST_PLATFORM_H

#include "mm/base/types.h"

/* Start mm, up to memsched, on so many free frames, all of them touched beforehand. */
void host_platform_start(u64 frame_count);
void host_platform_start_cpus(u64 frame_count, u32 cpus);
/* The calling thread plays this CPU; 0 at first. */
void host_platform_cpu_set(u32 cpu);

#endif
