/*
 * Accesses to guest-physical addresses that are not RAM: fetch the instruction through the guest's
 * page tables, decode it, gather its other operand, ask the device, commit the registers. A device
 * register is touched only when nothing after it can fail or wait.
 *
 * An address that nobody owns, and an instruction that the decoder does not know, stop the VM with
 * the bytes.
 */
#ifndef HV_EXIT_MMIO_H
#define HV_EXIT_MMIO_H

#include "mm/base/err.h"
#include "hv/vm/vcpu.h"

/*
 * Between the IOAPIC and 4 GiB is what a chipset answers itself (HPET, TPM, flash): unowned
 * addresses there read as ones and swallow writes, as on a real machine that lacks the device.
 */
#define MMIO_CHIPSET_FIRST 0xfec00000ull
#define MMIO_CHIPSET_END   0x100000000ull

/*
 * The fault of @exit was at no RAM. Returns 0: done, or the VM was broken, or the guest's own fault
 * queued; E_WAIT: nothing was changed, the same again later; E_NOMEM, E_CORRUPT: the VM must stop.
 * Locks: takes the VM's and its space's.
 */
must_check err_t mmio_handle(struct vcpu *vcpu, const struct vm_exit *exit);

#endif
