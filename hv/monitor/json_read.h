/*
 * A flat JSON object, read in place: what a request on the second serial line is. Strings are
 * unescaped where they stand; numbers are whole and not negative. Nested values are refused, so the
 * reader needs neither stack nor memory. Pure: tested and fuzzed on Linux.
 */
#ifndef HV_MONITOR_JSON_READ_H
#define HV_MONITOR_JSON_READ_H

#include "mm/base/types.h"
#include "mm/base/err.h"

enum json_kind { JSON_STRING, JSON_NUMBER, JSON_BOOL, JSON_NULL };

struct json_member {
	const char *key;  /* NUL-terminated, in the line; so is .text */
	const char *text; /* JSON_STRING: printable ASCII */
	u64 number;       /* JSON_NUMBER; JSON_BOOL: 0 or 1 */
	enum json_kind kind;
};

/*
 * Read @line, which is NUL-terminated and is written to. Returns 0 with the *count members; E_INVAL
 * with @why, a few words.
 */
must_check err_t json_read_object(
	char *line, struct json_member *members, u32 most, u32 *count, const char **why);

#endif
