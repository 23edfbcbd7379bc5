/* A sample as Prometheus' text format 0.0.4: names and units by its conventions. */
#ifndef GUEST_TOOLS_MONITOR_METRICS_H
#define GUEST_TOOLS_MONITOR_METRICS_H

#include "guest-tools/monitor/sample.h"

/*
 * @s: NULL where there is none, or only one that is too old: then only bellows_up is told, as 0.
 * @samples: ever received. Returns the text, which the caller frees, or NULL: no memory.
 */
char *metrics_text(const struct sample *s, uint64_t samples, size_t *bytes);

#endif
