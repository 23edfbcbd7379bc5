/*
 * The hostile guest's parts: hostile.c runs it and mends it, hostile_code.c makes up instructions,
 * hostile_ops.c makes up everything else.
 */
#ifndef TESTS_EMU_GUESTS_BARE_HOSTILE_H
#define TESTS_EMU_GUESTS_BARE_HOSTILE_H

#include "tests/emu/guests/bare/bare.h"

#define LAPIC_BASE     0xfee00000ul
#define IOAPIC_BASE    0xfec00000ul
#define BEYOND_RAM     0x80000000ul
#define GARBAGE_TABLES 4
#define VECTOR_END     0xfe /* how made-up code says that it is through */

/*
 * A piece of address space for user mode too, page by page: RAM and devices side by side, so that
 * one access can touch both.
 */
#define WINDOW       0x40000000ul
#define WINDOW_PAGES 16
enum window_page {
	PAGE_CODE,
	PAGE_CODE_2,
	PAGE_BEFORE_LAPIC,
	PAGE_LAPIC,
	PAGE_AFTER_LAPIC,
	PAGE_IOAPIC,
	PAGE_DATA,
	PAGE_ABSENT,
	PAGE_READ_ONLY,
	PAGE_STACK,
	PAGE_STACK_2,
	PAGE_LAST_RAM,
	PAGE_BEYOND, /* absent unless the guest means to be stopped */
};

struct hostile {
	uint64_t seed, random;
	uint64_t memory_end;
	bool is_tcg; /* QEMU's own faults are not what is looked for */
	bool trace;
	bool with_devices; /* this deed's pointers lead to devices; code is such as drivers use */
	uint32_t events_left; /* interrupts that may still return to what they interrupted */
	uint32_t steps_left;  /* likewise, single steps */
	uint64_t count_by_vector[256];
};
extern struct hostile hostile;

/* Pages that made-up things lie in; window[] maps some of them. */
struct hostile_pages {
	uint64_t pml4[512], pdpt[512], low[512], high[512], window_directory[512], window[512];
	uint64_t garbage[GARBAGE_TABLES][512];
	uint8_t code[2 * PAGE_BYTES];
	uint8_t data[4 * PAGE_BYTES];
	uint8_t stack[2 * PAGE_BYTES];
};
extern struct hostile_pages hostile_pages;

extern uint64_t hostile_registers[16];

/* What IRETQ takes. */
struct launch {
	uint64_t rip, cs, rflags, rsp, ss;
};

uint32_t hostile_attempt(void (*function)(void *), void *argument);
void hostile_execute(void *launch);

/** Random: any number, one below @count, one chance in @count. */
uint64_t random64(void);
uint32_t below(uint32_t count);
static inline bool chance(uint32_t count)
{
	return below(count) == 0;
}

/** A number of the kind that finds edges: small, one bit, all ones, an address, anything. */
uint64_t random_value(void);

/** An address worth touching; in the window unless @ring_0 allows more. */
uint64_t random_address(bool ring_0);

/** Fill hostile_registers[]. */
void random_registers(bool ring_0);

/** Write made-up instructions to @at, at most @bytes; returns how many. @mode_bytes: 8, 4, 2. */
uint32_t random_code(uint8_t *at, uint32_t bytes, uint32_t mode_bytes);

/** Put the machine back into a state in which this program can go on, or power off. */
void hostile_calm(void);

/** One deed. */
void hostile_deed(uint64_t number);

static inline void write_msr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" ::"c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

static inline uint64_t read_msr(uint32_t index)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void lapic_write(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(LAPIC_BASE + offset) = value;
}

#endif
