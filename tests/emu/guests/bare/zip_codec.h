/*
 * The compression cache's own codec (mm/zcache/zcache_codec.h) with LZ4, in a guest: what they take
 * of the touch of a compressed page. SSE must be on.
 */
#ifndef TESTS_EMU_GUESTS_BARE_ZIP_CODEC_H
#define TESTS_EMU_GUESTS_BARE_ZIP_CODEC_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Compress @page; tell the ticks that the checksum of what LZ4 made takes, and LZ4 to make the page
 * of it. False: it does not shrink to half, or does not come back.
 */
bool zip_codec_measure(const uint8_t *page, uint64_t *checksum_ticks, uint64_t *lz4_ticks);

#endif
