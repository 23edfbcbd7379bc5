/*
 * GDT, IDT, TSS. The IDT is filled once, for all 256 vectors, and shared by all CPUs; the stacks
 * that its gates name (IST) differ by CPU, through the TSS. SDM vol. 3, "Interrupt and Exception
 * Handling".
 */
#include "hv/x86/tables.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/trap.h"
#include "mm/base/str.h"

#define GDT_CODE_64     0x00af9b000000ffffull
#define GDT_DATA        0x00cf93000000ffffull
#define GDT_TSS_PRESENT 0x89ull /* available 64-bit TSS */
#define GATE_INTERRUPT  0x8eull /* present, DPL 0, interrupts off */

#define MAIN_STACK_BYTES KIB(32)
#define IST_STACK_BYTES  KIB(8)

enum { IST_NMI = 1, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_COUNT = 3 };

struct __attribute__((packed)) tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 io_map;
};
_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");

struct x86_tables {
	u64 gdt[5]; /* null, code, data, TSS (two entries) */
	struct tss tss;
} __attribute__((aligned(64)));

struct gate {
	u64 low, high;
};

static struct gate idt[TRAP_VECTOR_COUNT] __attribute__((aligned(64)));
static struct x86_tables boot_tables;
static u8 boot_ist_stacks[IST_COUNT][4096] __attribute__((aligned(16)));

static void tables_fill(struct x86_tables *tables)
{
	u64 base = (u64)&tables->tss;

	tables->tss.io_map = sizeof(struct tss);
	tables->gdt[SELECTOR_CODE / 8] = GDT_CODE_64;
	tables->gdt[SELECTOR_DATA / 8] = GDT_DATA;
	tables->gdt[SELECTOR_TSS / 8] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 |
					GDT_TSS_PRESENT << 40 | (base >> 24 & 0xff) << 56;
	tables->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
}

static void idt_set(u32 vector, u32 ist)
{
	u64 stub = (u64)trap_stubs + vector * TRAP_STUB_BYTES;

	idt[vector].low = (stub & 0xffff) | (u64)SELECTOR_CODE << 16 | (u64)ist << 32 |
			  GATE_INTERRUPT << 40 | (stub >> 16 & 0xffff) << 48;
	idt[vector].high = stub >> 32;
}

void tables_init_boot_cpu(struct cpu *cpu)
{
	for (u32 vector = 0; vector < TRAP_VECTOR_COUNT; vector++)
		idt_set(vector, 0);
	idt_set(TRAP_NMI, IST_NMI);
	idt_set(TRAP_DOUBLE_FAULT, IST_DOUBLE_FAULT);
	idt_set(TRAP_MACHINE_CHECK, IST_MACHINE_CHECK);

	tables_fill(&boot_tables);
	for (u32 i = 0; i < IST_COUNT; i++)
		boot_tables.tss.ist[i] = (u64)boot_ist_stacks[i + 1];
	cpu->tables = &boot_tables;
}

err_t tables_alloc(struct cpu *cpu)
{
	if (!cpu->tables) {
		cpu->tables = kmem_alloc(sizeof(struct x86_tables));
		if (!cpu->tables)
			return E_NOMEM;
		tables_fill(cpu->tables);
	}
	cpu->stack_top = paging_alloc_stack(MAIN_STACK_BYTES);
	if (!cpu->stack_top)
		return E_NOMEM;
	for (u32 i = 0; i < IST_COUNT; i++) {
		u64 top = paging_alloc_stack(IST_STACK_BYTES);

		if (!top)
			return E_NOMEM;
		cpu->tables->tss.ist[i] = top;
	}
	return 0;
}

void tables_load(struct cpu *cpu)
{
	struct descriptor_pointer gdtr = {sizeof(cpu->tables->gdt) - 1, (u64)cpu->tables->gdt};
	struct descriptor_pointer idtr = {sizeof(idt) - 1, (u64)idt};

	/* LTR wants an available TSS; loading makes it busy. */
	cpu->tables->gdt[SELECTOR_TSS / 8] &= ~BIT(41);
	__asm__ volatile("lgdt %[gdtr]\n"
			 "pushq %[code]\n"
			 "leaq 1f(%%rip), %%rax\n"
			 "pushq %%rax\n"
			 "lretq\n"
			 "1:\n"
			 "movl %[data], %%eax\n"
			 "movl %%eax, %%ss\n"
			 "movl %%eax, %%ds\n"
			 "movl %%eax, %%es\n"
			 "xorl %%eax, %%eax\n"
			 "movl %%eax, %%fs\n"
			 "movl %%eax, %%gs\n"
			 "lldt %%ax\n"
			 "movl %[tss], %%eax\n"
			 "ltr %%ax\n"
			 "lidt %[idtr]\n"
			 :
			 : [gdtr] "m"(gdtr), [idtr] "m"(idtr), [code] "i"(SELECTOR_CODE),
			 [data] "i"(SELECTOR_DATA), [tss] "i"(SELECTOR_TSS)
			 : "rax", "memory");
	cpu->self = cpu;
	wrmsr(MSR_IA32_FS_BASE, (u64)cpu);
	wrmsr(MSR_IA32_GS_BASE, (u64)cpu);
	wrmsr(MSR_IA32_KERNEL_GS_BASE, 0);
}
