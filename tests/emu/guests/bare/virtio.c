/*
 * A disk driver that lies: registers written at random, rings of senseless descriptors, requests
 * that are given up while they are at the disk. After each lie a proper driver must find the device
 * at work again, and on the disk what it wrote.
 *
 * What the device may write for senseless descriptors lies at the end of memory, where nothing else
 * is.
 */
#include "tests/emu/guests/bare/bare.h"

#define REGISTERS   0xfeb00000ul
#define LIES        300u
#define SIZE        16u
#define ARENA_BYTES (1ul << 20)
#define SECTORS     8u /* of a page */

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { IN = 0, OUT = 1, FLUSH = 4 };
enum { NEEDS_RESET = 0x40 };

struct descriptor {
	uint64_t at;
	uint32_t bytes;
	uint16_t flags, next;
};

struct rings {
	struct descriptor table[SIZE];
	struct {
		uint16_t flags, index, heads[SIZE];
	} available;
	struct {
		uint16_t flags, index;
		uint32_t entries[SIZE][2];
	} used __attribute__((aligned(4)));
};

static struct {
	struct rings rings;
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header;
	volatile uint8_t status;
} own __attribute__((aligned(4096)));
static uint64_t page[512] __attribute__((aligned(4096)));
static uint8_t *arena;
static uint64_t random = 88172645463325252ull;

static uint64_t draw(void)
{
	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	return random;
}

static uint32_t get(uint32_t offset)
{
	return *(volatile uint32_t *)(REGISTERS + offset);
}

static void set(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(REGISTERS + offset) = value;
}

static void start(struct rings *rings)
{
	const uintptr_t areas[] = {
		(uintptr_t)rings->table, (uintptr_t)&rings->available, (uintptr_t)&rings->used};

	set(0x70, 0);
	set(0x70, 3);
	set(0x24, 1);
	set(0x20, 1); /* version 1 */
	set(0x24, 0);
	set(0x20, 1u << 28 | 1u << 9); /* indirect descriptors, flush */
	set(0x70, 11);
	set(0x30, 0);
	set(0x38, SIZE);
	for (uint32_t i = 0; i < 3; i++) {
		set(0x80 + 16 * i, (uint32_t)areas[i]);
		set(0x84 + 16 * i, (uint32_t)(areas[i] >> 32));
	}
	set(0x44, 1);
	set(0x70, 15);
}

/* --- A proper driver ------------------------------------------------------------------------- */

static uint8_t request(uint32_t type, uint64_t sector, void *data, uint32_t bytes)
{
	volatile uint16_t *used = &own.rings.used.index;
	uint16_t before = *used;

	own.header.type = type;
	own.header.sector = sector;
	own.status = 0xee;
	own.rings.table[0] = (struct descriptor){(uintptr_t)&own.header, 16, NEXT, 1};
	own.rings.table[1] =
		(struct descriptor){(uintptr_t)data, bytes, type == IN ? WRITE | NEXT : NEXT, 2};
	own.rings.table[2] = (struct descriptor){(uintptr_t)&own.status, 1, WRITE, 0};
	own.rings.available.heads[own.rings.available.index % SIZE] = 0;
	asm volatile("" ::: "memory");
	own.rings.available.index++;
	set(0x50, 0);
	while (*used == before && !(get(0x70) & NEEDS_RESET))
		;
	set(0x64, 3);
	return own.status;
}

/* Returns what is wrong, or NULL. */
static const char *write_and_read(uint64_t number)
{
	uint64_t sector = number % 64 * SECTORS;

	own.rings = (struct rings){0};
	start(&own.rings);
	if (get(0x70) != 15)
		return "the device does not start";
	for (uint32_t i = 0; i < 512; i++)
		page[i] = number << 32 | i;
	if (request(OUT, sector, page, PAGE_BYTES) != 0)
		return "a write failed";
	for (uint32_t i = 0; i < 512; i++)
		page[i] = 0;
	if (request(IN, sector, page, PAGE_BYTES) != 0)
		return "a read failed";
	for (uint32_t i = 0; i < 512; i++) {
		if (page[i] != (number << 32 | i))
			return "something else was read";
	}
	return NULL;
}

/* --- Lies ------------------------------------------------------------------------------------ */

static uint64_t some_address(void)
{
	static const uint64_t odd[] = {0x80000000, 0xfee00000, 0xfec00000, REGISTERS, 0x100000000,
		~0ull, ~0ull - 15, 1ull << 52};

	switch (draw() % 8) {
	case 0:
		return odd[draw() % 8];
	case 1:
		return draw() | 1ull << 40;
	case 2:
		return (uintptr_t)arena + ARENA_BYTES - draw() % 64;
	default:
		return (uintptr_t)arena + draw() % ARENA_BYTES / (draw() % 2 ? 1 : 512) *
						  (draw() % 2 ? 1 : 16) % ARENA_BYTES;
	}
}

static uint32_t some_length(void)
{
	static const uint32_t lengths[] = {
		0, 1, 16, 16, 512, 512, 4096, 65536, 1 << 20, 0xffffffff};

	return draw() % 8 ? lengths[draw() % 10] : (uint32_t)draw();
}

static void fill_descriptor(struct descriptor *d, uint32_t index)
{
	d->at = some_address() & (draw() % 4 ? ~15ull : ~0ull);
	d->bytes = some_length();
	d->flags =
		draw() % 8 ? (draw() % 3 ? NEXT : 0) | (draw() % 2 ? WRITE : 0) : (uint16_t)draw();
	d->next = draw() % 8 ? (index + 1) % SIZE : (uint16_t)(draw() % 20);
}

/* Requests that begin well, in the arena, so that some of the chains lead on. */
static void sow_headers(void)
{
	static const uint32_t types[] = {IN, OUT, FLUSH, 8, 11, 13, 2, 77};

	for (uint32_t at = 0; at < ARENA_BYTES; at += 32) {
		*(uint32_t *)(arena + at) = types[draw() % 8];
		*(uint64_t *)(arena + at + 8) = draw() % 4096 * (draw() % 8 ? 1 : draw());
	}
}

static void lie_with_rings(void)
{
	struct rings *rings = (struct rings *)(arena + draw() % 64 * 1024);

	sow_headers();
	*rings = (struct rings){0};
	for (uint32_t i = 0; i < SIZE; i++) {
		fill_descriptor(&rings->table[i], i);
		rings->available.heads[i] = (uint16_t)(draw() % (draw() % 8 ? SIZE : 0x10000));
	}
	if (draw() % 2) /* the first one a header, as it should be */
		rings->table[0] =
			(struct descriptor){(uintptr_t)arena + draw() % 1000 * 32, 16, NEXT, 1};
	start(rings);
	for (uint32_t i = draw() % 4; i < 4; i++) {
		rings->available.index =
			(uint16_t)(draw() % 16 ? rings->available.index + 1 + draw() % 8 : draw());
		set(0x50, (uint32_t)(draw() % 8 ? 0 : draw()));
	}
}

static void lie_with_registers(void)
{
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t offset = draw() % 4 ? draw() % 0x40 * 4 : draw() & 0xffc;

		if (draw() % 4 == 0)
			(void)get(offset);
		else if (offset < 0x80 || offset >= 0xb0)
			set(offset, (uint32_t)(draw() % 2 ? draw() % 16 : draw()));
		else
			set(offset, (uint32_t)(offset % 8 ? draw() % 2 : some_address()));
	}
}

/* Reads for the arena, given up at once. */
static void give_up(void)
{
	struct rings *rings = (struct rings *)arena;

	*rings = (struct rings){0};
	for (uint32_t i = 0; i < 4; i++) {
		struct descriptor *d = &rings->table[3 * i];
		uint8_t *header = arena + 0x2000 + 64 * i;

		*(uint32_t *)header = IN;
		*(uint64_t *)(header + 8) = 64 * i;
		d[0] = (struct descriptor){(uintptr_t)header, 16, NEXT, (uint16_t)(3 * i + 1)};
		d[1] = (struct descriptor){(uintptr_t)arena + 0x10000 + i * 0x8000, 0x8000,
			WRITE | NEXT, (uint16_t)(3 * i + 2)};
		d[2] = (struct descriptor){(uintptr_t)header + 32, 1, WRITE, 0};
		rings->available.heads[i] = (uint16_t)(3 * i);
	}
	rings->available.index = 4;
	start(rings);
	set(0x50, 0);
	set(draw() % 2 ? 0x70 : 0x44, 0);
	/* Whatever was under way is over: nothing changes any more. */
	for (uint32_t i = 0; i < ARENA_BYTES; i += 8)
		*(uint64_t *)(arena + i) = i;
}

static bool arena_is_as_left(void)
{
	for (uint32_t i = 0; i < ARENA_BYTES; i += 8) {
		if (*(uint64_t *)(arena + i) != i)
			return false;
	}
	return true;
}

void virtio_run(const struct bare_boot *boot, uint32_t *test_count, uint32_t *wrong_count)
{
	uint32_t resets = 0;

	arena = (uint8_t *)(boot->memory_end - ARENA_BYTES);
	random += number_at(option(boot, "seed")) << 8;
	for (*test_count = 0; *test_count < LIES; ++*test_count) {
		bool gives_up = draw() % 4 == 0;
		const char *wrong;

		if (gives_up)
			give_up();
		else if (draw() % 3)
			lie_with_rings();
		else
			lie_with_registers();
		resets += (get(0x70) & NEEDS_RESET) != 0;
		wrong = write_and_read(*test_count);
		if (!wrong && gives_up && !arena_is_as_left())
			wrong = "memory was written after a reset";
		if (!wrong)
			continue;
		print("VIRTIO FAIL ");
		print(wrong);
		print_number(" after lie ", *test_count);
		print("\n");
		++*wrong_count;
	}
	print_number("VIRTIO the device asked for a reset ", resets);
	print(" times\n");
}
