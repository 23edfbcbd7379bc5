/* Seconds since 1970 as years, months, days (proleptic Gregorian calendar, UTC), and back. */
#ifndef HV_VDEV_CIVIL_TIME_H
#define HV_VDEV_CIVIL_TIME_H

#include "mm/base/types.h"

struct civil_time {
	u32 year, month, day; /* month and day from 1 */
	u32 hour, minute, second;
	u32 weekday; /* 0 = Sunday; ignored by civil_to_epoch() */
};

void civil_from_epoch(u64 epoch_s, struct civil_time *out);
/* Fields out of range count on (month 13 is next January); years before 1970 give 1970. */
u64 civil_to_epoch(const struct civil_time *t);

#endif
