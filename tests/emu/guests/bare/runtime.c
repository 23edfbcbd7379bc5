/* The bare guests' runtime: see bare.h. */
#include "hv/abi/pvclock.h"
#include "tests/emu/guests/bare/bare.h"

#define SERIAL          0x3f8
#define SERIAL_STATUS   (SERIAL + 5)
#define SERIAL_READY    1
#define SERIAL_CAN_SEND 0x20
#define POWER_PORT      0x604 /* the sleep port that small kernels write blindly; bit 13 is "now" */
#define POWER_OFF_NOW   0x2000
#define GATE_FOR_USER   0xee
#define GATE_IST        4
#define STUB_BYTES      16
#define TSS_RSP0        4
#define TSS_IST1        36
#define TSS_BYTES       104
#define TSS_IOMAP       102

struct event_pages event_pages __attribute__((aligned(4096)));
void (*interrupt_handler)(struct frame *frame);
extern const uint8_t vector_stubs[];

void print(const char *text)
{
	for (; *text; text++) {
		/* Not for ever: a hostile guest has played with the port. */
		for (uint32_t i = 0; i < 1000 && !(in8(SERIAL_STATUS) & SERIAL_CAN_SEND); i++)
			;
		out8(SERIAL, (uint8_t)*text);
	}
}

void print_number(const char *name, uint64_t value)
{
	char text[24];
	size_t at = sizeof(text);

	text[--at] = '\0';
	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	print(name);
	print(text + at);
}

bool key_pressed(void)
{
	if (!(in8(SERIAL_STATUS) & SERIAL_READY))
		return false;
	in8(SERIAL);
	return true;
}

_Noreturn void power_off(void)
{
	for (;;) {
		out16(POWER_PORT, POWER_OFF_NOW);
		asm volatile("cli; hlt");
	}
}

int64_t hypercall(uint64_t number, uint64_t argument)
{
	uint32_t eax = 0, ebx, ecx, edx;
	int64_t answer = (int64_t)number;

	/* "AuthenticAMD" has VMMCALL; the other is Intel's. */
	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	if (ecx == 0x444d4163)
		asm volatile("vmmcall" : "+a"(answer) : "b"(argument) : "memory");
	else
		asm volatile("vmcall" : "+a"(answer) : "b"(argument) : "memory");
	return answer;
}

uint64_t ticks_per_ms(void)
{
	static struct pvclock_time clock __attribute__((aligned(64)));
	uint64_t at = (uintptr_t)&clock | PVCLOCK_ENABLE, ticks;

	asm volatile("wrmsr" ::"c"(PVCLOCK_MSR_SYSTEM_TIME), "a"((uint32_t)at), "d"(at >> 32)
		     : "memory");
	ticks = (1000000ull << 32) / clock.tsc_to_system_mul;
	return clock.tsc_shift < 0 ? ticks << -clock.tsc_shift : ticks >> clock.tsc_shift;
}

static void store64(uint8_t *at, uint64_t value)
{
	*(uint64_t *)(void *)at = value;
}

static void set_gdt(void)
{
	uint64_t tss = (uint64_t)(uintptr_t)event_pages.tss;
	uint64_t *gdt = (uint64_t *)(void *)event_pages.gdt;
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} gdtr = {PAGE_BYTES - 1, (uint64_t)(uintptr_t)gdt};

	gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
	gdt[KERNEL_DS / 8] = 0x00cf93000000ffff;
	gdt[USER_DS / 8] = 0x00cff3000000ffff;
	gdt[USER_CS / 8] = 0x00affb000000ffff;
	gdt[TSS_SELECTOR / 8] =
		(TSS_BYTES - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = tss >> 32;
	asm volatile("lgdt %0\n\t"
		     "pushq %1\n\t"
		     "lea 1f(%%rip), %%rax\n\t"
		     "push %%rax\n\t"
		     "lretq\n"
		     "1:\n\t"
		     "mov %2, %%ds\n\t"
		     "mov %2, %%es\n\t"
		     "mov %2, %%ss"
		     :
		     : "m"(gdtr), "i"(KERNEL_CS), "r"(KERNEL_DS)
		     : "rax", "memory");
}

void interrupts_use_own_stack(bool own)
{
	for (uint32_t vector = 0; vector < 256; vector++)
		event_pages.idt[vector * 16 + GATE_IST] = own;
}

void bare_interrupt(struct frame *frame)
{
	if (interrupt_handler) {
		interrupt_handler(frame);
		return;
	}
	print_number("WORKLOAD FAIL unexpected vector=", frame->vector);
	print_number(" error=", frame->error);
	print_number(" rip=", frame->rip);
	print("\n");
	power_off();
}

void interrupts_init(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} idtr = {PAGE_BYTES - 1, (uint64_t)(uintptr_t)event_pages.idt};

	store64(event_pages.tss + TSS_RSP0,
		(uint64_t)(uintptr_t)(event_pages.user_event_stack + PAGE_BYTES));
	store64(event_pages.tss + TSS_IST1, (uint64_t)(uintptr_t)(event_pages.stack + PAGE_BYTES));
	event_pages.tss[TSS_IOMAP] = TSS_BYTES;
	set_gdt();
	for (uint32_t vector = 0; vector < 256; vector++) {
		uint64_t stub = (uint64_t)(uintptr_t)(vector_stubs + vector * STUB_BYTES);
		uint8_t *gate = event_pages.idt + vector * 16;

		store64(gate, (stub & 0xffff) | (uint64_t)KERNEL_CS << 16 |
				      (uint64_t)GATE_FOR_USER << 40 | (stub >> 16 & 0xffff) << 48);
		store64(gate + 8, stub >> 32);
	}
	asm volatile("lidt %0\n\t"
		     "ltr %w1"
		     :
		     : "m"(idtr), "r"(TSS_SELECTOR)
		     : "memory");
}

/* What the compiler calls for struct copies and clearing. */
void *memset(void *to, int byte, size_t bytes)
{
	void *at = to;

	asm volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(byte) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *at = to;

	asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}
