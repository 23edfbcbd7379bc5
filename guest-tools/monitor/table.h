/*
 * The columns that people look at, made of two samples: sizes in MiB, rates a second, times. What
 * bellowstop shows and what its batch mode writes.
 */
#ifndef GUEST_TOOLS_MONITOR_TABLE_H
#define GUEST_TOOLS_MONITOR_TABLE_H

#include "guest-tools/monitor/sample.h"

enum column {
	COLUMN_MEMSZ,
	COLUMN_GRANT,
	COLUMN_CNSM,
	COLUMN_SHRD,
	COLUMN_SHRDSVD,
	COLUMN_MCTLSZ,
	COLUMN_MCTLTGT,
	COLUMN_SWCUR,
	COLUMN_SWR,
	COLUMN_SWW,
	COLUMN_CACHEUSD,
	COLUMN_ZIP,
	COLUMN_UNZIP,
	COLUMN_OVHD,
	COLUMN_SWPWT,
	COLUMN_SWIN99,
	COLUMN_GUEST_SWAP,
	COLUMN_COUNT
};

struct column_info {
	const char *name; /* on the screen */
	const char *csv;  /* in a file: with its unit */
	const char *help;
};
extern const struct column_info column_infos[COLUMN_COUNT];

/*
 * @vm's columns. @before: the same VM earlier, or NULL, and @passed_ms since: without them rates
 * are 0, as they are where a counter began anew.
 */
void table_columns(const struct vm_sample *vm, const struct vm_sample *before, uint64_t passed_ms,
	double columns[COLUMN_COUNT]);

/* Of all VMs that are on: their memory by what there is for guests, and the worst health. */
double table_overcommit(const struct sample *s);
const char *table_health(const struct sample *s);

#endif
