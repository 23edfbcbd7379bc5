/*
 * The host and its VMs as members of JSON objects. README, "The second serial line", lists them;
 * what is there once keeps its name and meaning for all of a protocol's version.
 */
#ifndef HV_MONITOR_MONITOR_STATS_H
#define HV_MONITOR_MONITOR_STATS_H

#include "hv/monitor/json_write.h"

struct vm;

/* Into the object that is begun in @j, which may become full. Boot CPU; locks: the lives lock. */
void monitor_stats_host(struct json_write *j);
void monitor_stats_vm(struct json_write *j, const struct vm *vm);

#endif
