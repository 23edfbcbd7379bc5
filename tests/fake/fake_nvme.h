/*
 * An NVMe controller on the host, behind struct nvme_bus: registers, rings, a few namespaces in
 * memory, and every misdeed a test asks for. Host addresses serve as physical ones, so a sanitizer
 * sees DMA to memory that has been given back.
 *
 * Commands are carried out when fake_nvme_run() is called, or at once with .at_once.
 */
#ifndef TESTS_FAKE_NVME_H
#define TESTS_FAKE_NVME_H

#include "drivers/nvme.h"
#include "drivers/nvme_regs.h"

#define FAKE_QUEUES     8u
#define FAKE_NAMESPACES 4u
#define FAKE_PENDING    1024u
#define FAKE_ALLOCS     256u

struct fake_namespace {
	u64 blocks;
	u32 block_shift, metadata;
	u8 *data;
};

struct fake_pending {
	struct nvme_command command;
	u16 queue;
};

struct fake_nvme {
	struct nvme_bus bus;
	/* What it is. */
	u64 cap;
	u32 version, granted, stride_shift;
	u8 mdts;
	u16 oncs;
	u32 namespace_count;
	const char *serial;
	struct fake_namespace namespaces[FAKE_NAMESPACES];
	/* What it does wrong; counts go down to 0. */
	bool at_once, gone, never_ready, never_stops, fatal_when_enabled, no_list, garbage_identify;
	bool stall;               /* carries nothing out, but can abort it */
	u32 lose, lose_admin;     /* completions that never come */
	u32 fail_count, fail_raw; /* I/O commands fail with these 15 bits of status */
	int fail_admin;           /* this admin opcode always fails; -1: none */
	u32 nonsense;             /* completions of commands that nobody gave, before a right one */
	u32 alloc_left;           /* allocations that succeed, ~0: all */
	/* What can be seen. */
	u32 intms;
	bool is_cut_off;
	u32 enabled_count, abort_count, io_count, flush_count, doorbell_writes[FAKE_QUEUES];
	/* Its own. */
	u32 cc, csts, aqa;
	u64 asq, acq;
	struct {
		u64 base;
		u32 entries, head, tail;
		u32 vector, phase; /* of a completion queue */
		bool exists;
	} sq[FAKE_QUEUES], cq[FAKE_QUEUES];
	struct fake_pending pending[FAKE_PENDING];
	u32 pending_count;
	u64 random;
	void *allocs[FAKE_ALLOCS];
	u32 alloc_count;
};

/* A well-behaved one: 1.4, 64 queues' entries, one namespace of 4096 blocks of 512 bytes. */
void fake_nvme_init(struct fake_nvme *fake);
void fake_nvme_add_namespace(struct fake_nvme *fake, u64 blocks, u32 block_shift);
void fake_nvme_free(struct fake_nvme *fake);
/* Carry out @most pending commands, any of them first (in order with seed 0). Returns how many. */
u32 fake_nvme_run(struct fake_nvme *fake, u32 most);
/* An entry in a completion queue, whatever it says. */
void fake_nvme_complete(
	struct fake_nvme *fake, u16 queue, u16 sq_id, u16 id, u16 status, u32 result);

#endif
