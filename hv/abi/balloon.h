/*
 * The balloon, as a guest's driver sees it: pages that the guest's kernel can spare, given to the
 * hypervisor by number, which takes their memory at once.
 *
 * The driver finds the device BELLOWS_BALLOON_HID in ACPI; its one interrupt (edge) says that the
 * target is another. It negotiates the version, says BELLOWS_HC_BALLOON_HELLO, and from then on
 * asks for the target at each interrupt and every few seconds besides, sends statistics as often,
 * and moves its balloon to the target: up with INFLATE, down with DEFLATE. The target moves no
 * faster than the host lets it, and never beyond the balloon's maximum. The guest may deflate
 * whatever it needs at any time; a page that it merely uses again is taken back as by DEFLATE, and
 * reads as zeros. A balloon does not outlive a reset of the guest.
 *
 * All calls: ring 0; numbers and errors from hypercall.h. Sizes are in pages of 4 KiB.
 */
#ifndef HV_ABI_BALLOON_H
#define HV_ABI_BALLOON_H

#include <stdint.h>

#define BELLOWS_BALLOON_HID      "BLWS0001"
#define BELLOWS_BALLOON_GSI      10u /* told in _CRS; ask there */
#define BELLOWS_BALLOON_LIST_MAX 512u
#define BELLOWS_BALLOON_ORDER_4K 0u
#define BELLOWS_BALLOON_ORDER_2M 9u
#define BELLOWS_BALLOON_POLL_S   2u /* ask and send statistics at least so often */
#define BELLOWS_BALLOON_OVERSHOOT                                                                  \
	512u /* so far above its target a balloon may be, as in migration */

/* RBX of HELLO: the kind of guest in 31:0, the driver's version (major << 16 | minor) in 63:32. */
enum bellows_guest_kind {
	BELLOWS_GUEST_OTHER = 0,
	BELLOWS_GUEST_LINUX = 1,
	BELLOWS_GUEST_TEST = 2, /* the hypervisor's own test guest */
};

/* RSI of HELLO, and bellows_balloon_stats.flags. */
#define BELLOWS_BALLOON_DISABLED 1ull /* by the guest's administrator: it inflates nothing */
#define BELLOWS_BALLOON_BACKOFF                                                                    \
	2ull /* the guest deflated by itself, and waits before it inflates */

/* RBX of TARGET: what is asked. */
#define BELLOWS_BALLOON_ASK_TARGET  0ull /* where the balloon should be now */
#define BELLOWS_BALLOON_ASK_MAXIMUM 1ull
#define BELLOWS_BALLOON_ASK_SIZE    2ull /* as the host counts it */
#define BELLOWS_BALLOON_ASK_HELD    3ull /* so much cannot be deflated now: promised to others */

/* What the guest tells of itself, at RBX of STATS, on one page, aligned to 4 KiB. */
struct bellows_balloon_stats {
	uint64_t flags;
	uint64_t total_pages; /* RAM that the kernel manages, balloon included */
	uint64_t free_pages;
	uint64_t available_pages; /* could be had without swapping */
	uint64_t swap_total_pages;
	uint64_t swap_free_pages;
	uint64_t balloon_pages; /* as the guest counts it */
	/* Since the guest's start. */
	uint64_t swap_in_pages;
	uint64_t swap_out_pages;
	uint64_t major_faults;
	uint64_t oom_events;          /* times that the driver gave memory back for want of any */
	uint64_t oom_kills;           /* processes killed for want of memory */
	uint64_t self_deflated_pages; /* given back unasked */
	uint64_t reserved[3];         /* 0 */
};
_Static_assert(sizeof(struct bellows_balloon_stats) == 128, "fixed for ever");

#endif
