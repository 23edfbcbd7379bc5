/*
 * A CPU of the guest in each state that the hypervisor knows, for ever, so that the VM can be
 * stopped and reset from all of them. CPU 0 says "ROLES taken" when all have begun, and goes on as
 * the first of them:
 *
 *   0  runs, and never leaves     1  is halted     2  was never started, and waits for INIT and
 * SIPI 3  writes to more memory than the host has for the VM: waits for pages and for frames 4
 * hypercalls with lists of 512 pages, and string I/O 5  is sent INIT and started again, by CPU 4,
 * all the time
 *
 *   mib=N   that CPU 3 writes to
 */
#include "hv/abi/balloon.h"
#include "tests/emu/guests/bare/balloon.h"
#include "tests/emu/guests/bare/cpus.h"

#define ROLES        6u
#define LIST_PAGES   512u
#define SERIAL_EMPTY 0x2f8 /* nothing answers there */

static uint64_t list[LIST_PAGES] __attribute__((aligned(4096)));
static uint8_t bytes[PAGE_BYTES] __attribute__((aligned(4096)));
static uint8_t *spare; /* LIST_PAGES pages for the balloon */
static uint64_t *memory, page_count;

static void run(uint32_t cpu)
{
	(void)cpu;
	for (;;)
		asm volatile("");
}

static void halt(uint32_t cpu)
{
	(void)cpu;
}

static void write_memory(uint32_t cpu)
{
	for (uint64_t round = cpu;; round++) {
		for (uint64_t i = 0; i < page_count; i++) {
			uint64_t *words = memory + i * PAGE_BYTES / 8;

			/* Bytes that nothing shrinks. */
			for (uint64_t k = 0; k < PAGE_BYTES / 8; k++)
				words[k] = (round << 40 | i << 9 | k) * 0x9e3779b97f4a7c15ull;
		}
	}
}

static void inflate_and_deflate(void)
{
	uintptr_t at = (uintptr_t)list;

	for (uint32_t i = 0; i < LIST_PAGES; i++)
		spare[i * PAGE_BYTES] = 1;
	hypercall4(BELLOWS_HC_BALLOON_INFLATE, at, LIST_PAGES, BELLOWS_BALLOON_ORDER_4K, 0);
	hypercall4(BELLOWS_HC_BALLOON_DEFLATE, at, LIST_PAGES, BELLOWS_BALLOON_ORDER_4K, 0);
}

static void string_io(void)
{
	uint8_t *to = bytes;
	uint64_t count = PAGE_BYTES;

	asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(SERIAL_EMPTY) : "memory");
}

static void call(uint32_t cpu)
{
	for (uint32_t i = 0; i < LIST_PAGES; i++)
		list[i] = (uintptr_t)spare / PAGE_BYTES + i;
	hypercall4(BELLOWS_HC_VERSION, BELLOWS_ABI_VERSION, 0, 0, 0);
	hypercall4(BELLOWS_HC_BALLOON_HELLO, BELLOWS_GUEST_TEST, 0, 0, 0);
	for (;;) {
		inflate_and_deflate();
		string_io();
		cpus_start_one(cpu + 1, halt);
	}
}

_Noreturn void roles_run(const struct bare_boot *boot, const char *arguments)
{
	uint8_t *stacks = free_memory(boot);

	spare = stacks + (ROLES + 1) * CPUS_STACK_BYTES;
	memory = (uint64_t *)(void *)(spare + LIST_PAGES * PAGE_BYTES);
	page_count = list_number(arguments, "mib", 8) << 20 >> 12;
	if ((uintptr_t)memory + page_count * PAGE_BYTES > boot->memory_end) {
		print("WORKLOAD FAIL profile=roles: no memory\n");
		power_off();
	}
	cpus_init(stacks + CPUS_STACK_BYTES);
	cpus_start_one(1, halt);
	cpus_start_one(3, write_memory);
	cpus_start_one(4, call);
	print("ROLES taken\n");
	run(0);
	for (;;)
		;
}
