/*
 * A guest gone mad: privileged instructions of every kind, with operands that are sometimes sensible,
 * in ring 0, thousands of times. Nothing is expected of each but that the hypervisor survives it; what
 * comes back is an exception, an interrupt, or the end of the piece of code, and then the guest mends
 * itself and goes on. A VM may well be stopped on the way (a reset, a broken page table); no other may.
 */
#include "hv/abi/hypercall.h"
#include "tests/emu/guests/bare/bare.h"

#define ROUND_COUNT  20000
#define INSNS_MAX    6
#define VECTOR_END   0x91
#define VECTOR_TIMER 0x42
#define MSR_APIC     0x1b
#define MSR_EFER     0xc0000080
#define APIC_OFF     0xfee00000u
#define APIC_ON      0xfee00900u
#define APIC         0xfee00000ul
#define IOAPIC       0xfec00000ul
#define APIC_EOI     0xb0
#define APIC_SVR     0xf0
#define APIC_ICR     0x300
#define APIC_TIMER   0x320
#define APIC_INITIAL 0x380
#define APIC_DIVIDE  0x3e0
#define TIMER_TICKS  2000000

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, REGISTER_COUNT = 16 };

static uint64_t registers[REGISTER_COUNT] __attribute__((used));
static uint64_t saved_rsp __attribute__((used));
static uint64_t good_cr0, good_cr3, good_cr4;
static uint64_t random_state;
static uint8_t scratch[4 * PAGE_BYTES] __attribute__((aligned(4096)));
/* Three pages, so that a push or a string may overrun the middle one. */
static uint64_t mad_stack[3 * PAGE_BYTES / 8] __attribute__((aligned(4096)));
static uint8_t code[PAGE_BYTES] __attribute__((aligned(4096), section(".bss.code")));
static uint32_t exception_count, interrupt_count;

/* chaos_enter(code): run it with registers[], come back at chaos_leave whatever happens. */
void chaos_enter(const uint8_t *at);
extern const uint8_t chaos_leave[];
asm(".text\n"
    ".globl chaos_enter, chaos_leave\n"
    "chaos_enter:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	push %rdi\n"
    "	mov %rsp, saved_rsp(%rip)\n"
    "	mov registers+8(%rip), %rcx\n"
    "	mov registers+16(%rip), %rdx\n"
    "	mov registers+24(%rip), %rbx\n"
    "	mov registers+40(%rip), %rbp\n"
    "	mov registers+48(%rip), %rsi\n"
    "	mov registers+56(%rip), %rdi\n"
    "	mov registers+64(%rip), %r8\n"
    "	mov registers+72(%rip), %r9\n"
    "	mov registers+0(%rip), %rax\n"
    "	mov (%rsp), %r10\n"
    "	mov registers+32(%rip), %rsp\n"
    "	jmp *%r10\n"
    "chaos_leave:\n"
    "	cld\n"
    "	mov saved_rsp(%rip), %rsp\n"
    "	pop %rdi\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

/* xorshift64* */
static uint64_t random64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}

static uint32_t below(uint32_t count)
{
	return (uint32_t)(random64() >> 32) % count;
}

static void wrmsr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" ::"c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

static uint64_t rdmsr(uint32_t index)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static void apic_write(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(APIC + offset) = value;
}

static void set_apic(void)
{
	/* From x2APIC mode there is no other way back. */
	wrmsr(MSR_APIC, APIC_OFF);
	wrmsr(MSR_APIC, APIC_ON);
	apic_write(APIC_SVR, 0x1ff);
	apic_write(APIC_DIVIDE, 0xb);
	apic_write(APIC_TIMER, 0x20000 | VECTOR_TIMER);
	apic_write(APIC_INITIAL, TIMER_TICKS);
}

/* Back to what this program needs to go on; only what cannot fault, for it runs in the handler. */
static void mend(void)
{
	asm volatile("mov %0, %%cr0" ::"r"(good_cr0));
	asm volatile("mov %0, %%cr4" ::"r"(good_cr4));
	asm volatile("mov %0, %%cr3" ::"r"(good_cr3) : "memory");
	asm volatile("mov %0, %%dr7" ::"r"(0x400ul));
	asm volatile("mov %0, %%cr8" ::"r"(0ul));
	asm volatile("mov %0, %%ds; mov %0, %%es" ::"r"(KERNEL_DS));
	/* The serial line: 8N1, no loopback, no interrupts. */
	out8(0x3fb, 3);
	out8(0x3f9, 0);
	out8(0x3fc, 3);
}

static void on_interrupt(struct frame *frame)
{
	if (frame->vector < 32)
		exception_count++;
	else if (frame->vector != VECTOR_END)
		interrupt_count++;
	mend();
	if (frame->vector >= 32 && frame->vector != VECTOR_END && frame->vector != 0xff)
		apic_write(APIC_EOI, 0);
	frame->rip = (uintptr_t)chaos_leave;
	frame->cs = KERNEL_CS;
	frame->ss = KERNEL_DS;
	frame->rflags = 2;
	frame->rsp = saved_rsp;
}

/* Not those that end the machine. */
static uint16_t random_port(void)
{
	static const uint16_t known[] = {0x20, 0x21, 0x40, 0x43, 0x61, 0x70, 0x71, 0x80, 0xa0, 0xa1, 0xf4,
		0x2f8, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x4d0, 0x608, 0xcf8,
		0xcfc, 0xffff};
	uint16_t port = below(4) ? known[below(sizeof(known) / sizeof(known[0]))] : (uint16_t)random64();

	/* Power, keyboard controller, fast reset, PCI reset; and what an access to the port before reaches. */
	if ((port >= 0x5f0 && port < 0x608) || (port >= 0x60 && port < 0x68) || port / 8 == 0x92 / 8 ||
		port / 8 == 0xcf9 / 8)
		return 0x80;
	return port;
}

static uint32_t random_msr(void)
{
	static const uint32_t bases[] = {0, 0x1b, 0x48, 0x170, 0x1d9, 0x200, 0x277, 0x2ff, 0x400, 0x480, 0x6e0,
		0xd90, 0xda0, 0x4b564d00, 0x40000000, 0xc0000080, 0xc0000100, 0xc0010000, 0xc0010010,
		0xc0010110, 0xc0011020};
	uint32_t msr = bases[below(sizeof(bases) / sizeof(bases[0]))] + below(8);

	if (below(8) == 0)
		msr = below(2) ? (uint32_t)random64() : 0x800 + below(0x30);
	return msr == 0x830 ? 0x831 : msr; /* an INIT to itself would be the end */
}

static uint64_t random_address(void)
{
	switch (below(8)) {
	case 0:
		return APIC + below(0x30) * 16;
	case 1:
		return APIC + 0x310 + below(0x800);
	case 2:
		return IOAPIC + below(0x40);
	case 3:
		return random64();
	case 4:
		return (uintptr_t)scratch + PAGE_BYTES * 2 - below(16);
	default:
		return (uintptr_t)scratch + below(2 * PAGE_BYTES);
	}
}

static uint64_t random_value(void)
{
	switch (below(4)) {
	case 0:
		return random64();
	case 1:
		return 1ull << below(64);
	case 2:
		return below(256);
	default:
		return random64() >> below(64);
	}
}

static void random_registers(void)
{
	for (uint32_t i = 0; i < REGISTER_COUNT; i++)
		registers[i] = random_value();
	registers[RSP] = (uintptr_t)&mad_stack[2 * PAGE_BYTES / 8];
	registers[RSI] = random_address();
	registers[RDI] = random_address();
	registers[RDX] = below(2) ? random_port() : random_value();
	registers[RCX] = random_msr();
	if (registers[RCX] == MSR_EFER && below(2))
		registers[RAX] = 0xd00 ^ 1u << below(16), registers[RDX] = 0;
}

/* The instructions; those with a register field take it from RAX, RCX, RDX, RBX. */
struct insn {
	uint8_t bytes[10], count;
	uint8_t flags;
};
#define REG_FIELD 1 /* low two bits of the last byte: which register */
#define CR_FIELD  2 /* bits 5:3 of the last byte: which control or debug register */
#define FEW_TIMES 4 /* RCX must be small */
#define PORT      8 /* RDX must be a harmless port */

static const struct insn insns[] = {
	{{0x0f, 0xa2}, 2, 0},                    /* cpuid */
	{{0x0f, 0x32}, 2, 0},                    /* rdmsr */
	{{0x0f, 0x30}, 2, 0},                    /* wrmsr */
	{{0x0f, 0x20, 0xc0}, 3, REG_FIELD | CR_FIELD}, /* mov reg, cr */
	{{0x0f, 0x22, 0xc0}, 3, REG_FIELD | CR_FIELD}, /* mov cr, reg */
	{{0x44, 0x0f, 0x20, 0xc0}, 4, REG_FIELD}, /* mov reg, cr8 */
	{{0x0f, 0x21, 0xc0}, 3, REG_FIELD | CR_FIELD},
	{{0x0f, 0x23, 0xc0}, 3, REG_FIELD | CR_FIELD},
	{{0xec}, 1, PORT}, {{0xed}, 1, PORT}, {{0xee}, 1, PORT}, {{0xef}, 1, PORT},
	{{0x66, 0xed}, 2, PORT}, {{0x66, 0xef}, 2, PORT},
	{{0x6c}, 1, PORT}, {{0x6d}, 1, PORT}, {{0x6e}, 1, PORT}, {{0x6f}, 1, PORT},
	{{0xf3, 0x6c}, 2, PORT | FEW_TIMES}, {{0xf3, 0x6e}, 2, PORT | FEW_TIMES},
	{{0xf3, 0x66, 0x6f}, 3, PORT | FEW_TIMES}, {{0x67, 0xf3, 0x6d}, 3, PORT | FEW_TIMES},
	{{0x64, 0x6e}, 2, PORT},
	{{0x0f, 0x01, 0xc1}, 3, 0},              /* vmcall */
	{{0x0f, 0x01, 0xd9}, 3, 0},              /* vmmcall */
	{{0x0f, 0x01, 0xd8}, 3, 0},              /* vmrun */
	{{0x0f, 0x01, 0xda}, 3, 0},              /* vmload */
	{{0x0f, 0x01, 0xdb}, 3, 0},              /* vmsave */
	{{0x0f, 0x01, 0xdc}, 3, 0},              /* stgi */
	{{0x0f, 0x01, 0xdd}, 3, 0},              /* clgi */
	{{0x0f, 0x01, 0xde}, 3, 0},              /* skinit */
	{{0x0f, 0x01, 0xdf}, 3, 0},              /* invlpga */
	{{0x0f, 0x01, 0xc2}, 3, 0},              /* vmlaunch */
	{{0x0f, 0x01, 0xd1}, 3, 0},              /* xsetbv */
	{{0x0f, 0x01, 0xd0}, 3, 0},              /* xgetbv */
	{{0x0f, 0x01, 0xc8}, 3, 0},              /* monitor */
	{{0x0f, 0x01, 0xc9}, 3, 0},              /* mwait */
	{{0x0f, 0x01, 0xf8}, 3, 0},              /* swapgs */
	{{0x0f, 0x01, 0xf9}, 3, 0},              /* rdtscp */
	{{0x0f, 0x01, 0xfd}, 3, 0},              /* rdpru */
	{{0x0f, 0x01, 0x3f}, 3, 0},              /* invlpg (rdi) */
	{{0x0f, 0x33}, 2, 0},                    /* rdpmc */
	{{0x0f, 0x31}, 2, 0},                    /* rdtsc */
	{{0x0f, 0x08}, 2, 0},                    /* invd */
	{{0x0f, 0x09}, 2, 0},                    /* wbinvd */
	{{0x0f, 0x06}, 2, 0},                    /* clts */
	{{0x0f, 0xaa}, 2, 0},                    /* rsm */
	{{0x0f, 0x0b}, 2, 0},                    /* ud2 */
	{{0x0f, 0xc7, 0x37}, 3, 0},              /* vmptrld (rdi) */
	{{0xf3, 0x0f, 0xc7, 0x37}, 4, 0},        /* vmxon (rdi) */
	{{0x66, 0x0f, 0x38, 0x80, 0x07}, 5, 0},  /* invept */
	{{0x66, 0x0f, 0x38, 0x82, 0x07}, 5, 0},  /* invpcid */
	{{0xf3, 0x90}, 2, 0},                    /* pause */
	{{0xcc}, 1, 0}, {{0xcd, 0x80}, 2, 0}, {{0xf1}, 1, 0},
	{{0xfb}, 1, 0}, {{0xfa}, 1, 0},          /* sti, cli */
	{{0x8e, 0xd0}, 2, REG_FIELD},            /* mov ss, reg */
	{{0x8e, 0xd8}, 2, REG_FIELD},            /* mov ds, reg */
	{{0x50, 0x9d}, 2, 0},                    /* push rax; popfq */
	{{0x48, 0xcf}, 2, 0},                    /* iretq */
	{{0x8b, 0x07}, 2, 0},                    /* mov eax, (rdi) */
	{{0x89, 0x07}, 2, 0},                    /* mov (rdi), eax */
	{{0x48, 0x8b, 0x06}, 3, 0}, {{0x48, 0x89, 0x07}, 3, 0}, {{0x66, 0x89, 0x07}, 3, 0},
	{{0x88, 0x07}, 2, 0}, {{0x8a, 0x26}, 2, 0},
	{{0xc7, 0x07, 0x11, 0x22, 0x33, 0x44}, 6, 0},
	{{0x0f, 0xb6, 0x07}, 3, 0}, {{0x48, 0x63, 0x07}, 3, 0},
	{{0x09, 0x07}, 2, 0}, {{0x83, 0x0f, 0x01}, 3, 0}, {{0x0f, 0xba, 0x27, 0x03}, 4, 0},
	{{0xf0, 0x0f, 0xc1, 0x07}, 4, 0},        /* lock xadd */
	{{0xf3, 0xab}, 2, FEW_TIMES}, {{0xf3, 0xa5}, 2, FEW_TIMES}, {{0xa4}, 1, 0},
	{{0x0f, 0xae, 0x07}, 3, 0},              /* fxsave */
	{{0x0f, 0x29, 0x07}, 3, 0},              /* movaps (rdi), xmm0 */
	{{0xff, 0x27}, 2, 0},                    /* jmp (rdi) */
};

static uint8_t *put(uint8_t *at, const struct insn *insn)
{
	if (insn->flags & FEW_TIMES) {
		*at++ = 0xb9; /* mov ecx, n */
		*(uint32_t *)(void *)at = below(200);
		at += 4;
	}
	if (insn->flags & PORT) {
		*at++ = 0xba; /* mov edx, n */
		*(uint32_t *)(void *)at = random_port();
		at += 4;
	}
	for (uint32_t i = 0; i < insn->count; i++)
		*at++ = insn->bytes[i];
	if (insn->flags & REG_FIELD)
		at[-1] |= below(4);
	if (insn->flags & CR_FIELD)
		at[-1] |= (uint8_t)(below(8) << 3);
	/* CR8 crashes QEMU 7.2's TCG; CR3 elsewhere stops the VM, which ends the fun. */
	if (insn->bytes[1] == 0x22 && (at[-1] >> 3 & 7) == 3)
		at[-1] ^= 3 << 3;
	return at;
}

static void random_code(void)
{
	uint32_t count = 1 + below(INSNS_MAX);
	uint8_t *at = code;

	if (below(64) == 0) {
		*at++ = 0xfb; /* sti; hlt: the timer ends it */
		*at++ = 0xf4;
	} else {
		for (uint32_t i = 0; i < count; i++)
			at = put(at, &insns[below(sizeof(insns) / sizeof(insns[0]))]);
	}
	*at++ = 0xcd;
	*at++ = VECTOR_END;
}

static void one_hypercall(void)
{
	static const uint64_t numbers[] = {BELLOWS_HC_VERSION, BELLOWS_HC_DEBUG_HIDE,
		BELLOWS_HC_DEBUG_HIDE_ALL, BELLOWS_HC_LAST, 0};
	uint64_t number = numbers[below(5)];

	hypercall(number, below(2) ? below(0x1000) : random_value());
}

uint32_t chaos_run(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15 + 1;
	asm volatile("mov %%cr0, %0" : "=r"(good_cr0));
	asm volatile("mov %%cr3, %0" : "=r"(good_cr3));
	asm volatile("mov %%cr4, %0" : "=r"(good_cr4));
	interrupts_init();
	interrupts_use_own_stack(true);
	interrupt_handler = on_interrupt;
	uint64_t efer = rdmsr(MSR_EFER);

	for (uint32_t round = 0; round < ROUND_COUNT; round++) {
		set_apic();
		wrmsr(MSR_EFER, efer);
		random_registers();
		random_code();
		if (below(16) == 0)
			one_hypercall();
		chaos_enter(code);
	}
	print_number("CHAOS exceptions=", exception_count);
	print_number(" interrupts=", interrupt_count);
	print("\n");
	return ROUND_COUNT;
}
