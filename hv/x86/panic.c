/*
 * A panic trusts nothing: it takes no lock, allocates nothing, stops the other CPUs before it
 * prints, and checks each frame of the backtrace before it follows it. A second panic on the same
 * CPU says so and halts.
 */
#include "hv/x86/panic.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/irq.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/smp.h"
#include "hv/x86/symbols.h"
#include "hv/x86/trap.h"
#include "mm/base/fmt.h"

#define BACKTRACE_MOST 32
#define STOP_SPINS     2000000

static void (*output)(const char *text, size_t bytes);
static u32 owner;   /* [a] 1 + id of the CPU that panicked first */
static u32 stopped; /* [a] CPUs that the NMI stopped */

static noreturn_fn void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

static void say(const char *fmt, ...) printf_like(1, 2);
static void say(const char *fmt, ...)
{
	char line[256];
	va_list args;
	int length;

	if (!output)
		return;
	va_start(args, fmt);
	length = fmt_vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	output(line, (size_t)min(length, (int)sizeof(line) - 1));
}

void panic_init(const struct boot_info *info)
{
	symbols_init(paging_window(info->elf.base), info->elf.base ? info->elf.bytes : 0);
}

void panic_set_output(void (*write)(const char *text, size_t bytes))
{
	output = write;
}

const char *panic_symbol(u64 address, u64 *offset, size_t *name_bytes)
{
	return symbols_find(address, offset, name_bytes);
}

/* One panic speaks; what else goes wrong meanwhile is silent. Stops the others. */
static void take_over(void)
{
	u32 none = 0, me;

	interrupts_off();
	smp_restore_this_cpu();
	me = this_cpu()->id + 1;
	if (!__atomic_compare_exchange_n(
		    &owner, &none, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		if (none == me)
			say("BELLOWS PANIC again, while printing the first\n");
		halt();
	}
	irq_broadcast_nmi_to_others();
	for (u32 i = 0; i < STOP_SPINS; i++) {
		u32 online = 0;

		for (u32 id = 0; id < cpu_count(); id++)
			online += cpu_by_id(id)->state == CPU_ONLINE;
		if (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) + 1 >= online)
			return;
		cpu_relax();
	}
}

bool panic_nmi_is_news(void)
{
	u32 who = __atomic_load_n(&owner, __ATOMIC_ACQUIRE);

	if (!who)
		return true;
	smp_restore_this_cpu();
	if (who == this_cpu()->id + 1)
		return false;
	__atomic_fetch_add(&stopped, 1, __ATOMIC_ACQ_REL);
	halt();
}

/* @is_return: it stands after a call, which may be the last instruction of its function. */
static void say_address(u64 address, bool is_return)
{
	u64 offset;
	size_t bytes;
	const char *name = symbols_find(address - is_return, &offset, &bytes);

	if (name)
		say("  %016llx %.*s+0x%llx\n", (unsigned long long)address, (int)bytes, name,
			(unsigned long long)(offset + is_return));
	else
		say("  %016llx\n", (unsigned long long)address);
}

/* Could a stack frame lie there: in the image's data or in the stacks' area, aligned? */
static bool is_stack(u64 rbp)
{
	return IS_ALIGNED(rbp, 8) && paging_is_mapped(rbp) && paging_is_mapped(rbp + 15);
}

static void backtrace(u64 rip, u64 rbp)
{
	say("backtrace:\n");
	if (rip)
		say_address(rip, false);
	for (u32 i = 0; i < BACKTRACE_MOST && is_stack(rbp); i++) {
		const u64 *frame = (const u64 *)rbp;

		if (!frame[1])
			return;
		say_address(frame[1], true);
		if (frame[0] <= rbp) /* stacks grow down: callers lie above */
			return;
		rbp = frame[0];
	}
}

static void say_context(void)
{
	struct cpu *cpu = this_cpu();

	say("CPU %u (APIC %u), VM in progress: %s, interrupts taken %llu\n", cpu->id, cpu->apic_id,
		cpu->running ? cpu->running : "none", (unsigned long long)cpu->interrupts);
	say("cr0=%016llx cr2=%016llx cr3=%016llx cr4=%016llx\n", (unsigned long long)read_cr0(),
		(unsigned long long)read_cr2(), (unsigned long long)read_cr3(),
		(unsigned long long)read_cr4());
}

/* Last, for there may be many: the screen keeps what comes first. */
static void say_other_cpus(void)
{
	for (u32 id = 0; id < cpu_count(); id++) {
		struct cpu *other = cpu_by_id(id);

		if (other != this_cpu())
			say("CPU %u was %s, VM in progress: %s\n", id, cpu_state_name(other->state),
				other->running ? other->running : "none");
	}
}

static void say_registers(const struct trap_frame *f)
{
	static const struct {
		const char *name;
		u32 offset;
	} registers[] = {
#define REGISTER(r) {#r, offsetof(struct trap_frame, r)}
		REGISTER(rax),
		REGISTER(rbx),
		REGISTER(rcx),
		REGISTER(rdx),
		REGISTER(rsi),
		REGISTER(rdi),
		REGISTER(rbp),
		REGISTER(rsp),
		REGISTER(r8),
		REGISTER(r9),
		REGISTER(r10),
		REGISTER(r11),
		REGISTER(r12),
		REGISTER(r13),
		REGISTER(r14),
		REGISTER(r15),
		REGISTER(rip),
		REGISTER(rflags),
		REGISTER(cs),
		REGISTER(ss),
#undef REGISTER
	};

	for (u32 i = 0; i < ARRAY_COUNT(registers); i++)
		say("%6s=%016llx%s", registers[i].name,
			(unsigned long long)*(const u64 *)((const u8 *)f + registers[i].offset),
			i % 4 == 3 ? "\n" : " ");
}

/* What the CPU recorded of a machine check. SDM vol. 3, "Machine-Check Architecture". */
static void say_machine_check(void)
{
	u64 capability = 0, status = 0;
	err_t err = rdmsr_safe(MSR_IA32_MCG_CAP, &capability);

	for (u32 bank = 0; !err && bank < (capability & 0xff); bank++) {
		err = rdmsr_safe(MSR_IA32_MC0_STATUS + 4 * bank, &status);
		if (!err && (status & BIT(63)))
			say("machine check bank %u: status %016llx\n", bank,
				(unsigned long long)status);
	}
}

void panic(const char *fmt, ...)
{
	char what[200];
	va_list args;

	take_over();
	va_start(args, fmt);
	fmt_vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	say("\nBELLOWS PANIC: %s\n", what);
	say_context();
	backtrace(0, (u64)__builtin_frame_address(0));
	say_other_cpus();
	say("halted.\n");
	halt();
}

void panic_trap(const struct trap_frame *f)
{
	take_over();
	say("\nBELLOWS PANIC: %s at %016llx, error code 0x%llx", trap_name(f->vector),
		(unsigned long long)f->rip, (unsigned long long)f->error);
	if (f->vector == TRAP_PAGE_FAULT)
		say(", %s of %016llx",
			f->error & 16  ? "fetch"
			: f->error & 2 ? "write"
				       : "read",
			(unsigned long long)read_cr2());
	say("\n");
	say_context();
	say_registers(f);
	if (f->vector == TRAP_MACHINE_CHECK)
		say_machine_check();
	backtrace(f->rip, f->rbp);
	say_other_cpus();
	say("halted.\n");
	halt();
}
