/* Starting a guest's other CPUs, one after the other, and letting each sleep by its own timer. See
 * cpus.h. */
#include "tests/emu/guests/bare/cpus.h"

#define LAPIC_EOI      0xfee000b0ul
#define LAPIC_SPURIOUS 0xfee000f0ul
#define LAPIC_ISR      0xfee00100ul
#define LAPIC_ICR      0xfee00300ul
#define LAPIC_ICR_HIGH 0xfee00310ul
#define LAPIC_TIMER    0xfee00320ul
#define LAPIC_INITIAL  0xfee00380ul
#define LAPIC_ENABLE   0x1ff
#define ICR_NMI        0x4400u
#define ICR_INIT       0x4500u
#define ICR_SIPI       0x4600u
#define TIMER_VECTOR   0x60
#define TIMER_PER_US   500u /* of a clock of 1 GHz, halved */

extern const uint8_t cpus_start[], cpus_start_end[];
extern const uint64_t cpus_start_cr3, cpus_start_stack;
void cpus_sti_hlt(void);
extern const uint8_t cpus_hlt[];

static uint8_t *stacks;
static uint32_t starting; /* whose turn it is, one at a time */
static void (*start_run)(uint32_t);
static volatile uint32_t is_there; /* that one has arrived */
static struct __attribute__((packed)) {
	uint16_t limit;
	uint64_t base;
} idtr;

static void lapic_write(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static bool is_in_service(uint64_t vector)
{
	uint32_t word = *(volatile uint32_t *)(LAPIC_ISR + vector / 32 * 16);

	return word >> vector % 32 & 1;
}

static void on_interrupt(struct frame *frame)
{
	/* Not in service: QEMU 7.2 has delivered an earlier one a second time (machine.py). */
	if (frame->rip == (uintptr_t)cpus_hlt && is_in_service(frame->vector)) {
		print_number("WORKLOAD FAIL between STI and HLT came vector=", frame->vector);
		print("\n");
		power_off();
	}
	if (frame->vector == TIMER_VECTOR) {
		lapic_write(LAPIC_EOI, 0);
		return;
	}
	print_number("WORKLOAD FAIL unexpected vector=", frame->vector);
	print_number(" rip=", frame->rip);
	print("\n");
	power_off();
}

static void enable_timer(void)
{
	lapic_write(LAPIC_SPURIOUS, LAPIC_ENABLE);
	lapic_write(LAPIC_TIMER, TIMER_VECTOR);
}

/* A word of the page that was copied. */
static void set_word(const uint64_t *word, uint64_t value)
{
	uintptr_t offset = (uintptr_t)word - (uintptr_t)cpus_start;

	*(volatile uint64_t *)(CPUS_START_AT + offset) = value;
}

void cpus_init(uint8_t *for_stacks)
{
	uint8_t *to = (uint8_t *)CPUS_START_AT;
	uint64_t cr3;

	stacks = for_stacks;
	interrupts_init();
	interrupt_handler = on_interrupt;
	asm volatile("sidt %0" : "=m"(idtr));
	enable_timer();
	for (const uint8_t *from = cpus_start; from < cpus_start_end; from++)
		*to++ = *from;
	asm volatile("mov %%cr3, %0" : "=r"(cr3));
	set_word(&cpus_start_cr3, cr3);
}

static void send(uint32_t index, uint32_t icr)
{
	lapic_write(LAPIC_ICR_HIGH, index << 24);
	lapic_write(LAPIC_ICR, icr);
}

void cpus_send_nmi(uint32_t index)
{
	send(index, ICR_NMI);
}

void cpus_send_init(uint32_t index)
{
	send(index, ICR_INIT);
}

void cpus_start_one(uint32_t index, void (*run)(uint32_t index))
{
	starting = index;
	start_run = run;
	is_there = 0;
	set_word(&cpus_start_stack, (uintptr_t)(stacks + (uint64_t)index * CPUS_STACK_BYTES));
	send(index, ICR_INIT);
	send(index, ICR_SIPI | CPUS_START_AT >> 12);
	while (!is_there)
		asm volatile("pause");
}

_Noreturn void cpus_main(void)
{
	uint32_t index = starting;
	void (*run)(uint32_t) = start_run;

	asm volatile("lidt %0" ::"m"(idtr));
	enable_timer();
	is_there = 1;
	run(index);
	for (;;)
		asm volatile("sti; hlt");
}

void cpus_sleep_ticks(uint32_t ticks)
{
	lapic_write(LAPIC_INITIAL, ticks);
	cpus_sti_hlt();
	lapic_write(LAPIC_INITIAL, 0);
}

void cpus_sleep(uint32_t us)
{
	cpus_sleep_ticks(us * TIMER_PER_US);
}
