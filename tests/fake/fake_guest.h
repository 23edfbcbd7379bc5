/*
 * Guest accesses as hardware would make them: through a cache of translations of each CPU, which is
 * filled by walks of the real tables (setting A and D) and emptied only when tlb_enter() says so.
 * It is the checker for missing flushes, which no emulator at hand shows.
 *
 * A hit through a translation that the tables no longer give, or to a frame that was freed since,
 * is a violation: counted, the first few told, and not carried out. While a CPU is being kicked it
 * may still use what it has cached, for the flush is not complete; but even then never a frame that
 * was freed.
 */
#ifndef TESTS_FAKE_GUEST_H
#define TESTS_FAKE_GUEST_H

#include "mm/fault/fault.h"

#define FAKE_CPUS_MAX 8

/* Forget all CPUs' state; install the kick handler. After fake_start(). */
void fake_guest_start(void);

/*
 * On the current CPU: enter @space's guest if it is not in it, and access @bytes (within one page)
 * at @gpa. Faults are handled as hv/ would. Returns the last fault's result; FAULT_DONE with *@data
 * read or written.
 */
enum fault_result fake_guest_access(
	struct space *space, gpa_t gpa, u32 access, void *data, u32 bytes);

/*
 * Only through the cache, as a CPU may that has not yet heard of a kick. False: there was no usable
 * hit.
 */
bool fake_guest_access_cached(struct space *space, gpa_t gpa, u32 access, void *data, u32 bytes);

/*
 * The current CPU goes back to root mode, if it is in a guest. Needed before it calls mm for
 * anything else.
 */
void fake_guest_leave(void);
void fake_guest_leave_all(void);
struct space *fake_guest_running(u32 cpu);

/* Called on @cpu just before it leaves for a kick. */
void fake_guest_before_leave(void (*act)(u32 cpu));

/* Kicks reach a CPU at its next fake_guest_poll() or access, not at once: for real threads. */
void fake_guest_threaded(bool on);
void fake_guest_poll(void);

/*
 * Somebody has narrowed entries and not flushed yet: until it has, these kinds of access (SLAT_*)
 * may go through what the tables do not give any more, though never to a frame that was freed.
 */
void fake_guest_unflushed(u32 access);

u64 fake_guest_violations(void);
u64 fake_guest_hits(void);
u64 fake_guest_walks(void);
u64 fake_guest_kicks(void);

/* The frame that holds the page now, mapped or hidden, without side effects; NULL if none. */
void *fake_guest_look(const struct space *space, gfn_t gfn);

#endif
