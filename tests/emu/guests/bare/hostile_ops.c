/* The hostile guest's deeds. Each begins in a mended machine and may leave it in any state. */
#include "tests/emu/guests/bare/hostile.h"

#define RFLAGS_ALWAYS 0x2u
#define RFLAGS_TF     0x100u
#define RFLAGS_IF     0x200u
#define RFLAGS_AC     0x40000u
#define APIC_ICR      0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT      0x320
#define APIC_INITIAL  0x380
#define APIC_DIVIDE   0x3e0
#define APIC_PERIODIC 0x20000
#define CODE_BYTES    64u
#define LOW_COPY      0x40000ul /* LOW in hostile.S */
#define LOW_PDPT      0x50000ul
#define LOW_DIRECTORY 0x51000ul
#define SLOT_BYTES    48u

/* --- Made-up code ---------------------------------------------------------------------------- */

static void say_code(const struct launch *launch, const uint8_t *code)
{
	static const char digits[] = "0123456789abcdef";
	char text[CODE_BYTES * 2 + 1];

	for (uint32_t i = 0; i < CODE_BYTES; i++) {
		text[i * 2] = digits[code[i] >> 4];
		text[i * 2 + 1] = digits[code[i] & 15];
	}
	text[CODE_BYTES * 2] = '\0';
	print_number("cs ", launch->cs);
	print_number(" rip ", launch->rip);
	print_number(" rflags ", launch->rflags);
	print_number(" rax ", hostile_registers[0]);
	print_number(" rcx ", hostile_registers[1]);
	print_number(" rdx ", hostile_registers[2]);
	print_number(" rsi ", hostile_registers[6]);
	print_number(" rdi ", hostile_registers[7]);
	print(" ");
	print(text);
	print("\n");
}

static void any_code(void)
{
	bool ring_0 = !chance(3), stepping = chance(4);
	struct launch launch = {
		.cs = ring_0 ? KERNEL_CS : USER_CS,
		.ss = ring_0 ? KERNEL_DS : USER_DS,
		.rflags = RFLAGS_ALWAYS | (chance(3) ? RFLAGS_IF : 0) | (stepping ? RFLAGS_TF : 0) |
			  (chance(4) ? RFLAGS_AC : 0) | (chance(4) ? 3u << 12 : 0),
		.rsp = WINDOW + PAGE_STACK_2 * PAGE_BYTES + (chance(8) ? below(64) : 0),
	};
	/* Now and then across the border of two pages, or from a device. */
	uint32_t offset =
		chance(4) ? PAGE_BYTES - below(CODE_BYTES) : below(PAGE_BYTES - CODE_BYTES);

	random_code(hostile_pages.code + offset, CODE_BYTES, 8);
	/* Ring 0 runs it by its own address, for SMEP may be on. */
	launch.rip = ring_0 ? (uintptr_t)hostile_pages.code + offset : WINDOW + offset;
	random_registers(ring_0);
	if (hostile.trace)
		say_code(&launch, hostile_pages.code + offset);
	if (chance(3000))
		launch.rip = WINDOW + PAGE_LAPIC * PAGE_BYTES;
	if (chance(1000))
		launch.rsp = WINDOW + PAGE_LAPIC * PAGE_BYTES + below(PAGE_BYTES);
	hostile.steps_left = 64;
	hostile.events_left = 20;
	hostile_attempt(hostile_execute, &launch);
}

/* A translation that the tables no longer hold: the CPU may use the old one, the hypervisor the
 * new. */
static void stale_code(void)
{
	struct launch launch = {WINDOW, USER_CS, RFLAGS_ALWAYS | 3u << 12,
		WINDOW + PAGE_STACK_2 * PAGE_BYTES, USER_DS};
	volatile uint8_t *touched = (volatile uint8_t *)WINDOW;

	random_code(hostile_pages.code, CODE_BYTES, 8);
	random_code(hostile_pages.code + PAGE_BYTES, CODE_BYTES, 8);
	random_registers(false);
	hostile.events_left = hostile.steps_left = 10;
	(void)*touched;
	hostile_pages.window[PAGE_CODE] = hostile_pages.window[PAGE_CODE_2];
	hostile_attempt(hostile_execute, &launch);
	(void)*touched;
	hostile_pages.window[PAGE_CODE] = chance(2) ? 0 : random64();
	hostile_attempt(hostile_execute, &launch);
}

/* --- Page tables ----------------------------------------------------------------------------- */

static uint64_t garbage_entry(void)
{
	uint64_t flags = random64() & 0x1ff;

	if (chance(64))
		return random64();
	if (chance(5))
		return 0;
	if (chance(20000))
		return BEYOND_RAM | 7;
	flags |= chance(8) ? 1ull << (52 + below(12)) : 0;
	flags |= chance(16) ? 1ull << (46 + below(6)) : 0;
	if (chance(2))
		return (uintptr_t)hostile_pages.garbage[below(GARBAGE_TABLES)] | 7 | flags;
	if (chance(3000)) /* as a table it is the end */
		return (chance(2) ? LAPIC_BASE : IOAPIC_BASE) | 3 | flags;
	return ((random64() % hostile.memory_end) & ~(uint64_t)(PAGE_BYTES - 1)) | flags;
}

static void touch(void *address)
{
	volatile uint32_t *at = address;

	switch (below(5)) {
	case 0:
		*at = 0;
		return;
	case 1:
		asm volatile("lock incl %0" : "+m"(*at));
		return;
	case 2:
		((void (*)(void))address)();
		return;
	default:
		(void)*at;
	}
}

static void garbage_tables(void)
{
	/* Not what this program lies in: a fault would find no handler. It is done all the same,
	 * but seldom. */
	bool keep = !chance(100);
	uint64_t address;

	for (uint32_t t = 0; t < GARBAGE_TABLES; t++) {
		for (uint32_t i = 0; i < 512; i++)
			hostile_pages.garbage[t][i] = garbage_entry();
	}
	if (keep)
		hostile_pages.garbage[0][0] = (uintptr_t)hostile_pages.pdpt | 7;
	asm volatile(
		"mov %0, %%cr3" ::"r"((uintptr_t)hostile_pages.garbage[0] | (chance(4) ? 0x18 : 0))
		: "memory");
	for (uint32_t i = 0; i < 12; i++) {
		address = random64();
		if (!chance(16))
			address = (uint64_t)((int64_t)(address << 16) >> 16);
		/* Calls into memory of no sense may run for long; they return to a fault most
		 * often. */
		hostile.events_left = 0;
		hostile_attempt(touch, (void *)address);
		if (chance(3))
			hostile_pages.garbage[below(GARBAGE_TABLES)][below(512)] = garbage_entry();
		if (keep)
			hostile_pages.garbage[0][0] = (uintptr_t)hostile_pages.pdpt | 7;
	}
}

/* --- Events ---------------------------------------------------------------------------------- */

static uint32_t random_icr(void)
{
	static const uint32_t modes[] = {0, 0, 0, 0, 1, 4, 4, 2, 6, 7, 3};
	uint32_t mode = chance(200) ? 5 : modes[below(sizeof(modes) / sizeof(modes[0]))];
	uint32_t shorthand = chance(2) ? 1 : below(4);

	return below(256) | mode << 8 | below(2) << 11 | (chance(8) ? 0 : 1u << 14) |
	       below(2) << 15 | shorthand << 18;
}

static void one_event(void)
{
	switch (below(10)) {
	case 0:
	case 1:
	case 2:
		lapic_write(APIC_ICR_HIGH, chance(4) ? (uint32_t)random64() : 0);
		lapic_write(APIC_ICR, random_icr());
		return;
	case 3:
		lapic_write(APIC_LVT + below(6) * 16, (uint32_t)random64());
		return;
	case 4:
		lapic_write(APIC_DIVIDE, below(16));
		lapic_write(APIC_LVT, APIC_PERIODIC | (32 + below(224)));
		lapic_write(APIC_INITIAL, 1 + below(0x2000));
		return;
	case 5:
		asm volatile("sti; nop; nop; cli");
		return;
	case 6:
		asm volatile("int $0x80; int3; sti; int $0x41; cli");
		return;
	case 7: { /* IOAPIC: any entry to any vector, in any way */
		volatile uint32_t *select = (volatile uint32_t *)IOAPIC_BASE;
		uint32_t value = chance(2) ? 0x30 + below(200) : (uint32_t)random64();

		select[0] = chance(4) ? below(256) : 0x10 + below(48);
		select[4] = value;
		return;
	}
	case 8:
		out8((uint16_t)(0x3f8 + below(8)), (uint8_t)random64());
		return;
	default:
		write_msr(0x6e0, chance(2) ? 0 : random64()); /* the TSC deadline */
	}
}

static void many_events(void *unused)
{
	(void)unused;
	if (chance(2))
		asm volatile("sti");
	for (uint32_t i = 0; i < 60; i++)
		one_event();
	asm volatile("sti");
	for (volatile uint32_t i = 0; i < 2000; i++)
		;
}

static void storm(void)
{
	hostile.events_left = 100;
	hostile_attempt(many_events, NULL);
}

/* HLT in all its surroundings; a timer ends it. */
static void wait(void *unused)
{
	(void)unused;
	lapic_write(APIC_DIVIDE, 0xb);
	/* Once only, it may come before the HLT, which then lasts. */
	lapic_write(APIC_LVT, (chance(20) ? 0 : APIC_PERIODIC) | 0x61);
	lapic_write(APIC_INITIAL, 1 + below(100000));
	switch (below(4)) {
	case 0:
		asm volatile("sti; hlt; cli");
		break;
	case 1:
		asm volatile("sti; nop; nop; hlt; cli");
		break;
	case 2:
		asm volatile("sti; mov %%ss, %%eax; mov %%eax, %%ss; hlt; cli" ::: "eax");
		break;
	default:
		asm volatile("pushfq; orl $0x300, (%%rsp); popfq; hlt; cpuid; cli" ::
				     : "rax", "rbx", "rcx", "rdx", "memory");
	}
	if (chance(500))
		asm volatile("cli; hlt");
}

static void halt(void)
{
	hostile.events_left = 10;
	hostile.steps_left = 10;
	hostile_attempt(wait, NULL);
}

static void break_points(void *unused)
{
	(void)unused;
	asm volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %2, %%dr3" ::"r"(
			     random_address(true)),
		"r"((uintptr_t)hostile_pages.data), "r"(LAPIC_BASE + 0x20));
	/* On QEMU code only: see spare_qemu(). */
	asm volatile(
		"mov %0, %%dr7" ::"r"(0x400 | (random64() & (hostile.is_tcg ? 0xff : 0xffff2bff))));
	for (uint32_t i = 0; i < 20; i++) {
		(void)*(volatile uint32_t *)hostile_pages.data;
		(void)*(volatile uint32_t *)(LAPIC_BASE + 0x20);
		one_event();
	}
}

static void debug_storm(void)
{
	hostile.events_left = hostile.steps_left = 40;
	hostile_attempt(break_points, NULL);
}

/* --- Modes ----------------------------------------------------------------------------------- */

enum { VALUE_DEPTH, VALUE_CR3, VALUE_CR4, VALUE_GOOD_CR0, VALUE_GOOD_CR3, VALUE_GOOD_CR4 };

extern const uint8_t modes_blob[], modes_blob_end[], modes_slots[], modes_values[], modes_idt32[],
	modes_ivt[], modes_handler32[], modes_handler16[], modes_tss[];

static void *low_copy(const uint8_t *symbol)
{
	return (void *)(LOW_COPY + (uint64_t)(symbol - modes_blob));
}

static void low_gates(void)
{
	uint32_t handler32 = (uint32_t)(uintptr_t)low_copy(modes_handler32);
	uint32_t *idt = low_copy(modes_idt32);
	uint16_t *ivt = low_copy(modes_ivt);

	for (uint32_t i = 0; i < 256; i++) {
		idt[i * 2] = 0x18u << 16 | (handler32 & 0xffff);
		idt[i * 2 + 1] = (handler32 & 0xffff0000) | 0x8e00;
		ivt[i * 2] = (uint16_t)(modes_handler16 - modes_blob);
		ivt[i * 2 + 1] = LOW_COPY >> 4;
	}
}

/* Two 32-bit TSSs that both go on at the handler. */
static void low_tasks(void)
{
	uint32_t *tss = low_copy(modes_tss);

	for (uint32_t i = 0; i < 2; i++, tss += 26) {
		for (uint32_t n = 0; n < 26; n++)
			tss[n] = chance(8) ? (uint32_t)random64() : n >= 18 && n < 24 ? 0x10 : 0;
		tss[8] = (uint32_t)(uintptr_t)low_copy(modes_handler32);
		tss[9] = RFLAGS_ALWAYS;
		tss[19] = 0x18;
		tss[24] = 0;
		tss[25] = 0x680000;
	}
}

/* Tables for the paging slot: identity, or nearly so. 32-bit with 4 MiB pages, or PAE. */
static void low_paging(uint32_t *values)
{
	uint64_t *pdpt = (uint64_t *)LOW_PDPT, *directory = (uint64_t *)LOW_DIRECTORY;
	uint32_t *table = (uint32_t *)LOW_PDPT;

	values[VALUE_CR3] = LOW_PDPT;
	values[VALUE_CR4] = chance(2) ? 0x10 : 0x30;
	if (chance(8))
		values[VALUE_CR4] = (uint32_t)random64() & 0x7ff;
	if (values[VALUE_CR4] & 0x20) {
		for (uint32_t i = 0; i < 512; i++)
			directory[i] = (uint64_t)i << 21 | 0x83;
		for (uint32_t i = 0; i < 4; i++)
			pdpt[i] = chance(4) ? random64() : LOW_DIRECTORY | 1;
		pdpt[0] = chance(16) ? random64() : LOW_DIRECTORY | 1;
	} else {
		for (uint32_t i = 0; i < 1024; i++)
			table[i] = chance(4) && i > 0 ? (uint32_t)random64() : i << 22 | 0x83;
	}
	if (chance(30))
		values[VALUE_CR3] = (uint32_t)random64();
}

static void put_slot(uint32_t index, uint32_t mode_bytes)
{
	static const uint8_t switch_task[] = {
		0x66, 0xb8, 0x30, 0, 0x0f, 0, 0xd8, 0xea, 0, 0, 0, 0, 0x38, 0};
	const uint32_t *slots = low_copy(modes_slots);
	uint8_t *slot = (uint8_t *)LOW_COPY + slots[index];

	for (uint32_t i = 0; i < SLOT_BYTES; i++)
		slot[i] = 0x90;
	if (chance(4))
		return;
	if (mode_bytes == 4 && chance(100)) {
		for (uint32_t i = 0; i < sizeof(switch_task); i++)
			slot[i] = switch_task[i];
		return;
	}
	random_code(slot, SLOT_BYTES, mode_bytes);
}

static void travel(void *unused)
{
	(void)unused;
	((void (*)(void))LOW_COPY)();
}

static void modes(void)
{
	uint32_t *values = low_copy(modes_values);
	uint64_t cr0, cr4;

	for (uint32_t i = 0; i < (uint32_t)(modes_blob_end - modes_blob); i++)
		((uint8_t *)LOW_COPY)[i] = modes_blob[i];
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	low_gates();
	low_tasks();
	values[VALUE_DEPTH] = below(4);
	values[VALUE_GOOD_CR0] = (uint32_t)cr0;
	values[VALUE_GOOD_CR3] = (uint32_t)(uintptr_t)hostile_pages.pml4;
	values[VALUE_GOOD_CR4] = (uint32_t)cr4;
	low_paging(values);
	put_slot(0, 4);
	put_slot(1, 4);
	put_slot(2, 4);
	put_slot(3, 2);
	hostile.events_left = 5;
	hostile_attempt(travel, NULL);
}

/* --- Tables of the CPU in odd places --------------------------------------------------------- */

static void odd_table(void *unused)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} table = {(uint16_t)(chance(2) ? 0xfff : random64()), random_address(true)};

	(void)unused;
	/* The first two leave no handler, so the next exception is the end. */
	switch (chance(20) ? below(2) : 2 + below(2)) {
	case 0:
		asm volatile("lgdt %0" ::"m"(table));
		asm volatile("mov %0, %%es" ::"r"(below(0x10000)));
		asm volatile("mov %0, %%fs" ::"r"(below(64) * 8));
		return;
	case 1:
		asm volatile("lidt %0; lgdt %0; mov %1, %%ds" ::"m"(table), "r"(below(64) * 8));
		return;
	case 2:
		((uint64_t *)(void *)event_pages.gdt)[below(16)] = random64();
		asm volatile("ltr %w0" ::"r"(4 + below(124)));
		return;
	default:
		((uint64_t *)(void *)event_pages.gdt)[6 + below(10)] = random64();
		asm volatile("lldt %w0; mov %w0, %%es" ::"r"(48 + below(80)));
	}
}

static void odd_tables(void)
{
	hostile_attempt(odd_table, NULL);
}

void hostile_deed(uint64_t number)
{
	static const struct {
		const char *name;
		void (*deed)(void);
		uint32_t weight;
	} deeds[] = {
		{"code", any_code, 60},
		{"stale", stale_code, 6},
		{"garbage", garbage_tables, 4},
		{"storm", storm, 6},
		{"halt", halt, 3},
		{"debug", debug_storm, 3},
		{"modes", modes, 10},
		{"tables", odd_tables, 1},
	};
	uint32_t sum = 0, at;

	for (uint32_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		sum += deeds[i].weight;
	at = below(sum);
	hostile.with_devices = chance(3);
	for (uint32_t i = 0;; i++) {
		if (at < deeds[i].weight) {
			if (hostile.trace) {
				print_number("deed ", number);
				print(" ");
				print(deeds[i].name);
				print("\n");
			}
			deeds[i].deed();
			return;
		}
		at -= deeds[i].weight;
	}
}
