/*
 * Events whose delivery faults: every kind of event, in ring 0 and ring 3, with every choice of the
 * pages that its delivery reads or writes (GDT, IDT, TSS, stack, page tables) taken away by
 * hypercall.
 *
 * An event that met an absent page must be delivered when the page is there: once, with the same
 * vector, error code and return address, and no other event in between.
 */
#include "hv/abi/hypercall.h"
#include "tests/emu/guests/bare/bare.h"

#define VECTOR_EXTERNAL 0x41
#define VECTOR_SOFTWARE 0x80
#define VECTOR_LEAVE    0x90
#define VECTOR_NMI      2
#define VECTOR_PAGE     14
#define VECTOR_COUNT    256

#define LAPIC_EOI          0xfee000b0ul
#define LAPIC_SPURIOUS     0xfee000f0ul
#define LAPIC_ICR_LOW      0xfee00300ul
#define LAPIC_ENABLE       0x1ff
#define ICR_SELF           (1u << 18)
#define RFLAGS_ALWAYS      0x2
#define RFLAGS_TF          0x100
#define RFLAGS_IF          0x200
#define UNMAPPED_ADDRESS   0x7f12345000ull
#define BAD_SELECTOR       0x7ff8
#define PAGE_FAULT_OF_USER 4
#define REPORTS_MAX        20

enum absent {
	ABSENT_GDT = 1,
	ABSENT_IDT = 2,
	ABSENT_TSS = 4,
	ABSENT_STACK = 8,
	ABSENT_TABLES = 16
};
#define ABSENT_CHOICES 32

struct event {
	const char *name;
	const uint8_t *code, *at, *after;
	uint64_t argument;
	uint64_t error; /* in ring 0; a page fault in ring 3 has one bit more */
	uint8_t vector;
	bool is_fault;    /* the return address is _at, else _after */
	bool is_external; /* anywhere between the two; in ring 3 it may come at once */
	bool is_for_ring_0;
	bool not_on_tcg; /* QEMU 7.2's TCG has no INT1, and fails an assertion on CR8 */
};

#define SNIPPET(name) snippet_##name, snippet_##name##_at, snippet_##name##_after
#define DECLARE(name)                                                                              \
	extern const uint8_t snippet_##name[], snippet_##name##_at[], snippet_##name##_after[]

DECLARE(divide);
DECLARE(debug_trap);
DECLARE(breakpoint);
DECLARE(undefined);
DECLARE(protection);
DECLARE(page_fault);
DECLARE(step);
DECLARE(step_emulated);
DECLARE(refused);
DECLARE(bad_msr);
DECLARE(software);
DECLARE(nmi);
DECLARE(external);
DECLARE(masked);
extern const uint8_t leave_user[];
void enter_user(const uint8_t *code, void *stack, uint64_t rflags, uint64_t argument);

static const uint32_t zero;

static const struct event events[] = {
	{.name = "divide",
		SNIPPET(divide),
		.argument = (uintptr_t)&zero,
		.vector = 0,
		.is_fault = true},
	{.name = "int1", SNIPPET(debug_trap), .vector = 1, .not_on_tcg = true},
	{.name = "step", SNIPPET(step), .vector = 1},
	/* Three that the hypervisor raises itself, over what it emulates or instead of that. */
	{.name = "step-emulated", SNIPPET(step_emulated), .vector = 1},
	{.name = "refused", SNIPPET(refused), .vector = 6, .is_fault = true},
	{.name = "bad-msr", SNIPPET(bad_msr), .vector = 13, .is_fault = true},
	{.name = "nmi", SNIPPET(nmi), .vector = VECTOR_NMI, .is_external = true},
	{.name = "int3", SNIPPET(breakpoint), .vector = 3},
	{.name = "undefined", SNIPPET(undefined), .vector = 6, .is_fault = true},
	{.name = "protection",
		SNIPPET(protection),
		.argument = BAD_SELECTOR,
		.error = BAD_SELECTOR,
		.vector = 13,
		.is_fault = true},
	{.name = "page-fault",
		SNIPPET(page_fault),
		.argument = UNMAPPED_ADDRESS,
		.vector = VECTOR_PAGE,
		.is_fault = true},
	{.name = "int-n", SNIPPET(software), .vector = VECTOR_SOFTWARE},
	{.name = "external", SNIPPET(external), .vector = VECTOR_EXTERNAL, .is_external = true},
	{.name = "masked",
		SNIPPET(masked),
		.vector = VECTOR_EXTERNAL,
		.is_external = true,
		.is_for_ring_0 = true,
		.not_on_tcg = true},
};

/* What the handler saw since the test began. */
static uint32_t seen_count;
static struct frame seen;
static uint64_t seen_cr2;
static const struct event *current;

static uint64_t page_tables[3][512] __attribute__((aligned(4096)));
static uint64_t high_directory[512] __attribute__((aligned(4096)));

static void handle(struct frame *frame)
{
	if (frame->vector == VECTOR_LEAVE) {
		frame->rip = (uintptr_t)leave_user;
		frame->cs = KERNEL_CS;
		frame->ss = KERNEL_DS;
		frame->rflags = RFLAGS_ALWAYS;
		return;
	}
	if (frame->vector == VECTOR_PAGE)
		asm volatile("mov %%cr2, %0" : "=r"(seen_cr2));
	seen = *frame;
	seen_count++;
	frame->rflags &= ~(uint64_t)RFLAGS_TF;
	if (frame->vector == VECTOR_EXTERNAL)
		*(volatile uint32_t *)LAPIC_EOI = 0;
	if (!current || frame->vector != current->vector) {
		print_number("EVENT stray vector=", frame->vector);
		print_number(" rip=", frame->rip);
		print("\n");
		if (seen_count > REPORTS_MAX)
			power_off();
	}
	if (current && current->is_fault)
		frame->rip = (uintptr_t)current->after;
}

/* The first GiB and the local APIC's surroundings, for ring 3 too, in tables that can be hidden. */
static void map_memory(void)
{
	const uint64_t table = 7, large = 0x87;

	page_tables[0][0] = (uintptr_t)page_tables[1] | table;
	page_tables[1][0] = (uintptr_t)page_tables[2] | table;
	page_tables[1][3] = (uintptr_t)high_directory | table;
	for (uint64_t i = 0; i < 512; i++) {
		page_tables[2][i] = i << 21 | large;
		high_directory[i] = 3ull << 30 | i << 21 | large;
	}
	asm volatile("mov %0, %%cr3" ::"r"(page_tables) : "memory");
}

/* Take a page away. A test that takes none tests nothing, so that is a failure too. */
static bool hide(const void *page)
{
	return hypercall(BELLOWS_HC_DEBUG_HIDE, (uintptr_t)page / PAGE_BYTES) == 1;
}

static bool hide_all(uint32_t absent, bool from_user)
{
	bool good = true;

	if (absent & ABSENT_STACK)
		good &= hide(from_user ? event_pages.user_event_stack : event_pages.stack);
	if (absent & ABSENT_TSS)
		good &= hide(event_pages.tss);
	if (absent & ABSENT_IDT)
		good &= hide(event_pages.idt);
	if (absent & ABSENT_GDT)
		good &= hide(event_pages.gdt);
	if (absent & ABSENT_TABLES)
		good &= hide(page_tables[1]) && hide(page_tables[2]) && hide(page_tables[0]);
	return good;
}

/* Before a page can be hidden it must be there, and it is there once it was written to. */
static void touch_all(void)
{
	volatile uint8_t *pages = (volatile uint8_t *)&event_pages;

	for (uint32_t i = 0; i < sizeof(event_pages); i += PAGE_BYTES)
		pages[i + PAGE_BYTES / 2 + 8] = 0;
	for (uint32_t i = 0; i < 3; i++)
		*(volatile uint64_t *)&page_tables[i][511] = page_tables[i][511];
}

/* By the processor's name, for the guest sees its host's. */
static bool is_tcg(void)
{
	uint32_t eax = 0x80000002, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return eax == 0x554d4551 && ebx == 0x47435420; /* "QEMU", " TCG" */
}

static const char *run(const struct event *event, uint32_t absent, bool from_user)
{
	bool hidden;

	touch_all();
	interrupts_use_own_stack(!from_user);
	seen_count = 0;
	current = event;
	if (event->vector == VECTOR_EXTERNAL)
		*(volatile uint32_t *)LAPIC_ICR_LOW = ICR_SELF | VECTOR_EXTERNAL;
	hidden = hide_all(absent, from_user);
	if (from_user) {
		enter_user(event->code, event_pages.user_stack + PAGE_BYTES - 64,
			RFLAGS_ALWAYS | (event->vector == VECTOR_EXTERNAL ? RFLAGS_IF : 0),
			event->argument);
	} else {
		uint64_t argument = event->argument;

		asm volatile("call *%1\n\tcli"
			     : "+D"(argument)
			     : "r"(event->code)
			     : "rax", "rcx", "rdx", "memory", "cc");
	}
	current = NULL;
	if (!hidden)
		return "a page could not be hidden";
	if (seen_count != 1)
		return seen_count ? "came more than once" : "did not come";
	if (seen.vector != event->vector)
		return "another vector came";
	if (seen.error !=
		event->error + (from_user && event->vector == VECTOR_PAGE ? PAGE_FAULT_OF_USER : 0))
		return "wrong error code";
	if (event->vector == VECTOR_PAGE && seen_cr2 != event->argument)
		return "wrong CR2";
	if (seen.cs != (from_user ? USER_CS : KERNEL_CS))
		return "from another ring";
	if (event->is_external)
		return seen.rip >= (uintptr_t)(from_user ? event->code : event->at) &&
				       seen.rip <= (uintptr_t)event->after
			       ? NULL
			       : "return address out of range";
	return seen.rip == (uintptr_t)(event->is_fault ? event->at : event->after)
		       ? NULL
		       : "wrong return address";
}

static void report(const struct event *event, uint32_t absent, bool from_user, const char *problem)
{
	print("EVENT FAIL ");
	print(event->name);
	print(from_user ? " ring 3, absent" : " ring 0, absent");
	print(absent & ABSENT_GDT ? " gdt" : "");
	print(absent & ABSENT_IDT ? " idt" : "");
	print(absent & ABSENT_TSS ? " tss" : "");
	print(absent & ABSENT_STACK ? " stack" : "");
	print(absent & ABSENT_TABLES ? " tables" : "");
	print(": ");
	print(problem);
	print_number("; seen ", seen_count);
	print_number(" vector ", seen.vector);
	print_number(" error ", seen.error);
	print_number(" rip ", seen.rip);
	print_number(" at ", (uintptr_t)event->at);
	print_number(" after ", (uintptr_t)event->after);
	print("\n");
}

void events_run(uint32_t *test_count, uint32_t *wrong_count)
{
	bool tcg = is_tcg();

	map_memory();
	interrupts_init();
	interrupt_handler = handle;
	*(volatile uint32_t *)LAPIC_SPURIOUS = LAPIC_ENABLE;
	if (hypercall(BELLOWS_HC_VERSION, BELLOWS_ABI_VERSION) != BELLOWS_ABI_VERSION) {
		print("EVENT FAIL the hypercalls' version is not accepted\n");
		++*wrong_count;
		return;
	}
	for (uint32_t user = 0; user < 2; user++) {
		for (uint32_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
			if ((user && events[i].is_for_ring_0) || (tcg && events[i].not_on_tcg))
				continue;
			for (uint32_t absent = 0; absent < ABSENT_CHOICES; absent++) {
				const char *problem = run(&events[i], absent, user);

				++*test_count;
				if (problem && ++*wrong_count <= REPORTS_MAX)
					report(&events[i], absent, user, problem);
			}
		}
	}
}
