/*
 * What the hypervisor tells of itself at one moment: a line of the host, one of each VM, and one
 * that ends them (README, "The second serial line"). sample_take() is fed with those lines, and
 * says when a sample is whole. A member that is missing or is no number counts as 0: an older
 * hypervisor may not tell all.
 */
#ifndef GUEST_TOOLS_MONITOR_SAMPLE_H
#define GUEST_TOOLS_MONITOR_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

#define SAMPLE_PROTOCOL  1
#define SAMPLE_VMS_MOST  4096
#define SAMPLE_NAME_SIZE 64

enum host_field {
	HOST_SEQ,
	HOST_TIME_MS,
	HOST_DROPPED,
	HOST_MEMORY,
	HOST_FREE,
	HOST_MIN_FREE,
	HOST_PROMISED,
	HOST_OVERHEAD,
	HOST_HYPERVISOR,
	HOST_FIELDS
};

enum vm_field {
	VM_MEMORY,
	VM_GRANTED,
	VM_CONSUMED,
	VM_ZERO,
	VM_SHARED,
	VM_SHARED_SAVED,
	VM_HINT,
	VM_BALLOON,
	VM_BALLOON_TARGET,
	VM_BALLOON_MAX,
	VM_ZIPPED_NOW,
	VM_SWAPPED,
	VM_CACHE,
	VM_CACHE_MAX,
	VM_OVERHEAD,
	VM_SWAP_IN_P50,
	VM_SWAP_IN_P99,
	VM_DISK_P50,
	VM_DISK_P99,
	VM_FAULTS,
	VM_ZIPPED,
	VM_UNZIPPED,
	VM_SWAPPED_OUT,
	VM_SWAPPED_IN,
	VM_READ_AHEAD,
	VM_DROPPED,
	VM_BALLOONED,
	VM_MERGED,
	VM_COPIED,
	VM_WAITS,
	VM_WAITED_NS,
	VM_GUEST_SWAPPED_IN,
	VM_GUEST_SWAPPED_OUT,
	VM_GUEST_MAJOR_FAULTS,
	VM_EXITS,
	VM_RUN_NS,
	VM_HEALTH_SECONDS,
	VM_FIELDS
};

struct vm_sample {
	char name[SAMPLE_NAME_SIZE], state[SAMPLE_NAME_SIZE];
	char health[SAMPLE_NAME_SIZE], finding[SAMPLE_NAME_SIZE];
	uint64_t values[VM_FIELDS];
};

struct sample {
	char state[SAMPLE_NAME_SIZE];
	uint64_t host[HOST_FIELDS];
	struct vm_sample *vms; /* owned */
	size_t vm_count, vm_room;
	bool is_open; /* a host's line came, and not yet its end */
};

/* Take one of its lines. Returns whether @s is whole now. */
bool sample_take(struct sample *s, json_object *line);

/* Copy. False: no memory, and @to is empty. */
bool sample_copy(struct sample *to, const struct sample *from);
void sample_free(struct sample *s);

/* The VM of that name, or NULL. */
const struct vm_sample *sample_find(const struct sample *s, const char *name);

#endif
