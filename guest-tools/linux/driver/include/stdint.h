/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel has no <stdint.h>, which hv/abi includes: these are its types. */
#include <linux/types.h>
