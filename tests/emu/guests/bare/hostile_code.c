/*
 * Made-up code: instructions that leave a guest or that hypervisors get wrong, with random
 * operands, prefixes and registers; and now and then bytes with no sense at all.
 */
#include "tests/emu/guests/bare/hostile.h"

enum {
	REG_FIELD = 1,  /* bits 5:3 of the last byte are random */
	RM_FIELD = 2,   /* bits 2:0 likewise */
	OPERAND = 4,    /* the last byte is a ModRM byte: memory at (RDI) or (RSI), or a register */
	COUNTED = 8,    /* RCX should be small: it repeats */
	PORT = 16,      /* RDX should be a port that does not end the VM */
	IMMEDIATE = 32, /* one random byte follows */
	DEADLY = 64,    /* most probably ends the VM: seldom */
	NOT_TCG = 128,  /* makes QEMU 7.2 itself fail */
	ODD = 256, /* touches memory, and on a device it is not understood, which ends the VM */
};

struct insn {
	const char *bytes;
	uint8_t count;
	uint16_t flags;
};
#define I(bytes, flags)                                                                            \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, flags                                                    \
	}

/* clang-format off */
static const struct insn insns[] = {
	/* System registers and tables. */
	I("\x0f\x20\xc0", REG_FIELD | RM_FIELD), I("\x0f\x22\xc0", REG_FIELD | RM_FIELD | NOT_TCG),
	I("\x0f\x22\xc0", RM_FIELD), I("\x0f\x22\xe0", RM_FIELD), I("\x0f\x22\xd8", RM_FIELD | DEADLY),
	I("\x44\x0f\x20\xc0", RM_FIELD), I("\x44\x0f\x22\xc0", RM_FIELD | NOT_TCG),
	I("\x0f\x21\xc0", REG_FIELD | RM_FIELD), I("\x0f\x23\xc0", REG_FIELD | RM_FIELD),
	I("\x0f\x00\x00", OPERAND | ODD), I("\x0f\x01\x00", OPERAND | ODD), I("\x0f\x01\xf0", RM_FIELD),
	I("\x0f\x01\xe0", RM_FIELD), I("\x0f\x06", 0), I("\x0f\x02\x00", OPERAND | ODD), I("\x0f\x03\x00", OPERAND | ODD),
	I("\x0f\x01\xd0", 0), I("\x0f\x01\xd1", 0), I("\x0f\x01\xf8", 0), I("\x8e\x00", OPERAND | ODD),
	I("\x8c\x00", OPERAND | ODD), I("\x8e\xd0", RM_FIELD), I("\x0f\xa1", 0), I("\x0f\xa9", 0),
	I("\xf3\x48\x0f\xae\xc0", REG_FIELD | RM_FIELD),
	/* XCR0 and what it governs: xor %ecx, %ecx (and %edx); xsetbv. */
	I("\x31\xc9\x0f\x01\xd1", 0), I("\x31\xc9\x31\xd2\x0f\x01\xd1", 0), I("\x0f\x57\xc0", 0),
	I("\xc5\xfc\x57\xc0", 0), I("\x0f\x28\x07", ODD), I("\xc5\xfc\x10\x07", ODD), I("\x0f\xae\x27", ODD),
	I("\x0f\xae\x17", ODD), I("\xdb\xe3", 0), I("\xd9\xe8\xd8\xf0", 0), I("\x0f\x77", 0),
	/* MSRs, counters, CPUID. */
	I("\x0f\x32", 0), I("\x0f\x30", 0), I("\x0f\x32\x0f\x30", 0), I("\x0f\xa2", 0), I("\x0f\x33", 0),
	I("\x0f\x31", 0), I("\x0f\x01\xf9", 0), I("\x0f\xc7\xf0", RM_FIELD), I("\x0f\xc7\xf8", RM_FIELD),
	I("\x0f\x01\xfd", 0),
	/* Ports. */
	I("\xec", PORT), I("\xed", PORT), I("\xee", PORT), I("\xef", PORT), I("\x66\xed", PORT),
	I("\x66\xef", PORT), I("\x6c", PORT | ODD), I("\x6d", PORT | ODD), I("\x6e", PORT | ODD), I("\x6f", PORT | ODD),
	I("\xf3\x6c", PORT | COUNTED | ODD), I("\xf3\x6d", PORT | COUNTED | ODD), I("\xf3\x6e", PORT | COUNTED | ODD),
	I("\xf3\x6f", PORT | COUNTED | ODD), I("\x66\xf3\x6d", PORT | COUNTED | ODD), I("\x67\xf3\x6f", PORT | COUNTED | ODD),
	I("\xfd\xf3\x6e", PORT | COUNTED | ODD), I("\xfd\xf3\x6d", PORT | COUNTED | ODD), I("\x64\xf3\x6e", PORT | COUNTED | ODD),
	I("\xe4", IMMEDIATE), I("\xe6", IMMEDIATE),
	/* Virtualisation. */
	I("\x0f\x01\xc1", 0), I("\x0f\x01\xd9", 0), I("\x0f\x01\xc2", 0), I("\x0f\x01\xc3", 0),
	I("\x0f\x01\xc4", 0), I("\x0f\x01\xd4", 0), I("\x0f\x01\xd8", 0), I("\x0f\x01\xda", 0),
	I("\x0f\x01\xdb", 0), I("\x0f\x01\xdc", 0), I("\x0f\x01\xdd", 0), I("\x0f\x01\xde", 0),
	I("\x0f\x01\xdf", 0), I("\x0f\x78\x00", OPERAND | ODD), I("\x0f\x79\x00", OPERAND | ODD), I("\x0f\xc7\x00", OPERAND | ODD),
	I("\xf3\x0f\xc7\x37", 0), I("\x66\x0f\xc7\x37", 0), I("\x66\x0f\x38\x80\x07", 0),
	I("\x66\x0f\x38\x81\x07", 0), I("\x66\x0f\x38\x82\x07", 0), I("\x0f\xaa", 0), I("\x0f\x37", 0),
	I("\x0f\x01\xcf", 0), I("\x0f\x01\xd7", 0),
	/* Caches, waiting, time. */
	I("\x0f\x08", 0), I("\x0f\x09", 0), I("\x0f\xae\x3f", 0), I("\x66\x0f\xae\x3f", 0), I("\x0f\x01\xc8", 0),
	I("\x0f\x01\xc9", 0), I("\x0f\x01\xfa", 0), I("\x0f\x01\xfb", 0), I("\x0f\x01\xfc", 0),
	I("\xf3\x90", 0), I("\xfb\xf4", 0), I("\xfb", 0), I("\xfa", 0), I("\xf4", DEADLY),
	I("\xf3\x0f\xae\xf0", RM_FIELD), I("\xc7\xf8\x00\x00\x00\x00", 0), I("\x0f\x01\xd5", 0),
	/* Control transfers. */
	I("\xcc", 0), I("\xf1", NOT_TCG), I("\xcd", IMMEDIATE), I("\xce", 0), I("\x48\xcf", 0), I("\xcf", 0),
	I("\x48\xcb", 0), I("\xcb", 0), I("\xff\x2f", ODD), I("\x48\xff\x2f", ODD), I("\xff\x1f", ODD), I("\x0f\x05", 0),
	I("\x48\x0f\x07", 0), I("\x0f\x34", 0), I("\x48\x0f\x35", 0), I("\x50\x9d", 0), I("\x9c\x81\x0c\x24\x00\x01\x04\x00\x9d", 0),
	I("\x0f\x0b", 0), I("\x0f\xff\xc0", 0), I("\xff\xd7", DEADLY), I("\xff\xe6", DEADLY), I("\xc2\x10\x00", 0),
	/* Accesses to memory and devices, mov family. */
	I("\x8b\x00", OPERAND), I("\x89\x00", OPERAND), I("\x48\x8b\x00", OPERAND), I("\x48\x89\x00", OPERAND),
	I("\x66\x89\x00", OPERAND), I("\x66\x8b\x00", OPERAND), I("\x88\x00", OPERAND), I("\x8a\x00", OPERAND),
	I("\x0f\xb6\x00", OPERAND), I("\x0f\xb7\x00", OPERAND), I("\x0f\xbe\x00", OPERAND), I("\x48\x63\x00", OPERAND),
	I("\xc7\x07\xff\xff\xff\xff", 0), I("\xc6\x06", IMMEDIATE), I("\xa4", 0), I("\xa5", 0), I("\x48\xa5", 0),
	I("\xf3\xa4", COUNTED), I("\xf3\xa5", COUNTED), I("\xf3\x48\xa5", COUNTED), I("\xf3\xaa", COUNTED),
	I("\xf3\xab", COUNTED), I("\xf3\x48\xab", COUNTED), I("\xac", ODD), I("\xad", ODD), I("\xaa", 0),
	I("\xfd\xf3\xa5", COUNTED), I("\xfd\xf3\xaa", COUNTED), I("\xf2\xa4", COUNTED),
	/* ... and what is not of it. */
	I("\xf3\xa6", COUNTED | ODD), I("\xf2\xaf", COUNTED | ODD), I("\x09\x00", OPERAND | ODD), I("\x01\x00", OPERAND | ODD),
	I("\x31\x00", OPERAND | ODD), I("\x3b\x00", OPERAND | ODD), I("\x85\x00", OPERAND | ODD), I("\xf0\x09\x07", ODD),
	I("\xf0\x0f\xc1\x07", DEADLY | ODD), I("\xf0\x0f\xb1\x07", DEADLY | ODD), I("\x87\x07", ODD), I("\xf0\x48\x0f\xc7\x0f", DEADLY | ODD),
	I("\x0f\xba\x2f", IMMEDIATE | ODD), I("\x80\x0f", IMMEDIATE | ODD), I("\xff\x07", ODD), I("\xf7\x17", ODD), I("\xff\x37", ODD),
	I("\x8f\x07", ODD), I("\x0f\x29\x07", DEADLY | ODD), I("\x0f\xae\x07", DEADLY | ODD), I("\x0f\xae\x2f", DEADLY | ODD),
	I("\xdd\x07", DEADLY | ODD), I("\xdf\x3f", DEADLY | ODD), I("\x0f\xc7\x27", ODD), I("\xa1\x20\x00\xe0\xfe\x00\x00\x00\x00", ODD),
	I("\xc8\x10\x00\x1f", 0),
};
/* clang-format on */
#define INSN_COUNT (sizeof(insns) / sizeof(insns[0]))

static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x26, 0x64, 0x65, 0x40,
	0x41, 0x44, 0x48, 0x49, 0x4f};

uint64_t random_value(void)
{
	switch (below(8)) {
	case 0:
		return random64();
	case 1:
		return 1ull << below(64);
	case 2:
		return ~0ull;
	case 3:
		return below(256);
	case 4:
		return random_address(true);
	case 5:
		return (uint64_t)below(16) * 8;
	default:
		return random64() >> below(64);
	}
}

uint64_t random_address(bool ring_0)
{
	static const uint8_t ram[] = {PAGE_BEFORE_LAPIC, PAGE_AFTER_LAPIC, PAGE_DATA, PAGE_ABSENT,
		PAGE_READ_ONLY, PAGE_LAST_RAM};
	uint64_t page = WINDOW + (uint64_t)below(WINDOW_PAGES) * PAGE_BYTES;

	if (!hostile.with_devices) {
		page = WINDOW + (uint64_t)ram[below(sizeof(ram))] * PAGE_BYTES;
		return chance(20) ? random64() : page + below(chance(4) ? 16 : PAGE_BYTES - 64);
	}

	switch (below(16)) {
	case 0: /* across pages */
		return page + PAGE_BYTES - 1 - below(16);
	case 1:
	case 2:
		return page + below(PAGE_BYTES);
	case 3:
		return WINDOW + PAGE_LAPIC * PAGE_BYTES + below(0x40) * 16;
	case 4:
		return WINDOW + PAGE_IOAPIC * PAGE_BYTES + below(0x20);
	case 5:
		return random64();
	case 6:
		return (1ull << 47) - below(16);
	case 7:
		return ring_0 ? LAPIC_BASE + below(0x1000) : page;
	case 8: /* nothing, beside the APICs */
		return ring_0 && chance(16) ? 0xfec00000ul + below(0x200000) : page;
	default:
		return WINDOW + PAGE_DATA * PAGE_BYTES + below(PAGE_BYTES);
	}
}

/* Not those that switch the machine off or reset it; nor a byte less than four before them. */
static uint16_t random_port(void)
{
	static const uint16_t known[] = {0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x72,
		0x80, 0xa0, 0xa1, 0xf4, 0x2f8, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe,
		0x3ff, 0x4d0, 0x608, 0xcf8, 0xcfc, 0xffff, 0x3d4, 0x1f0, 0x600};
	uint16_t port =
		chance(3) ? (uint16_t)random64() : known[below(sizeof(known) / sizeof(known[0]))];

	if (chance(200))
		return port;
	if ((port >= 0x5f0 && port < 0x608) || (port >= 0x5c && port < 0x68) ||
		(port >= 0x8c && port < 0x94) || (port >= 0xcf0 && port < 0xcfc))
		return 0x80;
	return port;
}

static uint32_t random_msr(void)
{
	static const uint32_t bases[] = {0, 0x10, 0x1b, 0x38, 0x48, 0x79, 0x8b, 0xc0, 0xfe, 0x10a,
		0x170, 0x179, 0x1a0, 0x1d8, 0x200, 0x208, 0x250, 0x258, 0x268, 0x277, 0x2ff, 0x300,
		0x400, 0x410, 0x480, 0x488, 0x490, 0x560, 0x570, 0x600, 0x6a0, 0x6a4, 0x6e0, 0x770,
		0x800, 0x808, 0x820, 0x828, 0x830, 0x838, 0xc80, 0xd90, 0xda0, 0x4b564d00,
		0x40000000, 0x40000020, 0xc0000080, 0xc0000100, 0xc0010000, 0xc0010010, 0xc0010015,
		0xc0010110, 0xc0010114, 0xc0010200, 0xc0011020, 0xc0011029};

	if (chance(8))
		return (uint32_t)random64();
	return bases[below(sizeof(bases) / sizeof(bases[0]))] + below(8);
}

void random_registers(bool ring_0)
{
	for (uint32_t i = 0; i < 16; i++)
		hostile_registers[i] = random_value();
	hostile_registers[1] = chance(4) ? random_value() : random_msr();
	hostile_registers[6] = random_address(ring_0);
	hostile_registers[7] = random_address(ring_0);
	if (chance(3)) /* CPUID's leaves */
		hostile_registers[0] = (chance(2) ? 0 : 1ull << (30 + below(2))) + below(0x30);
	if (chance(8)) /* our own hypercalls */
		hostile_registers[0] = 0x42570000 + (chance(2) ? below(4) : 0xff00u + below(4));
}

static uint8_t *put_insn(uint8_t *at, const struct insn *insn)
{
	if (insn->flags & COUNTED) {
		*at++ = 0xb9; /* mov ecx, n */
		*(uint32_t *)(void *)at = chance(16) ? below(0x10000) : below(40);
		at += 4;
	}
	if (insn->flags & PORT) {
		*at++ = 0xba; /* mov edx, n */
		*(uint32_t *)(void *)at = random_port();
		at += 4;
	}
	for (uint32_t n = chance(8) ? 1 + below(3) : 0; n > 0; n--)
		*at++ = prefixes[below(sizeof(prefixes))];
	for (uint32_t i = 0; i < insn->count; i++)
		*at++ = (uint8_t)insn->bytes[i];
	if (insn->flags & REG_FIELD)
		at[-1] |= (uint8_t)(below(8) << 3);
	if (insn->flags & RM_FIELD)
		at[-1] = (uint8_t)((at[-1] & ~7u) | below(8));
	if (insn->flags & OPERAND)
		at[-1] = (uint8_t)(below(8) << 3 | (chance(8) ? 0xc0 + below(8) : 6 + below(2)));
	/* LGDT and LIDT of memory: no handler is found any more, so seldom. */
	if ((insn->flags & OPERAND) && at[-2] == 0x01 && at[-3] == 0x0f &&
		(at[-1] & 0xf0) == 0x10 && !chance(30))
		at[-1] &= 0xcf;
	if (insn->flags & IMMEDIATE)
		*at++ = (uint8_t)random64();
	return at;
}

#define INSN_BYTES_MAX 26

static const struct insn *pick(void)
{
	for (;;) {
		const struct insn *insn = &insns[below(INSN_COUNT)];

		if ((insn->flags & NOT_TCG) && hostile.is_tcg)
			continue;
		if ((insn->flags & DEADLY) && !chance(100))
			continue;
		if ((insn->flags & ODD) && hostile.with_devices && !chance(150))
			continue;
		return insn;
	}
}

/*
 * QEMU 7.2 aborts, itself, at an event after LTR of a null selector (it should have been #GP), and
 * at some writes of CR8 (also as LOCK MOV CR0). VMRUN loads DR7 there without a look at which
 * breakpoints are set: when a VM ended with one of data, the next VM's first write of DR7 takes
 * that for one of code, and QEMU crashes. Such are made to NOPs; and most writes of control
 * registers too, for where they should fault it reports an entry failure, which ends the VM.
 */
static void spare_qemu(uint8_t *at, const uint8_t *end)
{
	bool lock = false;

	for (; at + 2 < end; at++) {
		lock |= *at == 0xf0;
		if (at[0] == 0x0f && at[1] == 0x00 && (at[2] >> 3 & 7) == 3)
			at[0] = at[1] = 0x90;
		if ((at[0] & 0xf4) == 0x44 && at[1] == 0x0f && at[2] == 0x22)
			at[0] = at[1] = at[2] = 0x90;
		if (at[0] == 0x0f && at[1] == 0x23 && (at[2] >> 3 & 5) == 5)
			at[0] = at[1] = at[2] = 0x90;
		if (at[0] == 0x0f && at[1] == 0x22 && (lock || !chance(20)))
			at[0] = at[1] = at[2] = 0x90;
	}
}

uint32_t random_code(uint8_t *at, uint32_t bytes, uint32_t mode_bytes)
{
	uint8_t *start = at, *end = at + bytes - 2;

	/* No sense at all; where nothing is translated, a stray pointer is the end. */
	if (chance(mode_bytes == 8 && !hostile.with_devices ? 4 : 150)) {
		while (at < end)
			*at++ = (uint8_t)random64();
	}
	for (uint32_t n = 1 + below(5); n > 0 && at + INSN_BYTES_MAX <= end; n--)
		at = put_insn(at, pick());
	if (hostile.is_tcg)
		spare_qemu(start, at);
	if (mode_bytes == 8) {
		*at++ = 0xcd; /* int */
		*at++ = VECTOR_END;
	}
	return (uint32_t)(at - start);
}
