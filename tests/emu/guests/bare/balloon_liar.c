/*
 * A driver that lies: bad lists, bad numbers, bad statistics, out of turn, from ring 3, at full
 * speed. Each lie must be answered with its error, the pages concerned stay what they are, and the
 * host's count of the balloon stays right.
 */
#include "hv/abi/balloon.h"
#include "tests/emu/guests/bare/balloon.h"
#include "tests/emu/guests/bare/bare.h"

#define INFLATE      BELLOWS_HC_BALLOON_INFLATE
#define DEFLATE      BELLOWS_HC_BALLOON_DEFLATE
#define FLOOD_MOST   200000u
#define VECTOR_LEAVE 0x90
#define RFLAGS       2

static uint64_t list[512] __attribute__((aligned(4096)));
static uint64_t statistics[512] __attribute__((aligned(4096)));
static uint64_t page_tables[3][512] __attribute__((aligned(4096)));
static uint32_t check_count, wrong_count;
static volatile int64_t answer_in_ring_3;

extern const uint8_t leave_user[];
void enter_user(const uint8_t *code, void *stack, uint64_t rflags, uint64_t argument);

static void expect(int64_t answer, int64_t wanted, const char *what)
{
	check_count++;
	if (answer == wanted)
		return;
	wrong_count++;
	print("LIAR FAIL ");
	print(what);
	print_number(
		answer < 0 ? ": answer -" : ": answer ", (uint64_t)(answer < 0 ? -answer : answer));
	print_number(wanted < 0 ? ", not -" : ", not ", (uint64_t)(wanted < 0 ? -wanted : wanted));
	print("\n");
}

/* Nothing but "come again later" is waited for. */
static int64_t call(uint64_t number, uint64_t rbx, uint64_t rcx, uint64_t rdx, uint64_t rsi)
{
	int64_t answer;

	do {
		answer = hypercall4(number, rbx, rcx, rdx, rsi);
	} while (answer == BELLOWS_HC_E_AGAIN);
	return answer;
}

static int64_t one(uint64_t number, uint64_t page, uint64_t order)
{
	list[0] = page;
	return call(number, (uintptr_t)list, 1, order, 0);
}

static int64_t host_size(void)
{
	return call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_SIZE, 0, 0, 0);
}

static void out_of_turn(void)
{
	expect(hypercall4(INFLATE, (uintptr_t)list, 1, 0, 0), BELLOWS_HC_E_VERSION,
		"before the version");
	expect(hypercall(BELLOWS_HC_VERSION, 0), BELLOWS_HC_E_VERSION, "version 0");
	expect(hypercall(BELLOWS_HC_VERSION, ~0ull), BELLOWS_ABI_VERSION, "version of tomorrow");
	expect(call(INFLATE, (uintptr_t)list, 1, 0, 0), BELLOWS_HC_E_STATE, "inflate before hello");
	expect(call(DEFLATE, (uintptr_t)list, 1, 0, 0), BELLOWS_HC_E_STATE, "deflate before hello");
	expect(call(BELLOWS_HC_BALLOON_TARGET, 0, 0, 0, 0), BELLOWS_HC_E_STATE,
		"target before hello");
	expect(call(BELLOWS_HC_BALLOON_STATS, (uintptr_t)statistics, 0, 0, 0), BELLOWS_HC_E_STATE,
		"statistics before hello");
	expect(call(BELLOWS_HC_BALLOON_GOODBYE, 0, 0, 0, 0), 0, "goodbye before hello");
	expect(hypercall4(0x42570016, 0, 0, 0, 0), BELLOWS_HC_E_UNKNOWN, "an unknown call");
	expect(call(BELLOWS_HC_BALLOON_HELLO, ~0ull, ~0ull, ~0ull, ~0ull), 0, "hello of a giant");
	expect(call(BELLOWS_HC_BALLOON_HELLO, 0, 0, 0, 0), 0, "hello again");
	expect(call(BELLOWS_HC_BALLOON_TARGET, 77, 0, 0, 0), BELLOWS_HC_E_INVALID,
		"an unknown question");
}

static void bad_lists(uint64_t number, uint64_t end)
{
	static const uint64_t orders[] = {1, 8, 10, 63, 64, 1ull << 32, 9ull << 32, ~0ull};
	static const uint64_t counts[] = {0, 513, 4096, 1ull << 32, (1ull << 32) + 1, ~0ull};
	static const uint64_t addresses[] = {1ull << 40, 1ull << 52, ~0ull << 12, 0xfee00000};

	for (uint32_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		expect(call(number, (uintptr_t)list, 1, orders[i], 0), BELLOWS_HC_E_INVALID,
			"order");
	for (uint32_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		expect(call(number, (uintptr_t)list, counts[i], 0, 0), BELLOWS_HC_E_INVALID,
			"count");
	for (uint32_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		expect(call(number, addresses[i], 1, 0, 0), BELLOWS_HC_E_RANGE,
			"list beyond memory");
	expect(call(number, end, 512, 0, 0), BELLOWS_HC_E_RANGE, "list at the end");
	expect(call(number, end - 8, 2, 0, 0), BELLOWS_HC_E_INVALID, "list across the end");
	expect(call(number, (uintptr_t)list + 8, 1, 0, 0), BELLOWS_HC_E_INVALID,
		"list not aligned");
	expect(call(number, ~0ull, 1, 0, 0), BELLOWS_HC_E_INVALID, "list at the top");
}

static void bad_pages(uint64_t number, uint64_t end_page)
{
	const uint64_t pages[] = {end_page, end_page + 1, 0xfee00, 1ull << 40, 1ull << 51,
		1ull << 52, (1ull << 52) - 1, 1ull << 63, ~0ull};

	for (uint32_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		expect(one(number, pages[i], 0), BELLOWS_HC_E_RANGE, "page beyond memory");
		expect(one(number, pages[i] & ~511ull, 9), BELLOWS_HC_E_RANGE,
			"2 MiB beyond memory");
	}
	expect(one(number, 1025, 9), BELLOWS_HC_E_RANGE, "2 MiB not aligned");
}

static void lies_about_pages(uint64_t free_page)
{
	volatile uint64_t *memory = (volatile uint64_t *)(uintptr_t)(free_page * PAGE_BYTES);

	memory[0] = 1234;
	expect(one(DEFLATE, free_page, 0), BELLOWS_HC_E_NOTFOUND,
		"deflate what was never inflated");
	expect((int64_t)memory[0], 1234, "a page that was not inflated");
	expect(one(DEFLATE, free_page & ~511ull, 9), BELLOWS_HC_E_NOTFOUND, "the same with 2 MiB");
	expect(one(INFLATE, free_page, 0), 1, "inflate");
	expect(one(INFLATE, free_page, 0), BELLOWS_HC_E_EXIST, "inflate twice");
	expect(one(INFLATE, free_page & ~511ull, 9), BELLOWS_HC_E_LIMIT, "2 MiB around it");
	expect(host_size(), 1, "size");
	list[0] = free_page + 1;
	list[1] = free_page + 2;
	list[2] = free_page + 1;
	list[3] = free_page + 3;
	expect(call(INFLATE, (uintptr_t)list, 4, 0, 0), 2, "one page twice in a list");
	expect(host_size(), 3, "size");
	expect((int64_t)memory[0], 0, "a touched page");
	expect(host_size(), 2, "size after a touch");
	expect(one(DEFLATE, free_page, 0), BELLOWS_HC_E_NOTFOUND, "deflate what was touched");
	list[0] = free_page + 1;
	list[1] = free_page + 2;
	expect(call(DEFLATE, (uintptr_t)list, 3, 0, 0), 2, "deflate, one too many");
	expect(host_size(), 0, "size");
	/* The list itself. */
	list[0] = free_page;
	list[1] = (uintptr_t)list / PAGE_BYTES;
	list[2] = free_page + 1;
	expect(call(INFLATE, (uintptr_t)list, 3, 0, 0), 3, "the list gives itself away");
	expect((int64_t)list[1], 0, "the list after that");
	expect(host_size(), 2, "size");
	expect(call(BELLOWS_HC_BALLOON_HELLO, 0, 0, 0, 0), 0, "hello gives all back");
	expect(host_size(), 0, "size");
}

/* The target is nothing: so many pages may be above it, and no more. */
static void too_much(uint64_t first)
{
	for (uint64_t i = 0; i < 512; i++)
		list[i] = first + i;
	expect(call(INFLATE, (uintptr_t)list, 512, 0, 0), BELLOWS_BALLOON_OVERSHOOT, "overshoot");
	expect(one(INFLATE, first + 512, 0), BELLOWS_HC_E_LIMIT, "beyond it");
	expect(one(INFLATE, (first + 1024) & ~511ull, 9), BELLOWS_HC_E_LIMIT, "2 MiB beyond it");
	expect(host_size(), BELLOWS_BALLOON_OVERSHOOT, "size");
	expect(call(BELLOWS_HC_BALLOON_GOODBYE, 0, 0, 0, 0), 0, "goodbye with all that");
	expect(call(BELLOWS_HC_BALLOON_HELLO, 0, 0, 0, 0), 0, "hello");
	expect(host_size(), 0, "size");
}

static void absurd_statistics(uint64_t end_page)
{
	int64_t most;

	for (uint32_t i = 0; i < 512; i++)
		statistics[i] = ~0ull;
	expect(call(BELLOWS_HC_BALLOON_STATS, (uintptr_t)statistics, 0, 0, 0), 0,
		"absurd statistics");
	most = call(BELLOWS_HC_BALLOON_TARGET, BELLOWS_BALLOON_ASK_MAXIMUM, 0, 0, 0);
	expect(most >= 0 && (uint64_t)most <= end_page, 1, "the maximum after them");
	expect(call(BELLOWS_HC_BALLOON_STATS, (uintptr_t)statistics + 8, 0, 0, 0),
		BELLOWS_HC_E_INVALID, "statistics not aligned");
	expect(call(BELLOWS_HC_BALLOON_STATS, end_page * PAGE_BYTES, 0, 0, 0), BELLOWS_HC_E_RANGE,
		"statistics beyond memory");
}

static void handle(struct frame *frame)
{
	if (frame->vector != VECTOR_LEAVE) {
		print_number("LIAR FAIL vector ", frame->vector);
		print("\n");
		power_off();
	}
	frame->rip = (uintptr_t)leave_user;
	frame->cs = KERNEL_CS;
	frame->ss = KERNEL_DS;
	frame->rflags = RFLAGS;
}

static void call_in_ring_3(void)
{
	answer_in_ring_3 = hypercall4(BELLOWS_HC_BALLOON_TARGET, 0, 0, 0, 0);
}

static void from_ring_3(void)
{
	page_tables[0][0] = (uintptr_t)page_tables[1] | 7;
	page_tables[1][0] = (uintptr_t)page_tables[2] | 7;
	for (uint64_t i = 0; i < 512; i++)
		page_tables[2][i] = i << 21 | 0x87;
	asm volatile("mov %0, %%cr3" ::"r"(page_tables) : "memory");
	interrupts_init();
	interrupt_handler = handle;
	enter_user((const uint8_t *)call_in_ring_3, event_pages.user_stack + PAGE_BYTES - 64,
		RFLAGS, 0);
	expect(answer_in_ring_3, BELLOWS_HC_E_PERM, "from ring 3");
}

/* For ever, as far as a test can: some are refused, and afterwards all is as before. */
static void flood(void)
{
	uint32_t refused = 0;

	for (uint32_t i = 0; i < FLOOD_MOST && refused < 100; i++)
		refused += hypercall4(BELLOWS_HC_BALLOON_TARGET, 0, 0, 0, 0) == BELLOWS_HC_E_AGAIN;
	expect(refused, 100, "calls refused at full speed");
	expect(host_size(), 0, "size after the flood");
}

void balloon_lie(const struct bare_boot *boot, uint32_t *tests, uint32_t *wrong)
{
	uint64_t end_page = boot->memory_end / PAGE_BYTES;
	uint64_t free_page = ((uintptr_t)free_memory(boot) / PAGE_BYTES + 511) & ~511ull;

	out_of_turn();
	bad_lists(INFLATE, boot->memory_end);
	bad_lists(DEFLATE, boot->memory_end);
	bad_pages(INFLATE, end_page);
	bad_pages(DEFLATE, end_page);
	expect(host_size(), 0, "size after nothing but lies");
	lies_about_pages(free_page);
	too_much(free_page + 1024);
	absurd_statistics(end_page);
	from_ring_3();
	flood();
	*tests += check_count;
	*wrong += wrong_count;
}
