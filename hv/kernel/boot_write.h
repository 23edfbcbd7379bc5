/* How a planned kernel gets into its guest: piece by piece, by whoever knows the guest's memory. */
#ifndef HV_KERNEL_BOOT_WRITE_H
#define HV_KERNEL_BOOT_WRITE_H

#include "mm/base/types.h"
#include "mm/base/err.h"

/* Copies @bytes of @data, the caller's, into the guest. Its first error ends the load. */
typedef err_t (*boot_write_fn)(void *context, gpa_t to, const void *data, size_t bytes);

#endif
