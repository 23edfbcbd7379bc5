/* What a program's library finds here in place of an operating system: see library.h. */
#include "hv/x86/library.h"
#include "hv/x86/cpu.h"
#include "hv/x86/fpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/panic.h"
#include "hv/x86/random.h"
#include "hv/x86/time.h"
#include "mm/base/check.h"

#define DR7_ENABLED 0xffull
#define DR7_RESET   0x400ull

void library_init_cpu(void)
{
	struct cpu *cpu = this_cpu();

	/* It guards against mistakes only: without a source of secrets any number does. */
	if (!random_u64(&cpu->canary))
		cpu->canary = time_tsc();
}

void library_begin(void)
{
	struct cpu *cpu = this_cpu();

	CHECK(!cpu->in_library);
	cpu->in_library = true;
	/* QEMU's TCG leaves a guest's breakpoints armed (trap.c); a #DB would use this stack, and
	 * so the red zone. */
	if (read_dr7() & DR7_ENABLED)
		write_dr7(DR7_RESET);
	if (cpu->fpu_owner)
		fpu_save(&cpu->fpu_owner->fpu);
	cpu->fpu_owner = NULL;
}

void library_end(void)
{
	struct cpu *cpu = this_cpu();

	CHECK(cpu->in_library);
	cpu->in_library = false;
}

/* --- What liblz4 refers to. Its functions that allocate are not called. --- */

noreturn_fn void __stack_chk_fail(void);
void *calloc(size_t count, size_t bytes);
void free(void *at);

void __stack_chk_fail(void)
{
	panic("a library's stack was overwritten");
}

void *calloc(size_t count, size_t bytes)
{
	panic("a library wants %zu x %zu bytes", count, bytes);
}

void free(void *at)
{
	panic("a library frees %p", at);
}
