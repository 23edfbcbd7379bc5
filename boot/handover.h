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

/* Offsets are repeated in handover.S. */
struct handover {
	struct handover_table gdtr;
	struct handover_table
		idtr; /* empty: a fault now is a reset, not a run through stale code */
	u64 cr3;
	u64 stack; /* its top, 16-byte aligned */
	u64 entry; /* virtual */
	u64 info;  /* virtual, in the window */
	u64 gdt[3];
};
_Static_assert(offsetof(struct handover, idtr) == 16, "handover.S");
_Static_assert(offsetof(struct handover, cr3) == 32, "handover.S");
_Static_assert(offsetof(struct handover, info) == 56, "handover.S");

/* Never returns. @h lies in memory the hypervisor does not reuse at once. */
noreturn_fn void handover_jump(const struct handover *h);

#endif
