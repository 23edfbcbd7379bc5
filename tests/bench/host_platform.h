/*
 * mm on Linux at its real speed: one CPU, plain RAM, and none of what the tests' platform watches
 * (tests/fake/fake_platform.h).
 */
#ifndef TESTS_BENCH_HOST_PLATFORM_H
#define TESTS_BENCH_HOST_PLATFORM_H

#include "mm/base/types.h"

/* Start mm, up to memsched, on so many free frames, all of them touched beforehand. */
void host_platform_start(u64 frame_count);

#endif
