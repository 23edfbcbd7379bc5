/*
 * Instructions that the hypervisor performs in the guest's place: string I/O, and what touches the
 * local APIC's registers. Operands lie across pages that were just taken away; registers, memory
 * and flags afterwards must be what the instruction says.
 */
#include "hv/abi/hypercall.h"
#include "tests/emu/guests/bare/bare.h"

#define PORT_SERIAL    0x3f8
#define PORT_RTC_INDEX 0x70
#define PORT_RTC_DATA  0x71
#define PORT_NOBODY    0xf4 /* reads as ones */
#define RTC_VALID      0x0d
#define LAPIC_TPR      0xfee00080ul
#define LAPIC_SPURIOUS 0xfee000f0ul
#define CHIPSET_HOLE   0xfed00000ul
#define MSR_TSC        0x10
#define FILLER         0x55

static uint8_t pages[4 * PAGE_BYTES] __attribute__((aligned(4096)));
static uint8_t *const second = pages + PAGE_BYTES, *const third = pages + 2 * PAGE_BYTES;
static uint32_t tests, wrong;

static void check(const char *what, bool good)
{
	tests++;
	if (good)
		return;
	wrong++;
	print("IO FAIL ");
	print(what);
	print("\n");
}

static void fill(void)
{
	for (uint32_t i = 0; i < sizeof(pages); i++)
		pages[i] = FILLER;
}

/* The next touch of any page faults. */
static void hide_everything(void)
{
	hypercall(BELLOWS_HC_DEBUG_HIDE_ALL, 0);
}

static uint32_t load32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static void string_output(void)
{
	static const char text[] = "[string output across a page]\n";
	uint8_t *from = second - 7;
	uint64_t count = sizeof(text) - 1;

	for (uint32_t i = 0; i < sizeof(text); i++)
		from[i] = (uint8_t)text[i];
	hide_everything();
	asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(PORT_SERIAL) : "memory");
	check("rep outs: registers", count == 0 && from == second - 7 + sizeof(text) - 1);
}

static void string_input(void)
{
	uint8_t *to = third - 50, value;
	uint64_t count = 100;
	bool same = true;

	fill();
	out8(PORT_RTC_INDEX, RTC_VALID);
	value = in8(PORT_RTC_DATA);
	hide_everything();
	asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(PORT_RTC_DATA) : "memory");
	check("rep ins: registers", count == 0 && to == third + 50);
	for (uint32_t i = 0; i < 100; i++)
		same &= (third - 50)[i] == value;
	check("rep ins: every byte", same);
	check("rep ins: no byte more", third[-51] == FILLER && third[50] == FILLER);

	fill();
	to = pages;
	count = 0;
	asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(PORT_NOBODY) : "memory");
	check("rep ins of nothing", count == 0 && to == pages && pages[0] == FILLER);
	asm volatile("insw" : "+D"(to) : "d"(PORT_NOBODY) : "memory");
	check("ins of a word", to == pages + 2 && load32(pages) == 0x5555ffff);
}

/* With 32-bit addresses only the low halves of RCX and RDI count, and 32-bit results clear the
 * upper ones. */
static void string_input_downwards(void)
{
	uint8_t *to = second + 8;
	uint64_t count = 3 | 7ull << 32;

	fill();
	asm volatile("std\n\taddr32 rep insl\n\tcld"
		     : "+D"(to), "+c"(count)
		     : "d"(PORT_NOBODY)
		     : "memory");
	check("addr32 rep ins down: registers", count == 0 && to == second - 4);
	check("addr32 rep ins down: memory",
		load32(second - 4) == 0x55555555 && load32(second) == ~0u &&
			load32(second + 8) == ~0u && load32(second + 12) == 0x55555555);
}

static void upper_halves(void)
{
	uint64_t rax = 0x1122334455667788;

	asm volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(PORT_NOBODY));
	check("in: 16 bits leave the rest", rax == 0x112233445566ffff);
	asm volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(PORT_NOBODY));
	check("in: 32 bits clear the upper half", rax == 0xffffffff);
}

static void read_and_write_registers(void)
{
	volatile uint32_t *spurious = (volatile uint32_t *)LAPIC_SPURIOUS;
	uint32_t word = 0x100;
	uint64_t wide = ~0ull;
	uint8_t zero;

	*spurious = 0x1ff;
	hide_everything();
	asm volatile("andl $0xfffffeff, (%0)" : : "r"(spurious) : "memory", "cc");
	check("and memory, immediate", *spurious == 0xff);
	asm volatile("orl %1, (%0)" : : "r"(spurious), "r"(word) : "memory", "cc");
	check("or memory, register", *spurious == 0x1ff);
	asm volatile("testl $0x200, (%1)\n\tsetz %0" : "=q"(zero) : "r"(spurious) : "memory", "cc");
	check("test", zero);
	word = 0x1ff;
	asm volatile("cmpl %2, (%1)\n\tsetz %0"
		     : "=q"(zero)
		     : "r"(spurious), "r"(word)
		     : "memory", "cc");
	check("cmp", zero);
	word = 1;
	asm volatile("addl (%1), %0" : "+r"(word) : "r"(spurious) : "memory", "cc");
	check("add register, memory", word == 0x200);
	asm volatile("movzbl (%1), %k0" : "+r"(wide) : "r"(spurious) : "memory");
	check("movzx", wide == 0xff);
	asm volatile("movsbq (%1), %0" : "=r"(wide) : "r"(spurious) : "memory");
	check("movsx", wide == ~0ull);
	asm volatile("movslq (%1), %0" : "=r"(wide) : "r"(spurious) : "memory");
	check("movsxd", wide == 0x1ff);
	check("what no chip answers", *(volatile uint32_t *)CHIPSET_HOLE == ~0u);
}

static uint64_t read_cr8(void)
{
	uint64_t value;

	asm volatile("mov %%cr8, %0" : "=r"(value));
	return value;
}

/* Between memory and a device, and the task priority, which has three ways in. */
static void string_moves(void)
{
	volatile uint32_t *priority = (volatile uint32_t *)LAPIC_TPR;
	uint8_t *to = second - 2, *from = (uint8_t *)LAPIC_SPURIOUS;
	uint64_t count = 1;

	hide_everything();
	asm volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
	check("movs from a device, across pages", load32(second - 2) == 0x1ff && to == second + 2 &&
							  from == (uint8_t *)LAPIC_SPURIOUS + 4);
	second[-2] = 0x20;
	second[-1] = second[0] = second[1] = 0;
	from = second - 2;
	to = (uint8_t *)LAPIC_TPR;
	hide_everything();
	asm volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
	check("movs to a device", *priority == 0x20 && read_cr8() == 2);
	to = (uint8_t *)LAPIC_TPR;
	asm volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0x30) : "memory");
	check("stos to a device", read_cr8() == 3 && count == 0 && to == (uint8_t *)LAPIC_TPR + 4);
	asm volatile("mov %0, %%cr8" : : "r"(1ul));
	check("the priority register follows CR8", *priority == 0x10);
	asm volatile("mov %0, %%cr8" : : "r"(0ul));
}

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void time_stamp_counter(void)
{
	uint32_t low, high;
	uint64_t by_msr, now;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_TSC));
	by_msr = (uint64_t)high << 32 | low;
	now = read_tsc();
	check("TSC as an MSR", now >= by_msr && now - by_msr < 1ull << 32);
	asm volatile("wrmsr" : : "a"(0), "d"(0x100), "c"(MSR_TSC));
	now = read_tsc();
	check("TSC set", now >= 0x100ull << 32 && now < 0x110ull << 32);
}

void io_run(uint32_t *test_count, uint32_t *wrong_count)
{
	if (hypercall(BELLOWS_HC_VERSION, BELLOWS_ABI_VERSION) != BELLOWS_ABI_VERSION)
		check("the hypercalls' version", false);
	fill();
	string_output();
	string_input();
	string_input_downwards();
	upper_halves();
	read_and_write_registers();
	string_moves();
	time_stamp_counter();
	*test_count = tests;
	*wrong_count = wrong;
}
