/*
 * The little that a bare test guest stands on: its serial line, power-off, hypercalls, and
 * interrupts whose IDT, TSS and stacks lie in pages of their own, so that a test can take each one
 * away.
 */
#ifndef TESTS_EMU_GUESTS_BARE_BARE_H
#define TESTS_EMU_GUESTS_BARE_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096u

/* What the stubs push, lowest address first. */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

enum {
	KERNEL_CS = 0x08,
	KERNEL_DS = 0x10,
	USER_DS = 0x18 | 3,
	USER_CS = 0x20 | 3,
	TSS_SELECTOR = 0x28
};

/* The pages that the delivery of an event touches, each alone in its page. */
struct event_pages {
	uint8_t gdt[PAGE_BYTES];
	uint8_t idt[PAGE_BYTES];
	uint8_t tss[PAGE_BYTES];
	uint8_t stack[PAGE_BYTES];            /* of events in ring 0 that change to it (IST 1) */
	uint8_t user_event_stack[PAGE_BYTES]; /* of events that come from ring 3 (RSP0) */
	uint8_t user_stack[PAGE_BYTES];
};
extern struct event_pages event_pages;

/** Own GDT, IDT (all vectors to bare_interrupt()) and TSS. */
void interrupts_init(void);

/** From now on events in ring 0 change to a stack of their own (IST 1), or stay where they are. */
void interrupts_use_own_stack(bool own);

/** Where bare_interrupt() gets to; the test sets it. NULL: any interrupt is a failure. */
extern void (*interrupt_handler)(struct frame *frame);

/** Called by the stubs. */
void bare_interrupt(struct frame *frame);

/* What the guest was started with, whichever way. */
struct bare_module {
	const uint8_t *data;
	uint64_t bytes;
	const char *words;
};

#define BARE_MODULES_MAX 16

struct bare_boot {
	const char *how; /* bzImage, pvh, multiboot */
	const char *cmdline;
	uint64_t memory_end; /* of the RAM that begins at 1 MiB */
	struct bare_module modules[BARE_MODULES_MAX];
	uint32_t module_count;
};

/** The first C code; the entry's @protocol and what it was handed (boot.c). */
void bare_start(uint32_t protocol, const uint8_t *info);

/** The program. */
void bare_main(const struct bare_boot *boot);

/** The text behind "@name=" in the command line; "" if it is not there. The last one counts. */
const char *option(const struct bare_boot *boot, const char *name);

/** Is the word at @text (up to a space, a comma or the end) @word? */
bool is_word(const char *text, const char *word);

/** The decimal number that begins there; 0 if none does. */
uint64_t number_at(const char *text);

/** The value of "key=" in a list "key=value,key=value"; NULL if it is not there. */
const char *list_value(const char *list, const char *key);
uint64_t list_number(const char *list, const char *key, uint64_t otherwise);

/** Where memory that nobody uses begins; it goes to boot->memory_end. */
uint8_t *free_memory(const struct bare_boot *boot);

/** The memory workload with Linux's arguments and report (workload_linux.c). */
void workload_run(const struct bare_boot *boot, const char *arguments);

/** The memory workload on all of the memory, for ever; see overcommit.c. */
_Noreturn void overcommit_run(const struct bare_boot *boot, const char *arguments);

/** So many pages, all in use or none, for ever; see pages.c. */
_Noreturn void pages_run(const struct bare_boot *boot, const char *arguments);

/** Everything a guest must not do, at random, from a seed; see hostile.c. */
void hostile_run(const struct bare_boot *boot, const char *arguments);

/** What an exit costs; see bench.c. */
void bench_run(const struct bare_boot *boot, const char *what);

/** Sort @ticks and print what they come to. */
void bench_show(const char *name, uint64_t *ticks, uint32_t count);

/** Every kind of event with every page that its delivery needs absent; prints and counts what is
 * wrong. */
void events_run(uint32_t *test_count, uint32_t *wrong_count);

/** What the hypervisor performs in the guest's place: string I/O, accesses to device registers. */
void io_run(uint32_t *test_count, uint32_t *wrong_count);

/** Compressed pages: see zip.c. zip_bench() returns false if it cannot be run. */
void zip_run(const struct bare_boot *boot, uint32_t *test_count, uint32_t *wrong_count);
bool zip_bench(const struct bare_boot *boot);

/** What the touch of a swapped page costs (swap_bench.c). False: it cannot be run. */
bool swap_bench(const struct bare_boot *boot);

/** A disk driver that lies; each lie is followed by a proper driver's check (virtio.c). */
void virtio_run(const struct bare_boot *boot, uint32_t *test_count, uint32_t *wrong_count);

/** Never returns: an #AC that raises itself while it is delivered (unaligned.S). */
void unaligned_stack(void);

void print(const char *text);
void print_number(const char *name, uint64_t value);
/** Has somebody typed on the serial line? Takes one key. */
bool key_pressed(void);
_Noreturn void power_off(void);

/** A hypercall by the instruction that this CPU has for it. */
int64_t hypercall(uint64_t number, uint64_t argument);

/** Of the TSC, as the hypervisor's clock page tells it. */
uint64_t ticks_per_ms(void);

static inline void out8(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

#endif
