// SPDX-License-Identifier: GPL-2.0
/* The back-off's clockwork: see backoff.h. */
#include "guest-tools/linux/driver/backoff.h"

uint64_t backoff_left_ms(const struct backoff *backoff, uint64_t now_ms)
{
	return backoff->until_ms > now_ms ? backoff->until_ms - now_ms : 0;
}

void backoff_begin(struct backoff *backoff, uint64_t now_ms)
{
	bool calm = now_ms >= backoff->until_ms + BACKOFF_MOST_MS || !backoff->wait_ms;

	if (calm)
		backoff->wait_ms = BACKOFF_LEAST_MS;
	else if (!backoff_left_ms(backoff, now_ms))
		backoff->wait_ms *= 2;
	if (backoff->wait_ms > BACKOFF_MOST_MS)
		backoff->wait_ms = BACKOFF_MOST_MS;
	backoff->until_ms = now_ms + backoff->wait_ms;
}
