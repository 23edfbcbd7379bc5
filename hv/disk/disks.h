/*
 * The host's disks: all namespaces of all NVMe controllers, and the partitions on them. Read once
 * at boot; nothing is written here, ever.
 */
#ifndef HV_DISK_DISKS_H
#define HV_DISK_DISKS_H

#include "drivers/gpt.h"
#include "mm/blk.h"

struct disk_partition {
	struct blk_device *blk;
	u32 number; /* from 1, as Linux counts: "nvme0n1p1" */
	struct gpt_partition gpt;
};

/* Find controllers, disks, partitions; log them. The boot CPU, once, after the others started.
 * Waits for the disks, within their time limits. */
void disks_init(void);

/* Hand back what is done of this CPU's requests; on the boot CPU also what no CPU's own interrupt
 * tells of, and look after the controllers. Whether there was something. Often: each CPU's loop. */
bool disks_turn(u64 now_ns);
/* Something is under way that no interrupt will tell of: poll, do not halt. */
bool disks_must_poll(void);

/*
 * The partition with that GPT name, that number ("nvme0n1p1") or that unique GUID. Fixed after
 * disks_init(), so any CPU may ask, without a lock. Cost: O(partitions). NULL, with *why: there is
 * none, or more than one has that name.
 */
const struct disk_partition *disks_find(const char *name, const char **why);
/* The @nth partition of that type over all disks, or NULL. */
const struct disk_partition *disks_find_type(const struct guid *type, u32 nth);

/* Console: disks. */
void command_disks(u32 count, char **words);

#endif
