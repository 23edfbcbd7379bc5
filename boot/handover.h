/* The jump into the hypervisor. */
#ifndef BOOT_HANDOVER_H
#define BOOT_HANDOVER_H

#include "mm/base/types.h"

/* What lgdt and lidt read: a 16-bit limit right before a 64-bit base. */
struct handover_table {
	u16 limit;
	u16 base[4];
	u16 pad[3];
};

/* Offsets stand in handover.S too. Lies below 4 GiB, in memory that is not reused at once. */
struct handover {
	struct handover_table gdtr;
	struct handover_table idtr; /* empty: a fault is a reset, not a run through stale code */
	u64 cr3;
	u64 stack; /* its top, 16-byte aligned, below 4 GiB */
	u64 entry; /* virtual */
	u64 info;  /* virtual, in the window */
	/* Only where the firmware runs with 5-level paging: */
	u64 cr3_level5; /* a fifth level above cr3's tables */
	u64 low;        /* a page below 1 MiB with a copy of handover_low */
	u64 resume;     /* handover_resume */
	u64 gdt[4];     /* null, 64-bit code, data, 32-bit code */
};
_Static_assert(offsetof(struct handover, idtr) == 16, "handover.S");
_Static_assert(offsetof(struct handover, cr3) == 32, "handover.S");
_Static_assert(offsetof(struct handover, info) == 56, "handover.S");
_Static_assert(offsetof(struct handover, resume) == 80, "handover.S");

/* Never returns. */
noreturn_fn void handover_jump(const struct handover *h);

/* Pieces of it: what is copied to the low page, and where that comes back to. Not to be called. */
extern const u8 handover_low[], handover_low_end[], handover_resume[];

#endif
