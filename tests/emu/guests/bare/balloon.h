/* The balloon in a bare guest: an honest driver, and one that lies. */
#ifndef TESTS_EMU_GUESTS_BARE_BALLOON_H
#define TESTS_EMU_GUESTS_BARE_BALLOON_H

#include "hv/abi/hypercall.h"
#include "tests/emu/guests/bare/bare.h"

/** A hypercall with all its arguments. */
int64_t hypercall4(uint64_t number, uint64_t rbx, uint64_t rcx, uint64_t rdx, uint64_t rsi);

enum balloon_way {
	BALLOON_LATE,       /* says hello when all memory is in use */
	BALLOON_EARLY,      /* before any is */
	BALLOON_TAKES_BACK, /* late, and breaks faith at a key */
};

/** Follow the target until it is nothing again. See balloon.c. */
void balloon_run(const struct bare_boot *boot, enum balloon_way way, uint32_t *test_count,
	uint32_t *wrong_count);

/** A driver that does nothing about its target, for ever; @asks: though it asks for it. See
 * balloon.c. */
_Noreturn void balloon_idle(bool asks, bool disabled);

/** Everything that a driver must not say; see balloon_liar.c. */
void balloon_lie(const struct bare_boot *boot, uint32_t *test_count, uint32_t *wrong_count);

/** What giving pages up costs; see balloon_bench.c. False: it could not be measured. */
bool balloon_bench(const struct bare_boot *boot, bool large);

#endif
