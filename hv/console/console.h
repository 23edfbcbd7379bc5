/*
 * The administrator's console on serial line, screen and keyboard: a prompt, the log, the guests'
 * lines, and, while attached, one guest's serial line raw in both directions (Ctrl-] detaches).
 * Polled by the scheduler's loop; lines that come while something is typed are shown above it.
 */
#ifndef HV_CONSOLE_CONSOLE_H
#define HV_CONSOLE_CONSOLE_H

#include "mm/base/types.h"
#include "hv/vm/vm.h"

/* Boot CPU, once. Take over the log's output and show the prompt (once something is typed, if
 * nobody is expected there). */
void console_start(void);

/* Read what was typed and act on it. A bounded number of bytes. Boot CPU; locks: the lives lock. */
void console_poll(void);

/* So many pages in MiB with one decimal, as two numbers for "%llu.%llu". */
#define MIB_OF(pages)                                                                              \
	(unsigned long long)((pages) >> 8), (unsigned long long)(((pages)&0xff) * 10 >> 8)

/* Text on the console, or for whom a command runs; "\n" ends a line. What is beyond 512 bytes of
 * one call is lost. Boot CPU. */
void console_printf(const char *fmt, ...) printf_like(1, 2);

/*
 * Run one command line for somebody else: what it prints goes to @answer, a piece at a time,
 * instead of here. @line is written to. Locks: as console_poll().
 */
void console_run_for(char *line, void (*answer)(const char *text, size_t bytes));

/* Show @vm's serial line and pass on what is typed, until Ctrl-]. From a command only. */
void console_attach(struct vm *vm);

/* A guest sent a byte; a line of it is complete (vm->output.line). Any CPU; locks: the
 * VM's held. Never waits for the line. */
void console_guest_byte(struct vm *vm, u8 byte);
void console_guest_line(struct vm *vm);
/* It ended. Boot CPU; no lock but the lives lock may be held. */
void console_guest_ended(struct vm *vm);

#endif
