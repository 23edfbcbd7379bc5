/*
 * Random numbers good enough for keys: RDSEED, else RDRAND, else a stream drawn from the seed that
 * the loader got from the firmware's RNG protocol.
 */
#ifndef HV_X86_RANDOM_H
#define HV_X86_RANDOM_H

#include "mm/base/types.h"
#include "boot/boot_info.h"

void random_init(const struct boot_info *info);
/* false: there is no source; what needs secrets must be left off. */
bool random_u64(u64 *out);
const char *random_source(void);

#endif
