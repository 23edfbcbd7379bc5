/*
 * The only holes in mm/: what it needs from the machine beneath. hv/memory/mm_platform.c implements
 * them in the hypervisor; tests/ implements them on Linux with N fake CPUs. Porting mm/ is writing
 * this file's functions.
 */
#ifndef MM_PLATFORM_H
#define MM_PLATFORM_H

#include "mm/base/types.h"
#include "mm/base/log.h"

/* The frame window: where RAM frames can be read and written. Valid for every RAM frame, always. */
void *platform_frame_va(pfn_t pfn);

/* Frame whose window address this is (the inverse of platform_frame_va). */
pfn_t platform_va_frame(const void *va);

/* This CPU, 0 .. platform_cpu_count() - 1. Constant after mm is initialised. */
u32 platform_cpu_id(void);
u32 platform_cpu_count(void);

/*
 * Force @cpu out of guest mode, soon (an IPI). Does not wait; harmless if it runs no guest. Whether
 * it has left is seen in tlb.c's own record.
 */
void platform_kick(u32 cpu);

struct space;

/*
 * Something that vCPUs of @space may be parked for has come: a page, a free frame. They look again,
 * soon. No lock is held; @space does not end meanwhile.
 */
void platform_wake(struct space *space);

/* A monotonic clock in ns. */
u64 platform_now_ns(void);

/* 64 random bits good enough for keys; false if there is no such source. */
bool platform_random(u64 *out);

/*
 * Between these a library that uses vector registers, a stack protector and the red zone may be
 * called (LZ4). Not nested; the calling CPU does nothing else meanwhile.
 */
void platform_library_begin(void);
void platform_library_end(void);

/* Keep and show a line (no newline at its end). Never waits. */
void platform_log(enum log_level level, const char *line);

/* Print state and halt. */
noreturn_fn void platform_panic(const char *what);

#endif
