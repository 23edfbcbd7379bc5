/*
 * Where a fuzzed kernel's pieces are written to: each must lie in the VM's RAM and on none of the
 * others, and all that is to be read must be there to be read.
 */
#ifndef TESTS_FUZZ_PIECES_H
#define TESTS_FUZZ_PIECES_H

#include <stdlib.h>

#include "mm/base/types.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

struct piece {
	u64 base, end;
};

static struct piece pieces[128];
static u32 piece_count;
static u64 memory_bytes; /* set by the fuzzer */
u8 fuzz_sink;            /* makes reads happen */

/* For linux_boot_load() and elf_boot_load(). */
static err_t write_piece(void *context, gpa_t to, const void *data, size_t bytes)
{
	(void)context;
	require(bytes > 0 && to.v + bytes > to.v && to.v + bytes <= min(memory_bytes, (u64)GIB(3)));
	for (u32 i = 0; i < piece_count; i++)
		require(to.v >= pieces[i].end || to.v + bytes <= pieces[i].base);
	require(piece_count < ARRAY_COUNT(pieces));
	pieces[piece_count++] = (struct piece){to.v, to.v + bytes};
	for (size_t i = 0; i < bytes; i++)
		fuzz_sink ^= ((const u8 *)data)[i];
	return 0;
}

#endif
