/*
 * INS and OUTS, performed for the guest: a bounded number of items per exit, each gathered before
 * the device is asked, so that an item is either done and counted in the registers or not begun.
 */
#ifndef HV_STRING_IO_H
#define HV_STRING_IO_H

#include "mm/base/err.h"
#include "hv/vcpu.h"

/* Returns 0 (go on: done, or to be continued by executing the same instruction again); E_WAIT and
 * others. */
must_check err_t string_io(struct vcpu *vcpu, const struct vm_exit *exit, u8 insn_bytes);

#endif
