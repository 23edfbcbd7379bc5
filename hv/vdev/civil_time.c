/*
 * Calendar arithmetic on years that begin in March, so that the leap day comes last: day numbers
 * are then a plain formula, with 400 years = 146097 days as the one period.
 */
#include "hv/vdev/civil_time.h"

#define DAYS_TO_1970 719468u /* from 0000-03-01 */

static u64 days_from_civil(u32 year, u32 month, u32 day)
{
	u32 months = month - 1 + 10; /* since last March */
	u64 y = (u64)year + months / 12 - 1;
	u32 m = months % 12;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153u * m + 2) / 5 + day - 1;
}

u64 civil_to_epoch(const struct civil_time *t)
{
	u64 days;

	if (t->year < 1970)
		return 0;
	days = days_from_civil(t->year, t->month ? t->month : 1, t->day ? t->day : 1) -
	       DAYS_TO_1970;
	return days * 86400 + (u64)t->hour * 3600 + (u64)t->minute * 60 + t->second;
}

void civil_from_epoch(u64 epoch_s, struct civil_time *out)
{
	u64 days = epoch_s / 86400 + DAYS_TO_1970;
	u32 of_era = (u32)(days % 146097);
	u32 year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	u32 of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	u32 month = (5 * of_year + 2) / 153; /* from March */

	out->day = of_year - (153 * month + 2) / 5 + 1;
	out->month = month < 10 ? month + 3 : month - 9;
	out->year = (u32)(days / 146097 * 400) + year_of_era + (out->month <= 2);
	out->hour = (u32)(epoch_s % 86400 / 3600);
	out->minute = (u32)(epoch_s % 3600 / 60);
	out->second = (u32)(epoch_s % 60);
	out->weekday = (u32)((epoch_s / 86400 + 4) % 7);
}
