/*
 * INS and OUTS, performed for the guest: a bounded number of items per exit, each gathered before
 * the device is asked, so that an item is either done and counted in the registers or not begun.
 */
#ifndef HV_EXIT_STRING_IO_H
#define HV_EXIT_STRING_IO_H

#include "mm/base/err.h"
#include "hv/vm/vcpu.h"

/*
 * @insn_bytes: the instruction's length. Returns 0: go on, it is done and stepped over, or to be
 * continued by executing it again; E_INVAL, E_RANGE, E_WAIT, E_NOMEM, E_CORRUPT:
 * operand_gather()'s, or the operand is no RAM (E_RANGE, the VM was broken); the items before are
 * counted. Locks: takes the VM's and its space's. Cost: bounded.
 */
must_check err_t string_io(struct vcpu *vcpu, const struct vm_exit *exit, u8 insn_bytes);

#endif
