/*
 * What a page holds that is not in memory, without bringing it in: for a device that reads a
 * guest's page, as when the guest writes its own swap. The page stays compressed or swapped as it
 * is, so what the guest pages out is not first paged in by the host.
 */
#ifndef MM_SPACE_SPACE_PEEK_H
#define MM_SPACE_SPACE_PEEK_H

#include "mm/space/space.h"

/* One such read under way: its owner's memory until done(). */
struct space_peek {
	pfn_t to;
	void (*done)(struct space_peek *peek, err_t result);
};

/**
 * Copy @gfn's contents into @peek->to, a frame of the caller's that is no guest's page.
 * Returns 0 (copied); E_WAIT (a read has been started: .done() is called once, from blk_poll(),
 * with no lock held and 0, E_IO, E_CORRUPT, or E_NOTFOUND: the VM has ended or been reset
 * meanwhile; the contents are those of now); E_EXIST (the page is in memory, or never was written:
 * pin it); E_BUSY (it is being brought in, or looked at by another; or no command can be started
 * now: try again); E_RANGE (not RAM); E_CORRUPT, E_IO (its contents are lost; the disk is dead).
 * Nothing is changed in any case. Locks: takes the region's; the caller may hold none of that rank
 * or above. Cost: a decompression, or starting a read.
 */
must_check err_t space_peek(struct space *space, gfn_t gfn, struct space_peek *peek);

#endif
