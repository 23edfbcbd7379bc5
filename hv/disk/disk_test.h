/* Console: disk test NAME writes, reads and verifies a partition of the test type, in the
 * background; disk limits sets the controllers' time limits. For tests of the disks themselves. */
#ifndef HV_DISK_DISK_TEST_H
#define HV_DISK_DISK_TEST_H

#include "mm/base/types.h"

/* disk test NAME; disk limits REQUEST_MS ABORT_MS */
void command_disk(u32 count, char **words);

#endif
