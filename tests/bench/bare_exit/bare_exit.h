/*
 * The peer of the hypervisor's exits: a UEFI program that runs one guest and answers its exits with
 * the least that lets it go on. CPUID: the instruction is stepped over. A first touch: one entry is
 * written into the nested table, no frame is found and none is zeroed. What is beyond that is the
 * hypervisor's.
 */
#ifndef TESTS_BENCH_BARE_EXIT_H
#define TESTS_BENCH_BARE_EXIT_H

#include "mm/base/types.h"

/* Pages of the guest that are absent at first: one nested table of them. */
#define BARE_TOUCH_PAGES 512u

/* Zeroed pages below 4 GiB, aligned to @align bytes; never given back. */
void *bare_pages(u64 count, u64 align);

/* The guest: measures, reports, and leaves by a VMCALL or VMMCALL. Runs in the firmware's address
 * space. */
void bare_guest(void);

/* Where the absent pages lie, set before the guest runs. */
extern u8 *bare_touch_area;

/* Each runs the guest to its end. Returns why not, or NULL. */
const char *bare_vmx_run(void);
const char *bare_svm_run(void);

#endif
