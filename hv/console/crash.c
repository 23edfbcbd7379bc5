/*
 * The hypervisor broken on purpose, so that tests, and whoever installs it, see what a panic says:
 * by its own word, by a stack that runs into its guard page, by a write to its own code, by locks
 * in the wrong order (which only a debug build notices: mm/base/lock.h).
 */
#include "hv/console/crash.h"
#include "hv/console/console.h"
#include "hv/x86/panic.h"
#include "mm/base/lock.h"
#include "mm/base/str.h"

#define MORE_CALLS_THAN_FIT 1000000u

/* What is added after the call keeps each call's frame. */
static u64 exhaust_stack(u32 calls)
{
	volatile u8 frame[256];

	frame[calls % sizeof(frame)] = (u8)calls;
	return (calls ? exhaust_stack(calls - 1) : 0) + frame[calls % sizeof(frame)];
}

static void lock_in_wrong_order(void)
{
	struct spinlock last = SPINLOCK(LOCK_RANK_UART), first = SPINLOCK(LOCK_RANK_VM);

	spin_lock(&last);
	spin_lock(&first);
	spin_unlock(&first);
	spin_unlock(&last);
	console_printf("not noticed: this build does not check the order of locks\n");
}

void command_crash(u32 count, char **words)
{
	if (count == 1)
		panic("asked for at the console");
	if (strcmp(words[1], "stack") == 0)
		console_printf("%llu\n", (unsigned long long)exhaust_stack(MORE_CALLS_THAN_FIT));
	else if (strcmp(words[1], "text") == 0)
		*(volatile u8 *)(u64)command_crash = 0;
	else if (strcmp(words[1], "locks") == 0)
		lock_in_wrong_order();
	else
		console_printf("crash, crash stack, crash text, or crash locks\n");
}
