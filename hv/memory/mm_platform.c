/* mm/platform.h on the bare machine: each hole is a call into hv/x86, or hv/console/log.c. */
#include "mm/platform.h"
#include "hv/sched/sched.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/irq.h"
#include "hv/x86/library.h"
#include "hv/x86/paging.h"
#include "hv/x86/panic.h"
#include "hv/x86/random.h"
#include "hv/x86/time.h"

void *platform_frame_va(pfn_t pfn)
{
	return paging_window(pfn_to_hpa(pfn).v);
}

pfn_t platform_va_frame(const void *va)
{
	return PFN(((u64)va - PAGING_WINDOW_VA) >> PAGE_SHIFT);
}

u32 platform_cpu_id(void)
{
	return this_cpu()->id;
}

u32 platform_cpu_count(void)
{
	return cpu_count();
}

void platform_kick(u32 cpu)
{
	irq_send_flush(cpu);
}

void platform_wake(struct space *space)
{
	sched_wake(space->user);
}

u64 platform_now_ns(void)
{
	return time_now_ns();
}

bool platform_random(u64 *out)
{
	return random_u64(out);
}

void platform_library_begin(void)
{
	library_begin();
}

void platform_library_end(void)
{
	library_end();
}

void platform_panic(const char *what)
{
	panic("%s", what);
}
