/*
 * Who is entitled to how much of what there is: min-funding revocation with the idle memory tax
 * (Waldspurger, "Memory Resource Management in VMware ESX Server", 2002).
 *
 * A VM pays rho = S / (P x (f + k(1 - f))) for each of its P pages: S shares, f the part of P that
 * it uses, k = 1 / (1 - tax) the price of an idle page. Pages are taken from who pays least until
 * all who may lose or gain pay the same; reservations are never taken, and nobody gets more than he
 * can use. That state is found directly: P x (f + k(1 - f)) = P up to the active pages and k for
 * each beyond, so for a given 1/rho everyone's P follows, and their sum grows with it. All pure, in
 * integers.
 */
#ifndef MM_MEMSCHED_MEMSCHED_ENTITLE_H
#define MM_MEMSCHED_MEMSCHED_ENTITLE_H

#include "mm/memsched/memsched_vm.h"

#define MEM_IDLE_TAX_MAX 99u /* percent */

/*
 * Divide @pages among VMs of known ceiling. Afterwards reservation <= entitled <= ceiling for each;
 * the sum is @pages, or less if all have their ceilings, or more if even the reservations do not
 * fit: then each has its own. Exact to shares / 2^24 pages. @tax_pct: 0 .. MEM_IDLE_TAX_MAX. Cost:
 * at most 64 passes over the VMs, about 5 ns each.
 */
void mem_entitle(struct mem_vm *vms, u32 count, u64 pages, u32 tax_pct);

#endif
