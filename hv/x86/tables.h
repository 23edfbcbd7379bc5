/*
 * Each CPU's own GDT, TSS and the stacks for events that must not trust the current one (NMI, #DF,
 * #MC), and the one IDT.
 */
#ifndef HV_X86_TABLES_H
#define HV_X86_TABLES_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "hv/x86/cpu.h"

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

/* Tables and small stacks of the boot CPU, in .bss: until tables_alloc() gives it guarded ones. */
void tables_init_boot_cpu(struct cpu *cpu);

/* Allocate @cpu's tables, if it has none, and guarded stacks, cpu->stack_top's too. E_NOMEM. */
must_check err_t tables_alloc(struct cpu *cpu);

/* Load GDT, IDT, TSS, segment registers and GS base on this CPU, which is @cpu. */
void tables_load(struct cpu *cpu);

#endif
