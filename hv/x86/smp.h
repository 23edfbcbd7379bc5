/*
 * Starting the other CPUs: INIT-SIPI-SIPI through the trampoline page, one after the other, with a
 * time limit each. One that does not come, or is not fit, is reported, with the reason, and left
 * out of everything for good: no other CPU waits for it, interrupts it or leaves it work (they ask
 * whether it is CPU_ONLINE).
 */
#ifndef HV_X86_SMP_H
#define HV_X86_SMP_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "boot/boot_info.h"

/* Make the boot CPU's struct cpu (static) and load its tables: first thing of all. */
void smp_init_boot_cpu(void);
/* Make struct cpu, tables and stacks for all CPUs that firmware reported: cpu_count() is final. */
void smp_init_cpus(const struct boot_info *info);
/*
 * Start the others; each runs @prepare (on its own stack, tables loaded, interrupts off), and,
 * where that returns 0, @work, which never returns.
 */
void smp_start_all(const struct boot_info *info, err_t (*prepare)(void), void (*work)(void));
u32 smp_online_count(void);

/* For a panic: whatever GS base holds (maybe a guest's), make it this CPU's record again. */
void smp_restore_this_cpu(void);

#endif
