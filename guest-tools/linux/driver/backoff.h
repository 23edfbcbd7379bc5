/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long the balloon stays as it is after the guest has taken memory back from it for want of
 * any. Each time that this happens again soon after the last wait, the wait is twice as long, so
 * that a host that wants more than the guest can spare does not make it inflate and deflate for
 * ever. No kernel in it: also compiled for the host's tests.
 */
#ifndef GUEST_TOOLS_LINUX_DRIVER_BACKOFF_H
#define GUEST_TOOLS_LINUX_DRIVER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_LEAST_MS 10000u
#define BACKOFF_MOST_MS  640000u

/* Zeroed: no wait was yet. */
struct backoff {
	uint64_t until_ms;
	uint64_t wait_ms;
};

/* The guest took memory back at @now_ms. Within a wait, that wait begins anew. */
void backoff_begin(struct backoff *backoff, uint64_t now_ms);

/* Milliseconds still to wait; 0: none. */
uint64_t backoff_left_ms(const struct backoff *backoff, uint64_t now_ms);

#endif
