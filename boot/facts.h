/* What the machine is: asked of the CPU and the firmware while the firmware is there. */
#ifndef BOOT_FACTS_H
#define BOOT_FACTS_H

#include "boot/boot_info.h"
#include "boot/bootcpu.h"
#include "mm/base/types.h"

u64 facts_tsc(void);
bool facts_has_gib_pages(void);
bool facts_has_5_level_paging_on(void);

/* For bootcpu_judge(). */
struct bootcpu_facts facts_cpu(void);

/* ACPI 2.0 RSDP, else 1.0, else 0. */
u64 facts_rsdp(void);

/* Fill @cpus (@room entries); returns how many. Says on the screen what is odd. */
u32 facts_cpus(u64 rsdp, struct boot_cpu *cpus, u32 room, u32 *source);

void facts_framebuffer(struct boot_framebuffer *fb);

/* Returns enum boot_seed_source. */
u32 facts_seed(u8 *seed, u32 bytes);

#endif
