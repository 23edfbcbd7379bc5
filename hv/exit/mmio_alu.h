/*
 * What an arithmetic instruction computes, and its flags: for the few read-modify-write
 * instructions that kernels use on device registers. Pure; tested on Linux against the CPU itself.
 */
#ifndef HV_EXIT_MMIO_ALU_H
#define HV_EXIT_MMIO_ALU_H

#include "mm/base/types.h"
#include "hv/vdev/decode.h"

/*
 * @a OP @b in @bytes (1, 2, 4, 8) bytes; the flags CF PF AF ZF SF OF of *rflags are set as the CPU
 * does (AF after a logical operation is cleared). CMP and TEST return @a: nothing is to be written.
 */
u64 mmio_alu(enum decode_alu op, u64 a, u64 b, u32 bytes, u64 *rflags);

#endif
