// SPDX-License-Identifier: GPL-2.0
/*
 * The balloon's hypercalls. "Again" is an answer like any other: the host limits how often a guest
 * may call and how much one call may take, so it is asked again, after a pause, for some seconds.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/io.h>

#include "guest-tools/linux/driver/driver.h"
#include "guest-tools/linux/driver/hypercall.h"

#define PAUSE_US   1000u
#define PATIENCE_S 10u

static s64 call(u64 number, u64 rbx, u64 rcx, u64 rdx, u64 rsi)
{
	u64 end_ms = now_ms() + PATIENCE_S * 1000;
	s64 answer;

	while ((answer = hypercall(number, rbx, rcx, rdx, rsi)) == BELLOWS_HC_E_AGAIN &&
		now_ms() < end_ms)
		usleep_range(PAUSE_US, 2 * PAUSE_US);
	return answer;
}

int balloon_attach(struct balloon *b)
{
	u64 driver = BELLOWS_GUEST_LINUX | (u64)DRIVER_VERSION << 32;
	s64 answer;

	/* What was hibernated may wake up elsewhere. */
	if (!hypercall_is_bellows())
		return -ENODEV;
	mutex_lock(&b->lock);
	answer = call(BELLOWS_HC_VERSION, BELLOWS_ABI_VERSION, 0, 0, 0);
	if (answer == BELLOWS_ABI_VERSION)
		answer = call(BELLOWS_HC_BALLOON_HELLO, driver, balloon_os_minimum(),
			balloon_swap_pages(b), balloon_flags(b));
	else if (answer >= 0)
		answer = BELLOWS_HC_E_VERSION;
	b->attached = answer == 0;
	mutex_unlock(&b->lock);
	if (answer == 0)
		return 0;
	dev_warn_once(b->dev, "the hypervisor answers %lld instead of a hello\n", answer);
	return answer == BELLOWS_HC_E_AGAIN ? -EBUSY : -EPROTO;
}

void balloon_detach(struct balloon *b)
{
	mutex_lock(&b->lock);
	if (b->attached && call(BELLOWS_HC_BALLOON_GOODBYE, 0, 0, 0, 0) != 0)
		/* Pages come back when they are used, too. */
		dev_warn(b->dev, "the hypervisor does not say goodbye\n");
	b->attached = false;
	mutex_unlock(&b->lock);
}

/* A host that was itself restarted, or has taken the guest over, knows of nothing. */
static s64 heed(struct balloon *b, s64 answer)
{
	if (answer == BELLOWS_HC_E_STATE || answer == BELLOWS_HC_E_VERSION)
		b->attached = false;
	return answer;
}

/* More than was given would be the host's mistake; it must not become ours. */
s64 balloon_move(struct balloon *b, u64 number, unsigned int count, unsigned int order)
{
	s64 answer = heed(b, call(number, virt_to_phys(b->list), count, order, 0));

	return min_t(s64, answer, count);
}

bool balloon_try_inflate(struct balloon *b, u64 pfn)
{
	b->list[0] = pfn;
	return heed(b, hypercall(BELLOWS_HC_BALLOON_INFLATE, virt_to_phys(b->list), 1,
			       BELLOWS_BALLOON_ORDER_4K, 0)) == 1;
}

s64 balloon_ask(struct balloon *b, u64 what)
{
	s64 answer;

	mutex_lock(&b->lock);
	answer = heed(b, call(BELLOWS_HC_BALLOON_TARGET, what, 0, 0, 0));
	mutex_unlock(&b->lock);
	return answer;
}

void balloon_tell(struct balloon *b)
{
	heed(b, call(BELLOWS_HC_BALLOON_STATS, virt_to_phys(b->stats), 0, 0, 0));
}
