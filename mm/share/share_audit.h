/*
 * How much could be shared, and how much is: every page of every VM compared with every other. A
 * check on the scanner, for tests and the console; it shares nothing of the scanner's index.
 */
#ifndef MM_SHARE_SHARE_AUDIT_H
#define MM_SHARE_SHARE_AUDIT_H

#include "mm/base/err.h"
#include "mm/base/types.h"

struct share_audit {
	u64 quiet_pages;    /* not written since their VM's last sweep, and no page tables */
	u64 alike_pages;    /* of them: zero, or with the bytes of another of equal salt */
	u64 shared_pages;   /* of those: SHARED, on its way out or not, or ZERO */
	u64 possible_pages; /* frames that sharing all alike pages would save */
	u64 saved_pages;    /* frames that it does save among them */
	u64 stray_pages;    /* of all: shared under a salt that their VM has left */
};

/*
 * Returns E_NOMEM: 16 bytes for each page are needed in one piece. No VM runs meanwhile. Locks:
 * takes regions', one at a time. Cost: O(n log n) and hashing every page: this is no slice.
 */
must_check err_t share_audit(struct share_audit *out);

#endif
