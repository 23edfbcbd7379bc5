/* The division by another method than the policy's, in real numbers: how near the policy comes. */
#ifndef TESTS_SIM_IDEAL_H
#define TESTS_SIM_IDEAL_H

#include "mm/memsched/memsched_vm.h"

/*
 * What each VM would have of @pages if all pay the same: vms[i].ceiling, .active and .claims as for
 * mem_entitle(). @out: @count numbers of pages. @scratch: 3 x @count.
 */
void ideal_division(
	const struct mem_vm *vms, u32 count, u64 pages, u32 tax_pct, double *out, double *scratch);

#endif
