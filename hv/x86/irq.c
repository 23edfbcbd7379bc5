/*
 * The local APIC and what comes through it. Handlers leave a bit in cpu.pending (or call the
 * device's short handler) and end the interrupt. The 8259s are moved away from the exceptions'
 * vectors and masked; an interrupt from there can only be spurious.
 */
#include "hv/x86/irq.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/lapic.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/panic.h"
#include "hv/x86/smp.h"
#include "hv/x86/time.h"
#include "hv/x86/trap.h"
#include "mm/base/log.h"

#define PIC1         0x20
#define PIC2         0xa0
#define PIC_VECTORS  0x20 /* 16 vectors from here: only spurious ones ever come */
#define DEVICE_COUNT (VECTOR_TIMER - VECTOR_DEVICE_FIRST)

struct device_vector {
	void (*handler)(void *context);
	void *context;
};

static struct device_vector devices[DEVICE_COUNT]; /* [I] once the vector is handed out */
static u32 device_count;
static volatile u32 *xapic; /* NULL in x2APIC mode */
static bool x2apic;

bool lapic_is_x2apic(void)
{
	return x2apic;
}

u32 lapic_read(u32 offset)
{
	return x2apic ? (u32)rdmsr(MSR_IA32_X2APIC_BASE + offset / 16) : xapic[offset / 4];
}

void lapic_write(u32 offset, u32 value)
{
	if (x2apic)
		wrmsr(MSR_IA32_X2APIC_BASE + offset / 16, value);
	else
		xapic[offset / 4] = value;
}

u32 lapic_id(void)
{
	u32 id = lapic_read(LAPIC_ID);

	return x2apic ? id : id >> 24;
}

static void pic_mask(void)
{
	outb(PIC1, 0x11);
	outb(PIC2, 0x11);
	outb(PIC1 + 1, PIC_VECTORS);
	outb(PIC2 + 1, PIC_VECTORS + 8);
	outb(PIC1 + 1, 4);
	outb(PIC2 + 1, 2);
	outb(PIC1 + 1, 1);
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
}

/* On the boot CPU: which mode, for all. */
static void choose_mode(u64 base)
{
	bool needed = false;

	for (u32 i = 0; i < cpu_count(); i++)
		needed |= cpu_by_id(i)->apic_id > 254;
	x2apic = (base & APIC_BASE_X2APIC) || needed;
	if (x2apic)
		return;
	xapic = paging_map_mmio(base & BITS(51, 12), PAGE_BYTES);
	if (!xapic)
		panic("no room to map the local APIC");
}

/* Interrupts that firmware took and never ended would block ours of lower priority. */
static void end_stale_interrupts(void)
{
	for (u32 i = 0; i < 8; i++) {
		for (u32 bits = lapic_read(LAPIC_ISR + i * 16); bits; bits &= bits - 1)
			lapic_write(LAPIC_EOI, 0);
	}
}

void irq_init_cpu(void)
{
	u64 base = rdmsr(MSR_IA32_APIC_BASE);
	u32 lvt_top;

	if (this_cpu()->id == 0) {
		pic_mask();
		choose_mode(base);
	}
	base |= APIC_BASE_ENABLE;
	wrmsr(MSR_IA32_APIC_BASE, base);
	if (x2apic && !(base & APIC_BASE_X2APIC))
		wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_X2APIC);

	lapic_write(LAPIC_TPR, 0);
	lvt_top = lapic_read(LAPIC_VERSION) >> 16 & 0xff;
	lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED | VECTOR_TIMER);
	lapic_write(LAPIC_LVT_LINT0, LAPIC_LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LAPIC_LVT_NMI);
	lapic_write(LAPIC_LVT_ERROR, LAPIC_LVT_MASKED | VECTOR_SPURIOUS);
	if (lvt_top >= 4)
		lapic_write(LAPIC_LVT_PERF, LAPIC_LVT_MASKED);
	if (lvt_top >= 5)
		lapic_write(LAPIC_LVT_THERMAL, LAPIC_LVT_MASKED);
	lapic_write(LAPIC_SVR, LAPIC_SVR_ENABLE | VECTOR_SPURIOUS);
	end_stale_interrupts();
}

static void set_pending(u32 bit)
{
	__atomic_fetch_or(&this_cpu()->pending, bit, __ATOMIC_RELAXED);
}

void irq_dispatch(u8 vector)
{
	struct cpu *cpu = this_cpu();

	if (vector == TRAP_NMI) {
		if (panic_nmi_is_news())
			panic(PANIC_NMI);
		return;
	}
	cpu->interrupts++;
	if (vector == VECTOR_SPURIOUS || (vector >= PIC_VECTORS && vector < PIC_VECTORS + 16))
		return;
	if (vector == VECTOR_TIMER) {
		time_timer_came();
		set_pending(CPU_PENDING_TIMER);
	} else if (vector == VECTOR_KICK) {
		set_pending(CPU_PENDING_KICK);
	} else if (vector >= VECTOR_DEVICE_FIRST && vector < VECTOR_DEVICE_FIRST + device_count) {
		struct device_vector *device = &devices[vector - VECTOR_DEVICE_FIRST];

		device->handler(device->context);
		set_pending(CPU_PENDING_DEVICE);
	}
	lapic_write(LAPIC_EOI, 0);
}

void irq_window(void)
{
	/* STI takes effect after the next instruction: the NOP is where interrupts come. */
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

err_t irq_alloc_vector(void (*handler)(void *context), void *context, u8 *vector)
{
	if (device_count == DEVICE_COUNT)
		return E_LIMIT;
	devices[device_count] = (struct device_vector){handler, context};
	*vector = (u8)(VECTOR_DEVICE_FIRST + device_count);
	__atomic_store_n(&device_count, device_count + 1, __ATOMIC_RELEASE);
	return 0;
}

void irq_send_ipi(u32 apic_id, u32 icr_low)
{
	if (x2apic) {
		/* WRMSR to the ICR does not order earlier stores: the receiver must see them. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_IA32_X2APIC_BASE + LAPIC_ICR_LOW / 16, (u64)apic_id << 32 | icr_low);
		return;
	}
	while (lapic_read(LAPIC_ICR_LOW) & LAPIC_ICR_PENDING)
		cpu_relax();
	lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
	lapic_write(LAPIC_ICR_LOW, icr_low);
}

static void send_vector(u32 cpu_id, u8 vector)
{
	struct cpu *cpu = cpu_by_id(cpu_id);

	if (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_ONLINE)
		irq_send_ipi(cpu->apic_id, vector | LAPIC_ICR_ASSERT);
}

void irq_send_kick(u32 cpu_id)
{
	send_vector(cpu_id, VECTOR_KICK);
}

void irq_send_flush(u32 cpu_id)
{
	send_vector(cpu_id, VECTOR_FLUSH);
}

void irq_broadcast_nmi_to_others(void)
{
	if ((x2apic || xapic) && smp_online_count() > 1)
		irq_send_ipi(0, LAPIC_ICR_NMI | LAPIC_ICR_ASSERT | LAPIC_ICR_ALL_BUT_ME);
}

u32 cpu_take_pending(void)
{
	return __atomic_exchange_n(&this_cpu()->pending, 0, __ATOMIC_RELAXED);
}

void cpu_idle(void)
{
	struct cpu *cpu = this_cpu();
	u64 start;

	if (__atomic_load_n(&cpu->pending, __ATOMIC_RELAXED))
		return;
	start = time_tsc();
	/* No interrupt is lost between check and HLT: STI holds them off for one instruction. */
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	cpu->idle_ns += time_ns_from_tsc(time_tsc() - start);
}
