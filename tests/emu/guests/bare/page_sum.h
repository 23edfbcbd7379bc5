/* A page's checksum as the hypervisor makes it, in a guest; apart from bare.h, whose words mm/ has,
 * too. */
#ifndef TESTS_EMU_GUESTS_BARE_PAGE_SUM_H
#define TESTS_EMU_GUESTS_BARE_PAGE_SUM_H

#include <stdint.h>

/** The ticks that the checksum of @page takes on its way to the swap file, or back. */
uint64_t page_sum_measure(const uint8_t *page);

#endif
